"""The step `evaluate` end to end with a scripted backend: records, scores, comparisons, resuming, being killed."""

import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from mixpo.errors import DataError, RecipeError, UserError
from mixpo.evaluation.evaluate import Config, evaluate, parts
from mixpo.evaluation.same_model import fingerprint
from mixpo.evaluation.scores import (
    Answers,
    BenchmarkQuestions,
    comparisons,
    numbered_answers,
    scores,
)
from mixpo.evaluation.statistics import mcnemar, newcombe, wilson
from mixpo.files import RunFiles
from mixpo.model_inputs import ImagesConfig
from mixpo.pipeline import resolve
from mixpo.prompts import Style, Template
from mixpo.recipe import load_recipe
from mixpo.records import Comparison, DropReason, Outcome, Question, Verdict
from mixpo.responses.backends.scripted import ScriptedBackend
from mixpo.text_files import read_json

HERE = Path(__file__).parent
AMBIGUOUS = {"scenes": {"loader": "scenes"}, "scenes-scenes": {"loader": "scenes"}}
"""With models a and a-scenes: a-scenes-scenes-cot is two things."""


def test_every_model_benchmark_and_style_is_answered_and_judged(answer_all, config, tmp_path):
    inner = answer_all(config, tmp_path / "run")
    assert [question.id for question in inner.questions("mine")] == [f"mine-{number}" for number in range(12)]
    responses = list(inner.responses("mpo-mine-cot"))
    assert responses[0].id == "mine-0/0"
    assert responses[0].style == Style.COT
    outcomes = [verdict.outcome for verdict in inner.verdicts("mpo-mine-cot")]
    right, wrong = Outcome.CORRECT, Outcome.INCORRECT
    assert outcomes == [right] * 6 + [wrong] + [right] * 3 + [Outcome.UNPARSED, wrong]


def test_own_prompts_side_by_side(answer_all, config, tmp_path):
    short, long = (
        Template(template="{question}", name="short"),
        Template(template="{question} Go step by step.", name="long"),
    )
    inner = answer_all(replace(config, styles=(short, long, Style.COT)), tmp_path / "run")
    overall = {(s.model, s.style): s.value for s in inner.scores() if (s.category, s.metric) == ("all", "accuracy")}
    assert overall["mpo", "short"] == 6 / 12
    assert overall["mpo", "long"] == overall["mpo", "cot"] == 9 / 12
    (first, *_) = inner.responses("mpo-mine-long")
    assert (first.style, first.prompt) == ("long", "What is number 0? Go step by step.")
    for styles in ((short, replace(long, name="short")), (Style.COT, Style.COT)):
        with pytest.raises(RecipeError, match="styles: two of them are called '(short|cot)'"):
            replace(config, styles=styles)


def test_scores_by_hand(answer_all, config, tmp_path):
    inner = answer_all(config, tmp_path / "run")
    scores = {score.id: score for score in inner.scores()}
    found = scores["evaluate/mpo/mine/cot/all"]
    assert (found.value, found.n, found.metric) == (9 / 12, 12, "accuracy")
    # Right of 0 2 4 6 8 10: 0 2 4 8; right of steps 2, which are 1 4 7 10: 1 4 7.
    assert scores["evaluate/mpo/mine/cot/count"].value == 4 / 6
    assert scores["evaluate/mpo/mine/cot/steps 2"].value == 3 / 4
    assert scores["evaluate/mpo/mine/cot/all/unparsed"].value == 1 / 12
    assert scores["evaluate/mpo/mine/cot/all/unanswered"].value == 0
    # Group g0 is all right, g1 is not.
    consistency = scores["evaluate/mpo/mine/cot/all/consistency"]
    assert (consistency.value, consistency.n) == (1 / 2, 2)
    assert (consistency.low, consistency.high) == wilson(0.5, 2)
    assert scores["evaluate/base/mine/cot/all/consistency"].value == 0
    assert found.low < found.value < found.high


