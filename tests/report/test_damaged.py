"""The report of a run whose files somebody damaged: the rest is there, and each damage stands where its part would."""

import json
import re
import sqlite3

import pytest

from fixtures.damage import NO_FILE, linked, pipe, written
from mixpo.errors import DataError
from mixpo.publish import publish_data
from mixpo.report.collect import collect
from mixpo.report.figures import Bar, Series, bars, line_chart
from mixpo.report.page import Config, run
from mixpo.report.reviews import Reviews
from mixpo.report.warning_signs import signs

DAMAGED = {
    "evaluation/evaluate/comparisons.json": (written('[{"benchmark": 5}]'), "Evaluation", "0.benchmark: must be text"),
    "questions/questions/part-00000.jsonl": (pipe, "From questions to training", "it is a pipe, no file"),
    "verdicts/verify/part-00000.jsonl": (linked("/dev/zero"), "From questions to training", "it is a device, no file"),
    "funnel/pair.json": (written('{"answered": [],'), "From questions to training", "pair.json:1 cannot be read"),
    "checkpoints/train/log.jsonl": (
        written('{"step": 1, "loss": 0.5}\n{"step": 2, "loss": 1e999}\n{"step": 3, "loss": 0.4}\n'),
        "Training", "log.jsonl:2 is no line of a training's log (a number that is too large); it is left out",
    ),
    "checkpoints/train/signatures.json": (written("[5]"), "Training", "0: must be a mapping, not 5"),
    "dropped/train/part-00000.jsonl": (linked("{name}"), "What was left out", "Too many levels of symbolic links"),
    "timings/sample.json": (written('{"seconds":\n"x"}'), "Time and tokens", "seconds: must be a number, not 'x'"),
    "reviews.sqlite": (written("no database, but a text that is long"), "Human review", "file is not a database"),
    "questions/questions/image_roots.json": (written('{"mine": 5}'), "", "mine: must be text, not 5"),
}  # fmt: skip
"""File -> what is done to it, the part of the page that it costs, and what is said there."""


def sections(html):
    """Heading -> what stands below it, as text."""
    parts = re.findall(r"<section>\s*<h2>(.*?)</h2>(.*?)</section>", html, re.DOTALL)
    return {title: re.sub(r"<[^>]+>", " ", text).replace("&#39;", "'") for title, text in parts}


def test_every_part_says_what_could_not_be_read_and_the_others_are_there(full, capsys):
    run(Config(), full)
    whole = sections(full.report.read_text())
    assert not [title for title in whole if "could not be read" in title]
    assert capsys.readouterr().err == ""
    for name, (damage, _, _) in DAMAGED.items():
        damage(full.root / name)
    run(Config(), full)
    found, printed = sections(full.report.read_text()), " ".join(capsys.readouterr().err.split())
    for name, (_, title, said) in DAMAGED.items():
        if title:
            text = found[f"{title}: what could not be read"]
            assert (said in text, str(full.root / name) in text) == (True, True)
            assert (said in printed, str(full.root / name) in printed) == (True, True)
    pairs = found["Preference pairs"]
    assert "How many?" in pairs
    assert DAMAGED["questions/questions/image_roots.json"][2] in pairs  # in the picture's place
    assert "from 0.5 to 0.4" in full.report.read_text()  # the lines of the log before and after the damaged one
    assert {"From questions to training", "Training: train", "How to get this again"} <= found.keys()


@pytest.mark.parametrize("text", ["", "steps: &a {x: *a}"])
def test_without_its_recipe_a_run_is_reported(full, text, capsys):
    full.recipe.write_text(text)
    run(Config(pairs_shown=0), full)
    found = sections(full.report.read_text())
    assert str(full.recipe) in found["How to get this again: what could not be read"]
    assert "from 0.93" in full.report.read_text()
    assert str(full.recipe) in " ".join(capsys.readouterr().err.split())


