"""Best of N: the curves against enumeration by hand, votes over equal answers, and the whole step."""

import json
import time
from dataclasses import replace
from itertools import combinations
from math import comb

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fixtures.rewarder import Rewarder, rewarder
from mixpo.errors import UserError
from mixpo.evaluation.best_of import Config, any_of, best_by, run
from mixpo.evaluation.votes import Tried, answer_classes, majority
from mixpo.files import RunFiles
from mixpo.images import ImageRoots
from mixpo.records import AnswerKind, FinishReason, Question, Response
from mixpo.text_files import read_json
from mixpo.verdicts.process_reward import RewardConfig, Steps, StepScores, rewards
from mixpo.verdicts.verify import verify

__all__ = ["rewarder"]
KEY = "sk-of-the-test-5f0c"


def tried(texts: list[str], answer: str, kind: AnswerKind, choices: tuple[str, ...] = ()) -> Tried:
    question = Question(id="q", text="?", answer=answer, kind=kind, choices=choices)
    responses = [
        Response(id=f"q/{n}", question_id="q", sample=n, text=text, finish_reason=FinishReason.STOP)
        for n, text in enumerate(texts)
    ]
    return Tried(question, tuple((response, verify(question, response)) for response in responses))


def test_best_by_a_score_by_hand():
    """Scores 1 2 3, right F T F: of the pairs {1,2} {1,3} {2,3} the best is right in the first."""
    assert best_by([1, 2, 3], [False, True, False], 2) == pytest.approx(1 / 3)
    assert best_by([1, 2, 3], [False, True, False], 3) == 0.0
    assert best_by([1, 1], [True, False], 2) == 0.5  # a tie


@given(
    st.lists(st.tuples(st.integers(0, 9), st.booleans()), min_size=1, max_size=7, unique_by=lambda pair: pair[0]),
    st.data(),
)
@settings(max_examples=50)
def test_best_by_equals_the_enumeration_of_all_subsets(items, data):
    k = data.draw(st.integers(1, len(items)))
    scores, right = [score for score, _ in items], [value for _, value in items]
    best = [max(subset, key=lambda n: scores[n]) for subset in combinations(range(len(items)), k)]
    assert best_by(scores, right, k) == pytest.approx(sum(right[n] for n in best) / comb(len(items), k))
    some = [any(right[n] for n in subset) for subset in combinations(range(len(items)), k)]
    assert any_of(right, k) == pytest.approx(sum(some) / len(some))


def test_equal_answers_are_one_class():
    """Numbers in other forms, letters and options; what has no answer has no class."""
    item = tried(["It is 0.5", "Final answer: 1/2", "Final answer: 3", "I cannot say."], "4", AnswerKind.NUMBER)
    assert answer_classes(item) == [1, 1, 2, None]
    item = tried(["(B)", "blue", "(A)", "(C)"], "A", AnswerKind.CHOICE, ("red", "blue", "green"))
    assert answer_classes(item) == [1, 1, 0, 2]


def test_majority():
    assert majority([1, 1, 0], [False, False, True], 3, "q") == 0.0
    assert majority([1, 0, 0], [False, True, True], 3, "q") == 1.0
    assert majority([None, None, 0], [False, False, True], 3, "q") == 1.0  # two without an answer have no vote
    assert majority([None], [False], 1, "q") == 0.0
    # One drawn of 1 0 0 0: right three times of four, over 100 draws.
    assert majority([1, 0, 0, 0], [False, True, True, True], 1, "q") == pytest.approx(0.75, abs=0.15)