def test_only_correct_counts_as_right():
    """One answer of every outcome, and one that was not given: one of seven is right."""
    outcomes = [*Outcome, None]
    questions = [Question(id=f"q-{n}", text="?", answer="1", meta={"group": "g"}) for n in range(len(outcomes))]
    verdicts = [
        Verdict(id=f"q-{n}/0", question_id=f"q-{n}", outcome=outcome) for n, outcome in enumerate(outcomes) if outcome
    ]
    judged = [Verdict(id="q-0/0", question_id="q-0", outcome=Outcome.INCORRECT)]
    before = Answers("a", "mine", "cot", numbered_answers(questions, [], judged))
    after = Answers("b", "mine", "cot", numbered_answers(questions, [], verdicts))
    found = {
        score.id.removeprefix("e/b/mine/cot/all"): score.value
        for score in scores("e", after, BenchmarkQuestions(questions))
    }
    assert found[""] == 1 / len(outcomes)
    assert all(found[f"/{name}"] == 1 / len(outcomes) for name in ("unparsed", "truncated", "undecided", "unanswered"))
    assert found["/consistency"] == 0
    assert [answered.right for answered in after.answered.values()] == [o is Outcome.CORRECT for o in outcomes]
    compared = next(iter(comparisons([before, after], {"mine": BenchmarkQuestions(questions)})))
    assert (compared.metric, compared.fixed, compared.broken) == ("accuracy", 1, 0)


def test_comparisons_by_hand(answer_all, config, tmp_path):
    inner = answer_all(config, tmp_path / "run")
    compared = [Comparison(**row) for row in read_json(inner.json("comparisons"))]
    compared = [c for c in compared if (c.category, c.metric) == ("all", "accuracy")]
    over_all = {(c.before_model, c.before_style, c.after_model, c.after_style): c for c in compared}
    assert list(over_all) == [
        ("base", "direct", "base", "cot"),
        ("base", "direct", "mpo", "direct"),
        ("base", "cot", "mpo", "cot"),
        ("mpo", "direct", "mpo", "cot"),
    ]
    gain = over_all["base", "cot", "mpo", "cot"]
    # Fixed: 4 5 8 9; broken: 6. 9 - 6 of 12.
    assert (gain.value, gain.n, gain.fixed, gain.broken) == (3 / 12, 12, 4, 1)
    gap = over_all["mpo", "direct", "mpo", "cot"]
    assert (gap.value, gap.fixed, gap.broken) == (3 / 12, 3, 0)


def test_without_groups_intervals_and_p_are_those_of_single_questions(answer_all, config, rows, tmp_path):
    path = Path(config.benchmarks["mine"]["path"])
    path.write_text("".join(json.dumps({k: v for k, v in row.items() if k != "group"}) + "\n" for row in rows))
    inner = answer_all(config, tmp_path / "run")
    scores = {score.id: score for score in inner.scores()}
    found = scores["evaluate/mpo/mine/cot/all"]
    assert (found.low, found.high) == wilson(0.75, 12)
    assert "evaluate/mpo/mine/cot/all/consistency" not in scores
    rows = [r for r in read_json(inner.json("comparisons")) if (r["category"], r["metric"]) == ("all", "accuracy")]
    gain = next(row for row in rows if (row["before_style"], row["after_model"]) == ("cot", "mpo"))
    # Both right 0 1 2 3 7, fixed 4 5 8 9, broken 6, neither 10 11.
    assert (gain["low"], gain["high"]) == newcombe(5, 4, 1, 2)
    assert gain["p"] == mcnemar(4, 1) == 2 * (1 + 5) / 32


def test_a_rerun_asks_nothing_again(answer_all, config, tmp_path):
    answer_all(config, tmp_path / "run")
    before = contents(tmp_path / "run")

    def refuse(*_):
        raise AssertionError("a backend was made")

    evaluate(config, RunFiles(tmp_path / "run"), refuse)
    assert contents(tmp_path / "run") == before


