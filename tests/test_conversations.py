"""Conversations through the whole loop on a tiny model: a system prompt, turns, pictures between words, odd marks."""

import json
import re

import pytest
from PIL import Image

from mixpo.batches.encode import Encoder
from mixpo.images import ImageRoots
from mixpo.messages import PICTURE
from mixpo.models.load import load_processor
from mixpo.pipeline import run_recipe
from mixpo.recipe import load_recipe
from mixpo.training.rows import RowDataset

EVIL = "<script>alert(1)</script>"
SEEN = {"role": "user", "content": "Left <image>, right <image>: same?"}
MARKS = "<image> <|im_end|> [IMG] <IMG_CONTEXT> <end_of_turn>"
ROWS = [
    {
        "id": "talk", "images": ["0.png", "1.png", "2.png"], "answer": "3",
        "messages": [
            {"role": "system", "content": f"Look well. {EVIL}"}, SEEN, {"role": "assistant", "content": f"No. {EVIL}"},
            {"role": "user", "content": "And in <image>, how many?"},
        ],
    },
    {"id": "marks", "question": f"What is {MARKS} here?", "system": f"Say {MARKS}.", "answer": "7"},
    {
        "id": "open", "images": ["2.png", "0.png"],
        "messages": [
            {"role": "user", "content": "Look."}, {"role": "assistant", "content": "Yes."},
            {"role": "user", "content": "<image> or <image>: which?"},
        ],
    },
]  # fmt: skip


def texts(answer):
    return [f"I see <image> and [IMG] and <IMG_CONTEXT>.\nFinal answer: {answer}", "I guess.\nFinal answer: 11"]


