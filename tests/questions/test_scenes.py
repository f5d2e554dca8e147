import io
import random
import re

import pytest
from PIL import Image

from mixpo.evaluation.benchmarks.scene_objects import objects
from mixpo.prompts import Style
from mixpo.questions.demonstrations import Config as DemonstrationConfig
from mixpo.questions.demonstrations import demonstrate
from mixpo.questions.scenes import chains
from mixpo.questions.scenes.ask import Task, Term, task_from_state, truth, wording
from mixpo.questions.scenes.scene import COLOURS, Chart, Grid, Thing, draw, from_state, split_of
from mixpo.questions.scenes.source import Config, load
from mixpo.records import FinishReason, Outcome, Response
from mixpo.verdicts.verify import verify

GRID = Grid(
    (
        Thing(0, 0, "red", "circle"),
        Thing(0, 3, "blue", "square"),
        Thing(1, 0, "red", "square"),
        Thing(3, 3, "green", "star"),
    )
)
CHART = Chart((("red", 3), ("blue", 7), ("yellow", 7), ("green", 1)))
RED, SQUARES, BLUE_SQUARES = Term("red", None), Term(None, "square"), Term("blue", "square")


def questions(**given):
    return [item.question for item in load(Config(**given), "scenes", 0)]


@pytest.mark.parametrize(
    ("task", "scene", "text", "answer"),
    [
        (Task("sum", (RED,), (1,)), GRID, "How many red shapes are there?", "2"),
        (Task("sum", (RED, SQUARES), (1, -1)), GRID, "What is the number of red shapes minus squares?", "0"),
        (Task("sum", (BLUE_SQUARES, RED), (1, -1)), GRID, "What is the number of blue squares minus red shapes?", "-1"),
        (Task("compare", (RED, BLUE_SQUARES)), GRID, "Are there more red shapes than blue squares?", "yes"),
        (Task("compare", (RED, SQUARES)), GRID, "Are there more red shapes than squares?", "no"),
        (Task("neighbour", side="below", anchor="red circle"), GRID,
         "What is directly below the red circle?", "red square"),
        (Task("neighbour", side="left of", anchor="blue square"), GRID,
         "What is directly left of the blue square?", "nothing"),
        (Task("beside", (SQUARES,), (), "above", "green star"), GRID,
         "How many squares are above the green star?", "2"),
        (Task("sum", (Term("blue", None),), (1,)), CHART, "How tall is the blue bar?", "7"),
        (Task("compare", (Term("red", None), Term("green", None))), CHART,
         "Is the red bar taller than the green bar?", "yes"),
    ],
)  # fmt: skip
def test_truth_and_wording(task, scene, text, answer):
    assert wording(task, scene) == text
    assert truth(task, scene) == answer


def test_most_is_a_choice():
    task = Task("most", (BLUE_SQUARES, RED, Term("green", None)))
    assert truth(task, GRID) == "B"


def test_a_careful_chain_reads_like_this():
    chain, answer = chains.careful(Task("sum", (RED, SQUARES), (1, 1)), GRID)
    assert chain.split("\n") == [
        "Let me look closely.",
        "a1 red circle: red shapes 1",
        "a4 blue square: squares 1",
        "b1 red square: red shapes 2, squares 2",
        "d4 green star",
        "red shapes 2, squares 2",
        "2 + 2 = 4",
    ]
    assert answer == "4"


def test_careful_chains_are_right_and_hasty_ones_slip():
    rng = random.Random(0)
    wrong = 0
    for question in questions(count=400):
        scene, task = from_state(question.meta["scene"]), task_from_state(question.meta["task"])
        assert chains.careful(task, scene)[1] == question.answer
        assert chains.hasty(task, scene, rng, slip=0.0)[1] == question.answer
        wrong += chains.hasty(task, scene, rng, slip=0.5)[1] != question.answer
    assert 100 < wrong < 350


def test_an_overlooking_chain_finds_one_too_few_of_each():
    """Two red shapes, two squares, no green ones; one too few of nothing is nothing."""
    scene = Grid((Thing(0, 0, "red", "circle"), Thing(1, 0, "red", "square"), Thing(2, 0, "blue", "square")))
    task = Task("sum", (Term("red", None), Term(None, "square"), Term("green", None)), (1, 1, 1))
    chain, answer = chains.hasty(task, scene, random.Random(0), slip=1.0, overlook=1.0)
    assert chain == "At a glance: red shapes 1, squares 1, green shapes 0\n1 + 1 = 2\n2 + 0 = 2"
    assert answer == "2"


def test_every_step_of_a_careful_chain_is_true():
    """Recounted from the state, independently of how the chain was written."""
    for question in questions(count=200):
        scene, task = from_state(question.meta["scene"]), task_from_state(question.meta["task"])
        if isinstance(scene, Chart) or task.family != "sum":
            continue
        lines = chains.careful(task, scene)[0].split("\n")[1:]
        for number, thing in enumerate(scene.things):
            assert lines[number].startswith(f"{thing.cell} {thing.name}")
            for name, count in re.findall(r"((?:\w+ )?\w+s) (\d+)", lines[number].partition(":")[2]):
                term = next(term for term in task.terms if term.name == name)
                seen = scene.things[: number + 1]
                assert int(count) == sum(
                    term.colour in (None, other.colour) and term.shape in (None, other.shape) for other in seen
                )