def test_answers_of_a_model_are_kept_when_another_is_added(answer_all, config, tmp_path):
    answer_all(replace(config, models={"base": "written/base"}), tmp_path / "run")
    made = []

    def make(_, path):
        made.append(path)
        return ScriptedBackend(lambda request, sample: "I cannot say.")

    evaluate(config, RunFiles(tmp_path / "run"), make)
    assert made == ["written/mpo"]
    scores = {score.id: score.value for score in RunFiles(tmp_path / "run").evaluation("evaluate").scores()}
    assert scores["evaluate/base/mine/cot/all"] == 6 / 12
    assert scores["evaluate/mpo/mine/cot/all"] == 0


def test_questions_without_a_truth_are_dropped_once_with_their_reason(answer_all, config, rows, tmp_path):
    path = Path(config.benchmarks["mine"]["path"])
    del rows[3]["answer"]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    answer_all(config, tmp_path / "run")
    inner = answer_all(config, tmp_path / "run")
    assert [(record.id, record.reason) for record in inner.dropped("mine")] == [("mine-3", DropReason.NO_GROUND_TRUTH)]
    assert {score.n for score in inner.scores() if score.category == "all" and score.metric == "accuracy"} == {11}


def test_an_image_that_cannot_be_opened_counts_as_unanswered(answer_all, config, rows, tmp_path):
    path = Path(config.benchmarks["mine"]["path"])
    (tmp_path / "torn.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    rows[0]["image"] = "torn.png"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    inner = answer_all(config, tmp_path / "run")
    scores = {score.id: score for score in inner.scores()}
    assert scores["evaluate/mpo/mine/cot/all"].value == 8 / 12
    assert scores["evaluate/mpo/mine/cot/all/unanswered"].value == 1 / 12
    assert [record.reason for record in inner.dropped("mpo-mine-cot")] == [DropReason.BAD_IMAGE]


def test_models_that_answer_side_by_side_write_no_file_in_common(tmp_path):
    """Two processes that wrote one would tear it, or take the other's staged copy away."""
    config = Config(
        models={"a": "base", "b": "base"}, benchmarks={"scenes": {"loader": "scenes", "count": 3}},
        styles=(Style.COT,), max_new_tokens=8,
    )  # fmt: skip
    calls = parts(config, RunFiles(tmp_path / "run"))

    def files():
        return {path: path.stat().st_mtime_ns for path in (tmp_path / "run").rglob("*") if path.is_file()}

    written, before = [], files()
    for function, given in calls.values():
        function(*given)
        now = files()
        written.append({path for path, when in now.items() if before.get(path) != when})
        before = now
    assert len(written) == 2
    assert all(written)
    assert not written[0] & written[1]


def test_another_model_under_the_same_name_is_refused(config, tmp_path):
    """After a training was done again, old answers must not pass for the new model's."""
    model = tmp_path / "run" / "checkpoints" / "train" / "model"
    model.mkdir(parents=True)
    (model / "model.safetensors").write_bytes(b"first")
    config = replace(config, models={"mpo": "step:train"})
    backend = ScriptedBackend(lambda request, sample: "1")
    evaluate(config, RunFiles(tmp_path / "run"), lambda *_: backend)
    (model / "model.safetensors").write_bytes(b"other")
    with pytest.raises(UserError, match="answers of another model named 'mpo'"):
        evaluate(config, RunFiles(tmp_path / "run"), lambda *_: backend)


def test_fingerprint_sees_both_ends_of_a_large_file(tmp_path):
    file = tmp_path / "weights"
    content = bytearray(3 << 20)
    prints = set()
    for place in (None, 5, len(content) - 5):
        changed = bytearray(content)
        if place is not None:
            changed[place] = 1
        file.write_bytes(changed)
        prints.add(fingerprint(tmp_path))
    assert len(prints) == 3


@pytest.mark.parametrize(
    ("values", "error", "message"),
    [
        ({"models": {}}, ValueError, "at least one"),
        ({"models": {"a/b": "base"}}, ValueError, "'a/b'"),
        ({"benchmarks": {"mine": {"loader": "jsnl", "path": "x"}}}, RecipeError, "jsnl"),
        ({"models": {"a": "x", "a-scenes": "y"}, "benchmarks": AMBIGUOUS}, ValueError, "same name"),
    ],
)
def test_a_bad_config_is_refused_with_a_sentence(values, error, message):
    good = {"models": {"base": "base"}, "benchmarks": {"scenes": {"loader": "scenes"}}}
    with pytest.raises(error, match=message):
        Config(**{**good, **values})


@pytest.mark.parametrize(
    ("given", "place", "message"),
    [
        (["loader: scenes", "counts: 5"], "6: steps.evaluate.benchmarks.s.counts", "unknown key; did you mean 'count'"),
        (["loader: scenes", "count: no"], "6: steps.evaluate.benchmarks.s.count", "must be a whole number, not False"),
        (["loader: scenes", "split: some"], "4: steps.evaluate.benchmarks.s", "split 'some' is none of"),
        (["loader: scene"], "5: steps.evaluate.benchmarks.s.loader", "'scene' is none of ai2d"),
        (["loader: pope", "samples: many"], "6: steps.evaluate.benchmarks.s.samples", "must be a whole number"),
        (["loader: pope", "samples: 0"], "4: steps.evaluate.benchmarks.s", "samples must be at least 1"),
        (["loader: pope", "splitt: x"], "6: steps.evaluate.benchmarks.s.splitt", "unknown key; did you"),
        (
            ["loader: jsonl", "path: x", "fields:", "  txt: a"],
            "8: steps.evaluate.benchmarks.s.fields.txt",
            "a question has no such field",
        ),
    ],
)
def test_a_benchmarks_mistake_has_its_own_line(tmp_path, given, place, message):
    lines = ["steps:", "  evaluate:", "    benchmarks:", "      s:", *(f"        {text}" for text in given)]
    (tmp_path / "r.yaml").write_text("\n".join([*lines, "    models: {base: base}"]))
    with pytest.raises(RecipeError) as raised:
        resolve(load_recipe(tmp_path / "r.yaml"))
    assert f"r.yaml:{place}: {message}" in str(raised.value)


def test_a_benchmark_without_any_truth_is_refused(answer_all, config, rows, tmp_path):
    path = Path(config.benchmarks["mine"]["path"])
    path.write_text(json.dumps({"text": "Describe it."}) + "\n")
    with pytest.raises(DataError, match="no question with a ground truth"):
        answer_all(config, tmp_path / "run")


CHILD = """
import json, sys
sys.path.insert(0, {here!r})
from conftest import written
from mixpo.config import build
from mixpo.evaluation.evaluate import Config, evaluate
from mixpo.files import RunFiles
from mixpo.model_inputs import ImagesConfig

def make(_, path):
    backend = written(path)
    at_once = backend.answer
    backend.answer = lambda request, sample: (sys.stdin.readline(), at_once(request, sample))[1]
    return backend

values = json.loads(sys.argv[2])
print("started", flush=True)
evaluate(build(Config, values, ""), RunFiles(sys.argv[1]), make)
"""


def test_killed_at_any_moment_it_goes_on_to_the_same_records(answer_all, config, tmp_path):
    answer_all(config, tmp_path / "whole")
    values = {
        "models": config.models, "benchmarks": config.benchmarks, "max_new_tokens": config.max_new_tokens,
        "block": config.block,
    }  # fmt: skip
    command = [sys.executable, "-c", CHILD.format(here=str(HERE)), str(tmp_path / "run"), json.dumps(values)]
    rng = random.Random(0)
    # The model gives an answer for each line it gets: 45 are not the 48 asked for, however long a child runs.
    for answers in (0, 1, 3, 4, 5, 6, 7, 9, 10):
        child = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )  # fmt: skip
        assert child.stdout.readline() == b"started\n"
        child.stdin.write(b"\n" * answers)
        child.stdin.flush()
        time.sleep(rng.uniform(0, 0.2))
        child.kill()
        child.communicate()
        assert child.returncode == -signal.SIGKILL
    assert len(contents(tmp_path / "run")) < len(contents(tmp_path / "whole"))
    subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=True)
    assert contents(tmp_path / "run") == contents(tmp_path / "whole")