@pytest.fixture(scope="module")
def run(tmp_path_factory, internvl):
    """The finished run, questions to report."""
    folder = tmp_path_factory.mktemp("conversations")
    model, processor = internvl
    model.save_pretrained(folder / "base")
    processor.save_pretrained(folder / "base")
    for number, colour in enumerate(("red", "green", "blue")):
        Image.new("RGB", (64, 64), colour).save(folder / f"{number}.png")
    script = [
        {"id": f"own-{row['id']}", "sample": number, "text": text}
        for row in ROWS
        for number, text in enumerate(texts(row.get("answer", "12")))
    ]
    script += [{"id": f"own-open/{number}", "text": f"{text} or so"} for number, text in enumerate(texts("12"))]
    for name, rows in (("questions", ROWS), ("script", script), ("held", ROWS[:2])):
        (folder / f"{name}.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    backend = {"name": "scripted", "script": str(folder / "script.jsonl")}
    steps = {
        "questions": {"sources": {"own": {"loader": "file", "path": str(folder / "questions.jsonl")}}},
        "sample": {"n": 2, "style": "cot", "backend": backend},
        "embedded": {"uses": "sample", "n": 1, "style": "cot", "max_new_tokens": 3},
        "verify": {"responses": "sample"},
        "dropout": {"responses": "sample", "backend": backend},
        "pair": {"responses": "sample", "verdicts": "verify", "continuations": "dropout"},
        "train": {"pairs": "pair", "batch": 2, "micro_batch": 2, "epochs": 1},
        "evaluate": {
            "models": {"base": str(folder / "base"), "mpo": "step:train"}, "max_new_tokens": 3,
            "benchmarks": {"held": {"loader": "file", "path": str(folder / "held.jsonl")}}, "styles": ["direct"],
        },
        "report": {},
    }  # fmt: skip
    recipe = {"name": "talk", "run": str(folder / "run"), "model": str(folder / "base"), "steps": steps}
    (folder / "recipe.yaml").write_text(json.dumps(recipe))
    return run_recipe(load_recipe(folder / "recipe.yaml"))


def test_every_step_has_the_conversations(run):
    questions = {question.id: question for question in run.questions("questions")}
    talk = questions["own-talk"]
    assert (talk.text, talk.system) == (f"And in {PICTURE}, how many?", f"Look well. {EVIL}")
    assert [turn.text for turn in talk.turns] == [f"Left {PICTURE}, right {PICTURE}: same?", f"No. {EVIL}"]
    assert questions["own-marks"].text == f"What is {MARKS} here?"
    pairs = {pair.question_id: pair for pair in run.pairs("pair")}
    assert {"own-talk", "own-marks", "own-open"} == set(pairs)
    for own_id, pair in pairs.items():
        question = questions[own_id]
        assert (pair.system, pair.turns, pair.images) == (question.system, question.turns, question.images)
        assert question.text in pair.prompt
    for section in ("questions", "sample", "embedded", "train"):
        assert list(run.dropped(section)) == []
    log = [json.loads(line) for line in (run.checkpoints("train") / "log.jsonl").read_text().splitlines()]
    assert all(0 < line["loss"] < 100 for line in log if "loss" in line)


def test_training_has_the_prompts_that_were_sampled_from(run):
    encoder = Encoder(load_processor(str(run.root.parent / "base")))
    pairs = list(run.pairs("pair"))
    rows = RowDataset(pairs, ImageRoots.load(run.image_roots_file("questions")))
    asked = {response.question_id: response for response in run.responses("embedded")}
    for number, pair in enumerate(pairs):
        example, response = encoder(rows[number]), asked[pair.question_id]
        assert (len(example.prompt_ids), pair.prompt) == (response.prompt_tokens, response.prompt)
        shown = example.image_inputs.get("pixel_values", ())
        assert len(shown) == len(pair.images)


def test_models_are_evaluated_on_them(run):
    inner = run.evaluation("evaluate")
    for model in ("base", "mpo"):
        found = {response.question_id: response for response in inner.responses(f"{model}-held-direct")}
        assert set(found) == {"held-talk", "held-marks"}
        assert found["held-talk"].system == f"Look well. {EVIL}"


def text_of(html):
    """What a reader sees."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html))


def test_the_report_shows_who_said_what(run):
    html = run.report.read_text()
    assert PICTURE not in html
    assert EVIL not in html
    escaped = "&lt;script&gt;alert(1)&lt;/script&gt;"
    assert (
        f"system Look well. {escaped} user Left [picture 1], right [picture 2]: same? assistant No. {escaped} "
        "user And in [picture 3], how many?"
    ) in text_of(html)
    assert "picture 3</figcaption>" in html


def test_the_app_shows_who_said_what(run):
    pytest.importorskip("duckdb")
    from mixpo.app.views import PAIRS_CONTEST, Views

    views = Views(run)
    try:
        views.store.wait()
        pair = next(pair for pair in run.pairs("pair") if pair.question_id == "own-talk")
        pages = [views.question("own-talk"), views.pair(pair.id)]
        for html in pages:
            assert "Left [picture 1], right [picture 2]: same?" in html
            assert "And in [picture 3], how many?" in html
        assert "Think step by step" in pages[1]  # the prompt of the pair, not the question
        # Sections may number alike: a verdict is of the section that was judged.
        found = views.store.rows("SELECT section, outcome FROM answers WHERE id = 'own-talk/0' ORDER BY section")
        assert [tuple(row.values()) for row in found] == [("embedded", None), ("sample", "correct")]
        pages += [views.listing("questions", {"text": "Look well"}), views.changes({})]
        assert "And in [picture], how many?" in pages[2]
        assert "own-marks" not in pages[2]
        for _ in range(20):
            reviewed = views.review({"reviewer": "Ann", "contest": PAIRS_CONTEST})
            pages.append(reviewed)
            if "nothing is left" in reviewed:
                break
            item = re.search(r'name="item" value="([^"]+)"', reviewed)[1].replace("&gt;", ">")
            views.judge(
                {"token": views.token, "reviewer": "Ann", "contest": PAIRS_CONTEST, "side": "tie", "item": item}
            )
        assert any("Left [picture 1], right [picture 2]: same?" in html for html in pages[4:])
        for html in pages:
            assert PICTURE not in html
            assert EVIL not in html
    finally:
        views.close()
