"""Questions to responses: what is written, what is left out, what a rerun does."""

import gc
import json

import pytest
from PIL import Image

from mixpo.errors import DataError
from mixpo.files import RunFiles
from mixpo.images import ImageRoots
from mixpo.prompts import Style, Template
from mixpo.records import AnswerKind, DropReason, FinishReason, Question, Role, Turn
from mixpo.responses import sample as step
from mixpo.responses.backends.config import BackendConfig
from mixpo.responses.backends.scripted import ScriptedBackend
from mixpo.responses.written import WritingTally
from mixpo.text_files import write_text

NO_IMAGES = ImageRoots({})
WORDS = ScriptedBackend(lambda request, sample: f"{request.id} says {sample}")


def questions(count: int) -> list[Question]:
    return [Question(id=f"q-{n}", text=f"How many, {n}?", answer="3", kind=AnswerKind.INTEGER) for n in range(count)]


def contents(folder) -> dict[str, bytes]:
    """Every file below a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_response_fields():
    config = step.Config(n=2, style=Style.DIRECT)
    first, second = step.sample(questions(1), WORDS, NO_IMAGES, config)
    assert (first.id, first.question_id, first.sample, first.text) == ("q-0/0", "q-0", 0, "q-0 says 0")
    assert (second.id, second.sample) == ("q-0/1", 1)
    assert first.prompt == "How many, 0?\nAnswer with the final answer only."
    assert first.style == "direct"
    assert first.finish_reason is FinishReason.STOP
    assert len(first.token_ids) == 3
    assert first.completion_tokens == 4


def test_auto_style_is_resolved():
    (response,) = step.sample(questions(1), WORDS, NO_IMAGES, step.Config(n=1))
    assert response.style == "cot"


def test_the_recipes_own_prompt():
    style = Template(template="{question} Use \\boxed{}.", name="mine")
    (response,) = step.sample(questions(1), WORDS, NO_IMAGES, step.Config(n=1, style=style))
    assert (response.style, response.prompt) == ("mine", "How many, 0? Use \\boxed{}.")


def test_what_is_answered_is_not_kept():
    """A stream of questions may be a whole step's."""
    asked = (question for number in range(400) for question in [Question(id=f"q-{number}", text="?")])
    most = 0
    for response in step.draw(asked, range(2), WORDS, NO_IMAGES, step.Config(n=2)):
        if response.id in ("q-300/1", "q-399/1"):
            most = max(most, sum(type(one) is Question for one in gc.get_objects()))
    assert 0 < most < 200


@pytest.fixture
def pictures(tmp_path) -> ImageRoots:
    """good.png, torn.png (cut short), empty.png."""
    root = tmp_path / "images"
    root.mkdir()
    Image.new("RGB", (32, 32), "red").save(root / "good.png")
    (root / "torn.png").write_bytes((root / "good.png").read_bytes()[:60])
    (root / "empty.png").write_bytes(b"")
    return ImageRoots({"scenes": root})


@pytest.mark.parametrize("name", ["torn.png", "empty.png", "absent.png", "../run.txt"])
def test_a_bad_image_drops_its_question_and_the_others_go_on(pictures, name):
    asked = [
        Question(id="bad", text="?", images=(f"scenes/{name}",)),
        Question(id="good", text="?", images=("scenes/good.png",)),
    ]
    records = {record.id: record for record in step.sample(asked, WORDS, pictures, step.Config(n=2))}
    assert sorted(records) == ["bad", "good/0", "good/1"]
    assert records["bad"].reason is DropReason.BAD_IMAGE
    assert records["bad"].step == "sample"


@pytest.fixture
def files(tmp_path, monkeypatch) -> RunFiles:
    """A run with 7 questions, 2 of them open, and a script for all."""
    files = RunFiles(tmp_path / "run")
    rows = [*questions(5), *(Question(id=f"open-{n}", text="Describe.", domain="description") for n in range(2))]
    files.questions("questions").append(rows)
    lines = [f'{{"id": "{row.id}", "sample": {s}, "text": "{row.id} says {s}"}}' for row in rows for s in range(3)]
    (tmp_path / "script.jsonl").write_text("\n".join(lines))
    return files


def scripted(files: RunFiles, **values) -> step.Config:
    backend = BackendConfig(name="scripted", script=str(files.root.parent / "script.jsonl"))
    return step.Config(backend=backend, n=3, **values)


def test_run_writes_all_in_order(files):
    step.run(scripted(files, block=6), files)
    ids = [response.id for response in files.responses("sample")]
    assert ids == [f"{q.id}/{s}" for q in files.questions("questions") for s in range(3)]


@pytest.mark.parametrize(("which", "count"), [("all", 7), ("answered", 5), ("open", 2)])
def test_which_questions(files, which, count):
    step.run(scripted(files, which=step.Which(which)), files)
    assert len({response.question_id for response in files.responses("sample")}) == count


def test_a_second_run_does_nothing(files, monkeypatch):
    step.run(scripted(files), files)
    before = contents(files.root)
    monkeypatch.setattr(step, "make_backend", lambda *_: pytest.fail("nothing was missing"))
    step.run(scripted(files), files)
    assert contents(files.root) == before