def contents(root: Path) -> dict[str, str]:
    return {str(path.relative_to(root)): path.read_text() for path in sorted(root.rglob("*")) if path.is_file()}


def drawn(config, **answering):
    mine = {**config.benchmarks["mine"], "samples": 3, "temperature": 1.0, **answering}
    return replace(config, benchmarks={"mine": mine}, styles=(Style.COT,))


def by_number(request, sample):
    """Question i has its first i mod 4 answers right; the truth is i."""
    number = int(request.id.rpartition("-")[2])
    return f"Final answer: {number if sample < number % 4 else number + 1}"


def test_several_answers_a_question_by_hand(config, tmp_path):
    """Of three answers to each of twelve questions 0, 1, 2, 3 in turn are right: 18 of 36."""
    files = RunFiles(tmp_path / "run")
    made = []

    def make(_, path):
        made.append(path)
        rule = by_number if path == "written/base" else lambda request, _: "Final answer: 7"
        return ScriptedBackend(rule)

    evaluate(drawn(config), files, make)
    inner = files.evaluation("evaluate")
    assert [r.id for r in inner.responses("base-mine-cot")][:4] == ["mine-0/0", "mine-0/1", "mine-0/2", "mine-1/0"]
    scores = {score.id: score for score in inner.scores()}
    found = scores["evaluate/base/mine/cot/all"]
    assert (found.value, found.n) == (18 / 36, 12)
    # Even questions have 0 or 2 of 3 right, odd ones 1 or 3.
    assert scores["evaluate/base/mine/cot/count"].value == 1 / 3
    assert scores["evaluate/base/mine/cot/sum"].value == 2 / 3
    assert scores["evaluate/mpo/mine/cot/all"].value == 1 / 12
    # Question 0, or 8, is never right: neither group is, in any round of answers.
    consistency = scores["evaluate/base/mine/cot/all/consistency"]
    assert (consistency.value, consistency.n) == (0.0, 2)
    (gain,) = [
        Comparison(**row)
        for row in read_json(inner.json("comparisons"))
        if (row["category"], row["metric"]) == ("all", "accuracy")
    ]
    # The other model is right three times of three about question 7, as this one is.
    assert (gain.value, gain.n, gain.fixed, gain.broken) == (-15 / 36, 12, 0, 15)
    evaluate(drawn(config), files, make)
    assert len(made) == 2  # nothing is asked again


