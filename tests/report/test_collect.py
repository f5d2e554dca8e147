"""What is read off a run folder."""

import math
from collections import Counter

from mixpo.records import DropReason, Origin, Outcome
from mixpo.report.charts import _trained
from mixpo.report.collect import collect
from mixpo.text_files import write_text


def test_an_empty_run_is_just_its_recipe(files):
    data = collect(files)
    assert data.name == "little"
    assert data.versions == {"mixpo": "0.1", "commit": "abc1234"}
    assert (data.questions, data.responses, data.origins) == ({}, {}, {})
    assert (data.trainings, data.evaluations, data.gallery, data.drops, data.costs) == ([], [], [], [], [])


def test_counts(full):
    data = collect(full)
    assert data.questions == {"questions": 2}
    assert data.responses == {"sample": 4}
    assert data.outcomes == {"verify": Counter({Outcome.CORRECT: 2, Outcome.INCORRECT: 1, Outcome.UNPARSED: 1})}
    assert data.origins == {"pair": Counter({Origin.CORRECTNESS: 1, Origin.FORMAT: 1})}
    assert data.paired == {"pair": 2}


def test_training_merges_lines_of_a_step_and_skips_a_torn_one(full):
    (training,) = collect(full).trainings
    assert [row["step"] for row in training.steps] == [1, 2, 3]
    assert training.steps[1] == {"step": 2, "loss": 0.8, "loss/generation": 0.09, "tokens": 120, "eval_loss": 0.85}
    assert math.isnan(training.steps[2]["loss"])
    assert (training.offered, training.finished, training.used) == (2, True, None)
    write_text(full.checkpoints("train") / "data.json", '{"sha256": "x", "records": 1, "batch": 4}')
    data = collect(full)
    assert data.trainings[0].used == 1
    assert [(bar.label, bar.value) for bar in _trained(data)] == [("train", 1)]


def test_drops_are_counted_by_reason_with_what_they_stand_for(full):
    drops = {(d.section, d.reason): (d.count, [record.id for record in d.examples]) for d in collect(full).drops}
    assert drops == {
        ("pair", DropReason.OVER_CAP): (40, ["mine-8"]),
        ("pair", DropReason.ALL_CORRECT): (1, ["mine-7"]),
        ("train", DropReason.COMPLETION_TOO_LONG): (1, ["mine-1/0>1"]),
    }


def test_time_and_tokens_of_each_step(full):
    """Responses wrote 10 + 11 + 12 + 13 tokens, training saw 100 + 120 + 80, the evaluation wrote 7."""
    costs = {cost.section: (cost.step, cost.seconds, cost.tokens) for cost in collect(full).costs}
    assert costs == {
        "questions": ("questions", 1.0, 0),
        "sample": ("sample", 60.0, 46),
        "train": ("train", 20.0, 300),
        "evaluate": ("evaluate", 4.0, 7),
    }


def test_gallery_takes_turns_between_origins_and_finds_the_questions(full):
    gallery = collect(full, pairs_shown=1).gallery
    assert [shown.pair.origin for shown in gallery] == [Origin.CORRECTNESS]
    gallery = collect(full, pairs_shown=5).gallery
    assert [shown.pair.id for shown in gallery] == ["mine-0/0>1", "mine-1/0>1"]
    assert [shown.question.answer for shown in gallery] == ["0", "1"]