def test_the_step_ends_with_what_one_wants_to_know(files, capsys):
    step.run(scripted(files, max_new_tokens=9), files)
    said = capsys.readouterr().err
    assert "sample: 21 responses to 7 questions: 84 tokens (mean 4, median 4), " in said
    assert " tokens/s, none cut at 9 tokens (max_new_tokens); in " + str(files.responses("sample").folder) in said
    step.run(scripted(files, max_new_tokens=9), files)
    said = capsys.readouterr().err
    assert "sample: 21 responses to 7 questions: 84 tokens (mean 4, median 4), none cut" in said


def test_a_block_that_is_made_again_is_counted_once(files, capsys):
    """Ctrl-C keeps what a block has made; going on makes the block again as a whole."""
    step.run(scripted(files, block=6), files)
    (shard,) = files.responses("sample").paths()
    shard.write_bytes(b"".join(shard.read_bytes().splitlines(keepends=True)[:8]))  # a block, and two records of another
    capsys.readouterr()
    step.run(scripted(files, block=6), files)
    assert "sample: 21 responses to 7 questions: 84 tokens (mean 4, median 4), " in capsys.readouterr().err


def test_what_was_cut_is_counted_and_the_median_is_not_the_mean():
    answers = {"q-0": "x " * 30, "q-1": "x", "q-2": "x"}
    backend = ScriptedBackend(lambda request, sample: answers[request.id])
    written = WritingTally()
    config = step.Config(n=1, max_new_tokens=9)
    for _ in written.watch(step.sample(questions(3), backend, NO_IMAGES, config)):
        pass
    assert (written.cut, written.count) == (1, 3)
    assert "(mean 4, median 2)" in written.summary("response", 9)
    assert "33.3 % cut at 9 tokens" in written.summary("response", 9)


def test_questions_whose_pictures_are_gone(files, capsys):
    """One: said with the path that was tried. All: an error, at once and when it is called again."""
    gone = [Question(id=f"mine-{number}", text="?", images=("mine/a.png",)) for number in range(2)]
    write_text(files.image_roots_file("questions"), '{"mine": "/nowhere"}')
    files.questions("questions").append(gone)
    why = "2 questions left out, the first because mine/a.png: the file is not there; put it back, or say with"
    step.run(scripted(files), files)
    assert f"sample: {why} `image_root`" in capsys.readouterr().err
    for path in files.questions("questions").paths():  # what other tests begin with, too: now nothing else is asked
        path.unlink()
        path.with_suffix(".crc32").unlink()
    files.questions("questions").append(gone)
    for _ in range(2):
        with pytest.raises(DataError, match=f"no question could be asked .*the same command asks again.*: {why}"):
            step.run(scripted(files, name="other"), files)


def test_a_question_whose_picture_is_back_is_asked(files, capsys, monkeypatch):
    """While it is away a rerun loads no model and changes nothing; then what said that it was left out is gone."""
    root, script = files.root.parent / "disk", files.root.parent / "script.jsonl"
    script.write_text(
        script.read_text() + "".join(f'\n{{"id": "mine-1", "sample": {s}, "text": "x"}}' for s in range(3))
    )
    write_text(files.image_roots_file("questions"), json.dumps({"mine": str(root)}))
    files.questions("questions").append([Question(id="mine-1", text="?", images=("mine/a.png",))])
    config = scripted(files)
    step.run(config, files)
    before = contents(files.root)
    assert [record.transient for record in files.dropped("sample")] == [True]
    said = capsys.readouterr().err
    assert "1 question left out because mine/a.png: the file is not there" in said
    assert "the next run tries again" in said
    with monkeypatch.context() as patch:
        patch.setattr(step, "make_backend", None)
        step.run(config, files)
    assert contents(files.root) == before
    root.mkdir()
    Image.new("RGB", (30, 30)).save(root / "a.png")
    capsys.readouterr()
    step.run(config, files)
    assert "sample: 1 question that could not be asked before: asked again" in capsys.readouterr().err
    assert list(files.dropped("sample")) == []
    assert "mine-1/0" in files.responses("sample").ids()


@pytest.mark.parametrize("lines", range(0, 22, 3))
def test_a_rerun_completes_files_cut_anywhere(files, lines):
    """After `lines` whole records and half of the next, the rerun's files equal an uninterrupted run's."""
    step.run(scripted(files, block=6), files)
    whole = contents(files.root)
    (shard,) = files.responses("sample").paths()
    rows = shard.read_bytes().splitlines(keepends=True)
    torn = rows[lines][: len(rows[lines]) // 2] if lines < len(rows) else b""
    shard.write_bytes(b"".join(rows[:lines]) + torn)
    step.run(scripted(files, block=6), files)
    assert contents(files.root) == whole


def test_bad_settings():
    with pytest.raises(ValueError, match="n must be at least 1"):
        step.Config(n=0)
    with pytest.raises(ValueError, match="block must be at least 1"):
        step.Config(block=0)
    with pytest.raises(ValueError, match="temperature"):
        step.Config(temperature=-1)


def test_the_recipe_s_system_prompt_goes_before_the_question_s_own():
    seen = []
    backend = ScriptedBackend(lambda request, sample: seen.append(request) or "x")
    turns = (Turn(role=Role.USER, text="a"), Turn(role=Role.ASSISTANT, text="b"))
    question = Question(id="q", text="?", system="own", turns=turns)
    for system in ("", "the recipe's"):
        (response,) = step.sample([question], backend, NO_IMAGES, step.Config(n=1, system=system))
        assert (seen[-1].turns, seen[-1].system, response.system) == (turns, *[system or "own"] * 2)