def test_nothing_is_published_of_a_damaged_run(full, tmp_path):
    full.json("timings/sample").write_text("[]")
    with pytest.raises(DataError, match=r"sample.json cannot be read \(must be a mapping, not \[\]\)"):
        publish_data(full, "pair", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_values_that_do_not_belong_together_cost_a_part(full):
    """Each is what it should be; the scores of a model are not there."""
    lines = full.evaluation("evaluate").scores().paths()[0].read_text().splitlines(keepends=True)
    kept = [line for line in lines if "/mpo/scenes/cot/" not in line]
    full.evaluation("evaluate").scores().paths()[0].write_text("".join(kept))
    run(Config(pairs_shown=0), full)
    found = sections(full.report.read_text())
    assert "does not fit together (AssertionError" in found["Evaluation: what could not be read"]
    assert "Training: train" in found


@pytest.mark.parametrize("value", [10**400, 1e308, float("inf"), float("nan"), 5e-324, -1e308])
def test_numbers_beyond_all_scales_are_drawn(value):
    assert "<svg" in bars("x", [Bar("a", value, "text"), Bar("b", 1, "1")], max(value, 1))
    series = Series("a", [(1, 0.5), (2, float(min(value, 1e308))), (3, 0.0)])
    assert "<svg" in line_chart("x", [series])


def test_signs_that_a_newer_version_knows_are_read_over(full):
    path = full.checkpoints("train") / "signatures.json"
    known = {"sign": "chosen_falls", "before": -9.0, "after": -12.0, "more": 1}
    path.write_text(json.dumps([known, {"sign": "a new one"}]))
    assert [sign[:30] for sign in signs(full, ["train"], [])] == ["train: the chosen completions "]


@pytest.mark.parametrize(("damage", "said"), NO_FILE.values(), ids=NO_FILE)
def test_reviews_that_are_no_file(tmp_path, damage, said):
    damage(tmp_path / "reviews.sqlite")
    with pytest.raises(DataError, match="put a plain file there"):
        Reviews(tmp_path / "reviews.sqlite").counts("ann", "c")


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("CREATE TABLE items (id)", "no such column"),
        ("CREATE VIEW items AS WITH RECURSIVE n(id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM n) "
         "SELECT id, id AS contest, id AS place, id AS preferred, id AS question_id FROM n", "interrupted"),
        ("{ours}; INSERT INTO items VALUES ('i', 'c', 'q', 'p', 'f', 's', '', 1); "
         "INSERT INTO answers VALUES ('i', 'ann', 'best', 1, 'tie', 'tie', 'tie', 0)", "'best' is not a valid"),
        ("{ours}; INSERT INTO items VALUES (x'00', 'c', 'q', 'p', 'f', 's', '', 1); "
         "INSERT INTO answers VALUES (x'00', 'ann', 'tie', 1, 'tie', 'tie', 'tie', 0)", "a name that is no text"),
    ],
    ids=["schema", "endless", "choice", "bytes"],
)  # fmt: skip
def test_reviews_that_another_program_wrote(tmp_path, monkeypatch, script, said):
    from mixpo.report import reviews

    monkeypatch.setattr(reviews, "LONGEST", 0.1)
    with sqlite3.connect(tmp_path / "reviews.sqlite") as connection:
        connection.executescript(script.format(ours=reviews.SCHEMA))
    connection.close()
    with pytest.raises(DataError, match=said):
        Reviews(tmp_path / "reviews.sqlite").answers()


def test_reviews_that_another_process_holds(tmp_path, monkeypatch):
    from mixpo.report import reviews

    monkeypatch.setattr(reviews, "LONGEST", 0.1)
    path = tmp_path / "reviews.sqlite"
    Reviews(path).add([])
    holder = sqlite3.connect(path)
    holder.execute("BEGIN EXCLUSIVE")
    with pytest.raises(DataError, match="database is locked"):
        Reviews(path).answers()
    holder.close()


def test_a_log_of_strange_steps(full):
    log = full.checkpoints("train") / "log.jsonl"
    log.write_text('{"step": Infinity, "loss": 1}\n{"loss": 1}\n{"step": 1, "loss": 0.5, "tokens": NaN}\n')
    assert [training.steps[0]["loss"] for training in collect(full).trainings] == [0.5]