def test_consistency_is_a_mean_over_rounds_of_answers():
    """Group a is all right in the first round of two, b in both: 3 of 4."""
    questions = [Question(id=f"q{n}", text="?", answer="1", meta={"group": "aabb"[n]}) for n in range(4)]
    right = {f"q{n}/{k}" for n in range(4) for k in range(2)} - {"q1/1"}
    verdicts = [
        Verdict(id=id, question_id=id[:2], outcome=Outcome.CORRECT if id in right else Outcome.INCORRECT)
        for id in sorted(right | {"q1/1"})
    ]
    answers = Answers("m", "b", "cot", numbered_answers(questions, [], verdicts, samples=2))
    found = {
        score.metric: score for score in scores("s", answers, BenchmarkQuestions(questions)) if score.category == "all"
    }
    assert (found["consistency"].value, found["consistency"].n) == (3 / 4, 2)
    assert (found["accuracy"].value, found["accuracy"].n) == (7 / 8, 4)
    # The means of the groups are 1/2 and 1: deviations -1/4 and 1/4, twice each. Clustered (1/4 + 1/4) * 2 / 1 = 1,
    # independent 3 * (1/4)^2 + (3/4)^2 = 3/4: four rounds tell as much as 4 / (4 / 3) = 3 independent ones.
    assert found["consistency"].low == pytest.approx(wilson(3 / 4, 3)[0])


