"""Drawn figures: true chains hold, lies in them are seen, and what is kept for tests is not trained on."""

import io
import random
import re

import pytest
from PIL import Image

from mixpo.config import build
from mixpo.errors import RecipeError
from mixpo.files import RunFiles
from mixpo.questions import collect
from mixpo.questions.demonstrations import Config as Mixture
from mixpo.questions.demonstrations import demonstrate
from mixpo.questions.figures import charts
from mixpo.questions.figures.canvas import Canvas, make_look
from mixpo.questions.figures.clocks import ClockFace
from mixpo.questions.figures.source import FAMILIES, KEPT, Config, load
from mixpo.questions.steps import steps_of, truth_is_known
from mixpo.records import AnswerKind, FinishReason, Outcome, Question, Response
from mixpo.verdicts.verify import verify


def questions(count=300, **config):
    return [item.question for item in load(Config(count=count, size=32, **config), "f", 0)]


@pytest.fixture(scope="module")
def every():
    """Questions of every family, those kept for tests as well."""
    found = questions(400, families=("*",))
    assert {question.category for question in found} == set(FAMILIES)
    return found


def test_true_chains_hold_and_lead_to_the_answer(every):
    for question, shown in zip(every, demonstrate(every, Mixture(direct=0.2, describe=0.1)), strict=True):
        chain = "\n".join(question.meta["chain"])
        assert (held := steps_of(question, chain)), question
        assert all(held), question
        if shown.id.endswith(("/cot", "/boxed", "/direct")):
            said = Response(id="r", question_id="q", sample=0, text=shown.text, finish_reason=FinishReason.STOP)
            assert verify(question, said).outcome is Outcome.CORRECT, (question, shown.text)


def test_a_wrong_number_in_any_step_is_seen(every):
    rng = random.Random(0)
    changed = 0
    for question in every:
        for number, step in enumerate(question.meta["chain"]):
            places = list(re.finditer(r"\d+", step))
            if not places or " > " in step or " < " in step:
                continue
            place = rng.choice(places)
            lie = f"{step[: place.start()]}{int(place[0]) + 1}{step[place.end() :]}"
            chain = [*question.meta["chain"][:number], lie, *question.meta["chain"][number + 1 :]]
            assert steps_of(question, "\n".join(chain)).count(False) == 1, (question, lie)
            changed += 1
    assert changed > 500


@pytest.mark.parametrize(
    "own",
    [
        {"scene": "kitchen", "task": "count"},
        {"facts": {"ann": 7}, "chain": "x"},
        {"facts": "none", "chain": []},
    ],
)
def test_columns_of_ones_own_are_no_truth(own):
    question = Question(id="q", text="How many?", answer="4", meta=own)
    assert not truth_is_known(question)
    assert steps_of(question, "1 + 1 = 3") == []
    assert list(demonstrate([question], Mixture())) == []


def test_splits_share_no_figure_and_kept_words_are_not_trained_on():
    train, test = questions(), questions(split="test")
    assert not {str(q.meta["caption"]) for q in train if "clock" in q.category} & {
        str(q.meta["caption"]) for q in test if "clock" in q.category
    }
    assert not {question.category for question in (*train, *test)} & set(KEPT)
    assert {question.category for question in questions(20, families=KEPT)} == set(KEPT)
    asked = {re.sub(r"\d+", "#", question.text) for question in questions(families=("clock *",))}
    kept = {re.sub(r"\d+", "#", question.text) for question in questions(families=("clock *",), new_words=True)}
    assert asked
    assert not asked & kept


def test_no_picture_of_a_line_chart_is_drawn_by_two_figures():
    for seed in range(100):
        figure = charts.make(random.Random(seed), "read", held_out=False).figure
        assert not figure.lines or len(set(figure.colours)) == 1


def test_the_same_seed_draws_the_same_bytes_and_dark_ones_are_dark():
    one, same, dark = (
        [item.pictures[item.question.images[0]]() for item in load(Config(count=4, dark=dark), "f", 1)]
        for dark in (False, False, True)
    )
    assert one == same != dark
    for light, other in zip(one, dark, strict=True):
        first, second = (Image.open(io.BytesIO(data)) for data in (light, other))
        assert first.size == second.size == (112, 112)
        assert sum(first.getpixel((1, 1))) > 600 > 200 > sum(second.getpixel((1, 1)))


def test_the_hands_of_a_clock():
    """At 3:00 the long hand is up and the short one to the right, of 100 pixels from the middle."""
    canvas = Canvas(100, make_look(random.Random(0), dark=False))
    ClockFace(3, 0).draw(canvas)
    picture = Image.open(io.BytesIO(canvas.png())).convert("L")
    assert picture.getpixel((50, 25)) < 128 < picture.getpixel((25, 50))
    assert picture.getpixel((62, 50)) < 128 < picture.getpixel((50, 62))


def test_descriptions_ask_nothing_and_bad_fields_are_one_sentence():
    for question in questions(8, describe=True):
        assert question.answer is None
        assert question.kind is AnswerKind.FREE_FORM
    for values, said in (({"families": ["charts"]}, "fits none"), ({"split": "all"}, "none of"), ({"size": 8}, "size")):
        with pytest.raises(RecipeError, match=said):
            build(Config, values, at=str)


@pytest.mark.parametrize("loader", ["figures", "scenes"])
def test_a_run_that_goes_on_draws_nothing_again(tmp_path, monkeypatch, loader):
    config = collect.Config(sources={"drawn": {"loader": loader, "count": 6}})
    files = RunFiles(tmp_path)
    collect.run(config, files)
    assert sum(1 for _ in files.pictures("questions").rglob("*.png")) == 6
    monkeypatch.setattr(f"mixpo.questions.{loader}.source.draw", lambda *_: pytest.fail("drawn again"))
    collect.run(config, files)
    assert sum(1 for _ in files.questions("questions")) == 6
