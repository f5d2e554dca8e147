"""Questions and pictures of a benchmark that a model learned from are noticed."""

import json

import pytest

from mixpo.evaluation import warning_signs
from mixpo.evaluation.scores import BenchmarkQuestions
from mixpo.evaluation.trained_on import TrainingSection, trained_on
from mixpo.files import RunFiles
from mixpo.ids import at_most
from mixpo.records import Dropped, DropReason, Origin, PreferencePair, Question
from mixpo.report.warning_signs import signs
from mixpo.text_files import write_text


def put(files: RunFiles, section: str, folder, questions: list[Question]) -> list[Question]:
    files.questions(section).append(questions)
    write_text(files.image_roots_file(section), json.dumps({"own": str(folder)}))
    return questions


@pytest.fixture
def run(tmp_path):
    """A model that learned from four questions: about pictures a, b and c, and one without a picture."""
    files = RunFiles(tmp_path / "run")
    for name, content in (("a", b"aa"), ("b", b"bb"), ("c", b"cccc")):
        write_text(tmp_path / "train" / f"{name}.png", content.decode())
    texts = {"a": "What is it?", "b": "How many?", "c": "Where?"}
    asked = [Question(id=f"t-{n}", text=t, images=(f"own/{n}.png",)) for n, t in texts.items()]
    asked += [Question(id="t-d", text="Two plus two?"), Question(id="t-e", text="Never in a pair?")]
    put(files, "import", tmp_path / "train", asked)
    pair = {"prompt": "as asked", "chosen": "x", "rejected": "y", "origin": Origin.CORRECTNESS}
    files.pairs("import").append(PreferencePair(id=q.id, question_id=q.id, images=q.images, **pair) for q in asked[:-1])
    learn(files, "train", pairs="import", questions="import", model="base")
    return files


def learn(files: RunFiles, section: str, **values) -> None:
    (files.checkpoints(section) / "model").mkdir(parents=True)
    write_text(files.fingerprint(section), json.dumps({"step": "train", "values": values}))


def found(files: RunFiles, folder, rows: list[tuple[str, str | None]], **models: str) -> list[dict]:
    """`rows`: text and picture's content of each question of the benchmark."""
    questions = []
    for number, (text, content) in enumerate(rows):
        if content is not None:
            write_text(folder / f"{number}.png", content)
        questions.append(Question(id=f"h-{number}", text=text, images=(f"own/{number}.png",) if content else ()))
    inner = files.evaluation("evaluate")
    put(inner, "held-out", folder, questions)
    models = models or {"base": "/models/base", "mpo": files.model("step:train")}
    return trained_on(models, {"held-out": BenchmarkQuestions(questions)}, inner)


def test_the_same_questions_and_the_same_pictures(run, tmp_path):
    rows = [
        ("what is  it?", "aa"),  # the same
        ("Another question?", "bb"),  # about a picture that was trained on
        ("How many?", "xx"),  # another picture of the same size
        ("Two plus two?", None),  # the same, without a picture
        ("Where?", None),
        ("Never in a pair?", None),
    ]
    (one,) = found(run, tmp_path / "held", rows)
    assert (one["benchmark"], one["models"], one["questions"], one["same"], one["pictures"]) == (
        "held-out", ["mpo"], 6, 2, 1,
    )  # fmt: skip
    assert one["text"].startswith(
        "2 of the 6 questions of held-out are among those, and 1 more are about pictures that mpo learned from: "
    )
    warning_signs.write([one], run.evaluation("evaluate"))
    assert signs(run, [], ["evaluate"]) == [f"evaluate: {one['text']}"]


def test_other_questions_are_no_warning(run, tmp_path):
    assert found(run, tmp_path / "held", [("What is it?", "zz"), ("Where?", "yyyy"), ("Three plus two?", None)]) == []


def test_what_training_left_out_was_not_learned_from(run, tmp_path):
    """Neither what was dropped nor what was beyond `max_records`, drawn as the training drew it."""
    rows = [("What is it?", "aa"), ("How many?", "bb"), ("Where?", "cccc"), ("Two plus two?", None)]
    run.dropped("one").append([Dropped(id="t-b", step="one", reason=DropReason.BAD_IMAGE)])
    learn(run, "one", pairs="import", questions="import", model="base", max_records=2, seed=5)
    kept = at_most(["t-a", "t-c", "t-d"], 2, seed=5)
    (one,) = found(run, tmp_path / "held", rows, one=run.model("step:one"))
    assert (one["same"], one["pictures"]) == (2, 0)
    for number, name in enumerate("acd"):
        (picture,) = [row for row in rows if row[0] == {"a": "What is it?", "c": "Where?", "d": "Two plus two?"}[name]]
        told = found(run, tmp_path / f"held-{number}", [picture], one=run.model("step:one"))
        assert bool(told) == (f"t-{name}" in kept)


def test_a_model_below_the_home_folder(run, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (one,) = found(run, tmp_path / "held", [("What is it?", "aa")], mine="~/run/checkpoints/train/model")
    assert one["models"] == ["mine"]


def test_what_was_held_out_was_not_learned_from(run, tmp_path):
    learn(run, "held", pairs="import", questions="import", model="base", held_out=0.9999)
    model = run.model("step:held")
    assert found(run, tmp_path / "held", [("What is it?", "aa")], held=model) == []


def test_sections_that_a_training_started_from_count(run, tmp_path):
    learn(run, "more", pairs="nothing", questions="nothing", model="step:train")
    (one,) = found(run, tmp_path / "held", [("What is it?", "aa")], more=run.model("step:more"))
    assert (one["models"], one["same"]) == (["more"], 1)


def test_what_models_have_in_common_is_read_once(run, tmp_path, monkeypatch):
    """Twenty variants of a study start from one model that learned from 100,000 pictures."""
    read = []
    questions = TrainingSection.questions
    monkeypatch.setattr(TrainingSection, "questions", lambda self: read.append(self.name) or questions(self))
    for name in ("mpo", "sft"):
        learn(run, name, model="step:train")
    variants = {name: run.model(f"step:{name}") for name in ("mpo", "sft")}
    (one,) = found(run, tmp_path / "held", [("What is it?", "aa")], **variants)
    assert one["models"] == ["mpo", "sft"]
    assert sorted(read) == ["mpo", "sft", "train"]


def test_models_that_start_from_each_other_end(run, tmp_path):
    learn(run, "one", model="step:two")
    learn(run, "two", model="step:one")
    assert found(run, tmp_path / "held", [("What is it?", "aa")], one=run.model("step:one")) == []


def test_pictures_that_are_gone_stop_nothing(run, tmp_path):
    (tmp_path / "train" / "a.png").unlink()
    assert found(run, tmp_path / "held", [("What is it?", "aa")]) == []