def test_the_step_end_to_end_and_resumed(tmp_path, rewarder):
    """Two questions, truth 4, four responses each of which one is right; the reward model sees which."""
    rows = [{"id": number, "text": "2 + 2?", "answer": "4", "kind": "integer"} for number in (0, 1)]
    (tmp_path / "q.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    texts = ["Final answer: 5", "I think.\nFinal answer: 5", "Look.\nFinal answer: 4", "Final answer: 3"]
    script = [
        {"id": f"best_of-{n}", "sample": sample, "text": text} for n in (0, 1) for sample, text in enumerate(texts)
    ]
    (tmp_path / "script.jsonl").write_text("".join(json.dumps(line) + "\n" for line in script))
    config = _config(tmp_path, rewarder)
    run(config, RunFiles(tmp_path / "run"))
    content = read_json(RunFiles(tmp_path / "run").evaluation("best_of").json("best_of"))
    assert content["style"] == "mine"
    found = {(row["by"], row["k"]): row["accuracy"] for row in content["curve"]}
    assert [k for by, k in found if by == "any"] == [1, 2, 4]
    assert found["any", 1] == pytest.approx(1 / 4)
    assert found["any", 4] == 1.0
    assert found["majority", 4] == 0.0  # 5 is given twice
    # Mean scores: 0.2, 0.2, (0.2 + 0.9) / 2, 0.2: the right one is best wherever it was drawn.
    assert found["reward", 4] == 1.0
    assert found["reward", 2] == pytest.approx(1 / 2)
    asked = len(Rewarder.asked)
    assert asked == 6  # steps; the second question asks the same, and is answered the same
    run(config, RunFiles(tmp_path / "run"))
    assert len(Rewarder.asked) == asked


def test_a_score_that_takes_its_time_holds_none_back(tmp_path, rewarder, monkeypatch):
    """Each was paid for: it is in the cache as soon as it is there."""
    cache = RunFiles(tmp_path).judge_replies("best_of", Steps)
    answers = [
        (
            Question(id=id, text="?"),
            Response(id=f"{id}/0", question_id=id, sample=0, text=id, finish_reason=FinishReason.STOP),
        )
        for id in ("slow", "quick")
    ]
    seen: list[str] = []

    def wait(step):
        until = time.monotonic() + 20
        while step == "slow" and not seen and time.monotonic() < until:
            seen.extend(record.id for record in cache)
            time.sleep(0.01)

    monkeypatch.setattr(Rewarder, "before", staticmethod(wait))
    config = RewardConfig(base_url=rewarder, model="prm", api_key_env="", concurrency=2)
    roots = ImageRoots({})
    scored = rewards(answers, roots, config, cache)
    assert seen == [StepScores(config, roots, cache).key(*answers[1])]
    assert scored.keys() == {"slow/0", "quick/0"}


def _config(tmp_path, url):
    from mixpo.config import build

    values = {
        "benchmark": {"loader": "jsonl", "path": str(tmp_path / "q.jsonl")}, "n": 4,
        "style": {"template": "{question} Think.", "name": "mine"}, "by": ["majority", "reward", "any"],
        "backend": {"name": "scripted", "script": str(tmp_path / "script.jsonl")},
        "reward": {"base_url": url, "model": "prm", "api_key_env": "", "backoff": 0.01},
    }  # fmt: skip
    return build(Config, values, "best_of")


def test_mistakes_get_a_sentence(tmp_path):
    with pytest.raises(ValueError, match="endpoint of a process reward model"):
        Config(benchmark={"loader": "scenes"}, by=("reward",))
    with pytest.raises(UserError, match=r"^benchmark\.counts: unknown key; did you mean 'count'"):
        Config(benchmark={"loader": "scenes", "counts": 3})
    with pytest.raises(ValueError, match="base_url"):
        RewardConfig(base_url="ftp://x", model="m")
    (tmp_path / "q.jsonl").write_text('{"id": 0, "text": "?", "answer": "4", "kind": "integer"}\n')
    script = [{"id": "best_of-0", "sample": n, "text": "Final answer: 4"} for n in range(4)]
    (tmp_path / "script.jsonl").write_text("".join(json.dumps(line) + "\n" for line in script))
    config = _config(tmp_path, "http://127.0.0.1:9/v1")
    with pytest.raises(UserError, match="does not answer"):
        run(config, RunFiles(tmp_path / "run"))


def test_a_key_that_the_endpoint_repeats_is_shown_nowhere(tmp_path, rewarder, monkeypatch, caplog):
    monkeypatch.setenv("PRM_KEY", KEY)
    monkeypatch.setattr(Rewarder, "refusal", f"Incorrect API key provided: {KEY}.")
    (tmp_path / "q.jsonl").write_text('{"id": 0, "text": "?", "answer": "4", "kind": "integer"}\n')
    script = [{"id": "best_of-0", "sample": n, "text": "Final answer: 4"} for n in range(4)]
    (tmp_path / "script.jsonl").write_text("".join(json.dumps(line) + "\n" for line in script))
    config = _config(tmp_path, rewarder)
    config = replace(config, reward=replace(config.reward, api_key_env="PRM_KEY"))
    with caplog.at_level("DEBUG", logger="mixpo"), pytest.raises(UserError, match=r"\(HTTP 401\)") as e:
        run(config, RunFiles(tmp_path / "run"))
    assert Rewarder.keys[0] == f"Bearer {KEY}"
    assert KEY not in str(e.value) + caplog.text
    assert KEY.encode() not in b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