def test_the_interval_of_several_answers_counts_questions(config, rows, tmp_path):
    """Answers to one question that are all alike tell as little as a single one."""
    path = Path(config.benchmarks["mine"]["path"])
    path.write_text("".join(json.dumps({k: v for k, v in row.items() if k != "group"}) + "\n" for row in rows))

    def one_in_two(request, _):
        number = int(request.id.rpartition("-")[2])
        return f"Final answer: {number + number % 2}"

    files = RunFiles(tmp_path / "run")
    evaluate(drawn(config), files, lambda *_: ScriptedBackend(one_in_two))
    found = {score.id: score for score in files.evaluation("evaluate").scores()}["evaluate/base/mine/cot/all"]
    # The clustered variance with 12 groups has 11 in its denominator: 11 questions' worth.
    assert (found.low, found.high) == pytest.approx(wilson(0.5, 11))


@pytest.mark.parametrize("noted", [True, False])
def test_answers_drawn_in_another_way_are_refused(answer_all, config, tmp_path, noted):
    inner = answer_all(config, tmp_path / "run")
    if not noted:  # as an earlier version left it, which knew greedy answers only
        inner.json("benchmarks/mine").unlink()
    with pytest.raises(UserError, match="holds answers to 'mine' with samples 1, not 3"):
        answer_all(drawn(config), tmp_path / "run")
    if noted:
        with pytest.raises(UserError, match="holds answers to 'mine' with max_new_tokens 20, not 30"):
            answer_all(replace(config, max_new_tokens=30), tmp_path / "run")


@pytest.mark.parametrize(
    ("other", "says"),
    [
        ({"images": ImagesConfig(max_pixels=500)}, "images None, not {'max_pixels': 500}"),
        ({"chat_template": {"enable_thinking": False}}, "chat_template None, not {'enable_thinking': False}"),
    ],
)
def test_pictures_and_templates_belong_to_how_a_benchmark_is_answered(answer_all, config, tmp_path, other, says):
    inner = answer_all(config, tmp_path / "run")
    assert list(read_json(inner.json("benchmarks/mine"))) == [
        "samples", "temperature", "top_k", "seed", "max_new_tokens",
    ]  # fmt: skip
    with pytest.raises(UserError, match=re.escape(f"holds answers to 'mine' with {says}")):
        answer_all(replace(config, **other), tmp_path / "run")
    answer_all(replace(config, **other), tmp_path / "other")
    with pytest.raises(UserError, match="holds answers to 'mine' with .*, not None"):
        answer_all(config, tmp_path / "other")


def test_a_word_that_one_of_several_models_does_not_know_is_left_out_for_it():
    given = Config(models={"a": "base"}, benchmarks=AMBIGUOUS, chat_template={"enable_thinking": False})
    assert not given.inputs.strict
    assert given.inputs.chat_template == {"enable_thinking": False}


def test_nothing_is_refused_before_anything_is_answered(answer_all, config, tmp_path):
    with pytest.raises(UserError, match="has not finished"):
        answer_all(replace(drawn(config), models={"base": "step:missing"}), tmp_path / "run")
    inner = answer_all(config, tmp_path / "run")
    assert read_json(inner.json("benchmarks/mine"))["samples"] == 1


@pytest.mark.parametrize(
    ("answering", "message"),
    [
        ({"samples": 0}, "benchmarks.mine: samples must be at least 1"),
        ({"temperature": -1.0}, "benchmarks.mine: sampling needs temperature >= 0"),
        ({"temperature": "nan"}, "temperature: must be a finite number"),
        ({"temperature": "inf"}, "temperature: must be a finite number"),
        ({"top_k": -1}, "top_k >= 0"),
        ({"temperature": 0.0}, "3 samples at temperature 0 would be the same"),
        ({"samples": "many"}, "benchmarks.mine.samples: must be a whole number"),
    ],
)
def test_a_benchmark_that_cannot_be_answered_so_is_refused_at_once(config, answering, message):
    with pytest.raises(RecipeError, match=message):
        drawn(config, **answering)