def test_the_judge_accepts_every_demonstration_that_is_right():
    asked = {question.id: question for question in questions(count=150)}
    config = DemonstrationConfig(direct=0.3, hasty=0.0, other_styles=0.5)
    styles = set()
    for record in demonstrate(asked.values(), config):
        styles.add(record.id.rsplit("/", 1)[1])
        response = Response(
            id="r", question_id=record.question_id, sample=0, text=record.text, finish_reason=FinishReason.STOP
        )
        verdict = verify(asked[record.question_id], response)
        assert verdict.outcome is Outcome.CORRECT, (record.text, asked[record.question_id].answer, verdict)
    assert styles == {Style.DIRECT, Style.COT, Style.COT_ZH, Style.BOXED, Style.THINK}


def test_splits_share_no_scene():
    seen = {}
    for split in ("train", "dev", "test"):
        for question in questions(split=split, count=300):
            state = repr(question.meta["scene"])
            assert seen.setdefault(state, split) == split
            assert split_of(from_state(question.meta["scene"])) == split


def test_a_question_depends_on_its_number_alone():
    assert questions(count=5, start=10) == questions(count=20)[10:15]
    first, again = (
        [{path: drawn() for path, drawn in item.pictures.items()} for item in load(Config(count=3), "scenes", 0)]
        for _ in range(2)
    )
    assert first == again
    assert len({content for pictures in first for content in pictures.values()}) == 3
    other = [item.question.meta for item in load(Config(count=5), "scenes", 1)]
    assert other != [question.meta for question in questions(count=5)]


def test_longer_chains_and_descriptions():
    assert {question.meta["steps"] for question in questions(count=40, steps=(6, 7))} == {6, 7}
    for question in questions(count=20, describe=True):
        assert question.answer is None
        assert question.text in ("Describe the picture.", "Describe the chart.")


def test_the_picture_shows_the_scene():
    """The middle of each cell has its thing's colour, within the drawn shade; empty cells are bright."""
    image = Image.open(io.BytesIO(draw(GRID, "0")))
    assert image.size == (64, 64)
    for row in range(4):
        for column in range(4):
            thing = GRID.at(row, column)
            pixel = image.getpixel((column * 16 + 8, row * 16 + 8))
            if thing is None:
                assert min(pixel) > 230
            else:
                assert all(abs(part - want) <= 15 for part, want in zip(pixel, COLOURS[thing.colour], strict=True))


def test_bars_are_as_tall_as_they_say():
    image = Image.open(io.BytesIO(draw(CHART, "0")))
    for number, (colour, height) in enumerate(CHART.bars):
        column = [image.getpixel((number * 16 + 8, row)) for row in range(64)]
        assert sum(pixel == COLOURS[colour] for pixel in column) == pytest.approx(6 * height, abs=1)


@pytest.mark.parametrize("given", [{"split": "all"}, {"things": (5, 2)}, {"things": (1, 17)}, {"steps": (0,)}])
def test_senseless_settings_are_refused(given):
    with pytest.raises(ValueError, match="must be|none of"):
        Config(**given)


def test_scenes_in_words_need_no_picture():
    """The same question about the same scene, its things listed; the truth stays."""
    (shown,) = load(Config(split="test", count=1), "s", 0)
    (said,) = load(Config(split="test", count=1, in_words=True), "s", 0)
    assert (said.question.images, said.pictures) == ((), {})
    assert said.question.text.startswith("The picture shows:\n")
    assert said.question.text.endswith(f"\n{shown.question.text}")
    assert said.question.answer == shown.question.answer
    with pytest.raises(ValueError, match="exclude each other"):
        Config(in_words=True, describe=True)


def test_some_descriptions_are_without_their_picture():
    asked = questions(count=400)
    seen = list(demonstrate(asked, DemonstrationConfig(describe=0.5)))
    some = list(demonstrate(asked, DemonstrationConfig(describe=0.5, blind=0.5)))
    assert all(record.images for record in seen)
    described = [record for record in some if record.prompt.startswith("Describe")]
    assert all(record.images for record in some if record not in described)
    assert 70 <= sum(not record.images for record in described) <= 130  # 100 expected, standard deviation 8.7
    assert [(one.id, one.prompt, one.text) for one in some] == [(one.id, one.prompt, one.text) for one in seen]


def test_embellished_descriptions_name_things_that_are_not_there_behind_those_that_are():
    free = Grid(GRID.things[:3])
    texts = [chains.embellished(free, random.Random(seed)) for seed in range(200)]
    assert all(text.startswith(chains.describe(free) + "\n") for text in texts)
    added = [objects(text, free) for text in texts]
    assert {named - 3 for named, _, _ in added} == {1, 2}
    assert all(named - wrong == found == 3 for named, wrong, found in added)
    assert chains.embellished(GRID, random.Random(0)) == chains.describe(GRID)  # its last cell is taken
    assert chains.embellished(CHART, random.Random(0)) == chains.describe(CHART)


def test_the_share_of_embellished_descriptions():
    asked = questions(count=300, describe=True, charts=0.0)
    texts = [record.text for record in demonstrate(asked, DemonstrationConfig(embellish=0.5))]
    wrong = [objects(text, from_state(one.meta["scene"]))[1] > 0 for text, one in zip(texts, asked, strict=True)]
    room = sum(from_state(one.meta["scene"]).things[-1].cell != "d4" for one in asked)
    assert sum(wrong) == pytest.approx(room / 2, abs=30)  # standard deviation below 8
