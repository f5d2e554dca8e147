"""`chosen: {steps: verified}`: right answers by wrong steps are rejected, those in doubt are left out."""

import json
from dataclasses import replace
from threading import Barrier

import pytest
import yaml

from fixtures.rewarder import Rewarder, rewarder
from mixpo.errors import NoPairs, RecipeError, UserError
from mixpo.files import RunFiles
from mixpo.images import ImageRoots
from mixpo.pairs import build
from mixpo.pairs.process import Chosen, Wanted
from mixpo.pipeline import run_recipe
from mixpo.questions.scenes.ask import Task, Term
from mixpo.questions.scenes.scene import Grid, Thing
from mixpo.questions.scenes.source import ask
from mixpo.recipe import load_recipe
from mixpo.records import DropReason, FinishReason, Origin, Outcome, Question, Response, Verdict
from mixpo.verdicts.process_reward import RewardConfig, Steps, StepScores

__all__ = ["rewarder"]

SCENE = Grid((Thing(0, 0, "red", "star"), Thing(0, 2, "blue", "circle"), Thing(1, 1, "red", "circle")))
"""Row a: a red star, a blue circle; row b: a red circle. Two red shapes, two circles."""
TASK = Task("sum", (Term("red", None), Term(None, "circle")), (1, 1))
TEXTS = {
    "walked": "a1 red star: red shapes 1\nb2 red circle: red shapes 2\nred shapes 2, circles 2\n2 + 2 = 4\nAnswer: 4",
    "glance": "red shapes 2, circles 2\n2 + 2 = 4\nAnswer: 4",
    "lucky": "red shapes 1, circles 3\n1 + 3 = 4\nAnswer: 4",
    "sloppy": "red shapes 2, circles 2\n2 + 2 = 5\nAnswer: 4",
    "unfounded": "red shapes 2\n1 + 3 = 4\nAnswer: 4",  # nothing there is 1, or 3
    "bare": "It is 4.\nAnswer: 4",
    "wrong": "red shapes 2, circles 1\n2 + 1 = 3\nAnswer: 3",
}
VERIFIED = Chosen(steps=Wanted.VERIFIED)
RIGHT = [name for name in TEXTS if name != "wrong"]


def run_with(folder, texts=TEXTS, **config):
    files = RunFiles(folder)
    question = ask("q", "scenes/q.png", SCENE, TASK)
    said = [
        Response(id=f"q/{name}", question_id="q", sample=number, text=text, finish_reason=FinishReason.STOP)
        for number, (name, text) in enumerate(texts.items())
    ]
    outcomes = [Outcome.INCORRECT if name == "wrong" else Outcome.CORRECT for name in texts]
    judged = [Verdict(id=one.id, question_id="q", outcome=outcome) for one, outcome in zip(said, outcomes, strict=True)]
    files.questions("questions").append([question])
    files.responses("sample").append(said)
    files.verdicts("verify").append(judged)
    build.run(build.Config(**config), files)
    return files


def made(files):
    """Chosen, rejected and origin of each pair, by the names of the texts."""
    named = {text: name for name, text in TEXTS.items()}
    return {(named[pair.chosen], named[pair.rejected], pair.origin) for pair in files.pairs("pair")}


def test_right_steps_are_chosen_and_wrong_ones_rejected(tmp_path):
    files = run_with(tmp_path, chosen=VERIFIED)
    kinds = {"lucky": Origin.PROCESS, "sloppy": Origin.PROCESS, "wrong": Origin.CORRECTNESS}
    assert made(files) == {(one, other, kinds[other]) for one in ("walked", "glance") for other in kinds}
    assert {(record.reason, record.count) for record in files.dropped("pair")} == {(DropReason.UNVERIFIED, 2)}


def test_without_it_every_right_answer_is_chosen_as_in_the_paper(tmp_path):
    assert made(run_with(tmp_path)) == {(one, "wrong", Origin.CORRECTNESS) for one in RIGHT}


def test_pairs_of_right_answers_alone_teach_steps(tmp_path):
    texts = {name: TEXTS[name] for name in ("walked", "lucky")}
    files = run_with(tmp_path, texts, chosen=VERIFIED)
    assert made(files) == {("walked", "lucky", Origin.PROCESS)}


def test_a_question_answered_right_by_steps_that_nobody_can_check_was_not_never_answered_right(tmp_path):
    with pytest.raises(NoPairs) as told:
        run_with(tmp_path, {name: TEXTS[name] for name in ("bare", "wrong")}, chosen=VERIFIED)
    assert "1 right responses whose steps may be right or wrong" in str(told.value)
    assert "never" not in str(told.value)


def test_a_reward_model_without_verified_steps_is_refused(tmp_path):
    from mixpo.config import build as config

    with pytest.raises(RecipeError, match="say `steps: verified`"):
        config(build.Config, {"chosen": {"reward": {"base_url": "http://127.0.0.1:1/v1", "model": "m"}}}, at=str)


def test_a_reward_model_scores_the_steps_that_no_truth_is_known_of(tmp_path, rewarder):
    """It likes steps with a 4 in them (0.9), and no others (0.2): asked once for each step, also when run again."""
    reward = RewardConfig(base_url=rewarder, model="prm", api_key_env="", backoff=0.01)
    config = build.Config(chosen=Chosen(steps=Wanted.VERIFIED, reward=reward))
    files = RunFiles(tmp_path)
    texts = {"good": "4 are there\nAnswer: 4", "bad": "I see none\nAnswer: 4", "wrong": "Answer: 3"}
    said = [
        Response(id=f"q/{name}", question_id="q", sample=number, text=text, finish_reason=FinishReason.STOP)
        for number, (name, text) in enumerate(texts.items())
    ]
    outcomes = (Outcome.CORRECT, Outcome.CORRECT, Outcome.INCORRECT)
    files.questions("questions").append([Question(id="q", text="How many?", answer="4")])
    files.responses("sample").append(said)
    files.verdicts("verify").append(
        Verdict(id=one.id, question_id="q", outcome=outcome) for one, outcome in zip(said, outcomes, strict=True)
    )
    for _ in range(2):
        build.run(config, files)
        pairs = {(pair.chosen_id, pair.rejected_id, pair.origin) for pair in files.pairs("pair")}
        assert pairs == {("q/good", "q/bad", Origin.PROCESS), ("q/good", "q/wrong", Origin.CORRECTNESS)}
    assert len(Rewarder.asked) == 4
    keyed = replace(reward, api_key_env="NO_KEY_IS_SET")  # of what is known nothing is asked
    build.run(replace(config, chosen=replace(config.chosen, reward=keyed)), files)
    high = replace(config, name="strict", chosen=replace(config.chosen, threshold=0.95))
    lower = r"questions: 1 answered right by wrong steps alone .* lower chosen.threshold, or"
    with pytest.raises(NoPairs, match=lower):
        build.run(high, files)


def test_the_reward_model_is_asked_about_many_questions_at_once_and_of_each_text_once(tmp_path, rewarder, monkeypatch):
    both = Barrier(2, timeout=20)
    monkeypatch.setattr(Rewarder, "before", staticmethod(lambda step: both.wait()))
    reward = RewardConfig(base_url=rewarder, model="prm", api_key_env="", concurrency=4)
    files = RunFiles(tmp_path)
    for number in range(2):
        id = f"q{number}"
        said = [
            ("a", "4 are there", Outcome.CORRECT),
            ("b", "4 are there", Outcome.CORRECT),
            ("c", "3", Outcome.INCORRECT),
        ]
        files.questions("questions").append([Question(id=id, text=f"How many in {id}?", answer="4")])
        for sample, (name, text, outcome) in enumerate(said):
            response = Response(
                id=f"{id}/{name}", question_id=id, sample=sample, text=text, finish_reason=FinishReason.STOP
            )
            files.responses("sample").append([response])
            files.verdicts("verify").append([Verdict(id=response.id, question_id=id, outcome=outcome)])
    build.run(build.Config(chosen=Chosen(steps=Wanted.VERIFIED, reward=reward)), files)
    assert {pair.chosen_id for pair in files.pairs("pair")} == {"q0/a", "q1/a"}
    assert len(Rewarder.asked) == 2


@pytest.mark.parametrize(
    ("status", "body", "sentence"),
    [
        (
            400,
            {"error": {"message": "top_logprobs is too big"}},
            "refuses: top_logprobs is too big; see to the endpoint",
        ),
        (200, {}, "is no chat completion"),
        (200, [], "is no chat completion"),
        (200, {"choices": []}, "is no chat completion"),
        (200, {"choices": [{"message": {"content": "+"}}]}, "gives no log-probabilities; start it with logprobs"),
    ],
)
def test_what_an_endpoint_says_instead_of_a_score_is_told(tmp_path, rewarder, monkeypatch, status, body, sentence):
    monkeypatch.setattr(Rewarder, "instead", (status, body))
    reward = RewardConfig(base_url=rewarder, model="prm", api_key_env="", backoff=0.01, attempts=2)
    files = RunFiles(tmp_path)
    said = [("right", Outcome.CORRECT), ("wrong", Outcome.INCORRECT)]
    files.questions("questions").append([Question(id="q", text="How many?", answer="4")])
    files.responses("sample").append(
        Response(id=f"q/{text}", question_id="q", sample=number, text=text, finish_reason=FinishReason.STOP)
        for number, (text, _) in enumerate(said)
    )
    files.verdicts("verify").append(Verdict(id=f"q/{text}", question_id="q", outcome=outcome) for text, outcome in said)
    with pytest.raises(UserError, match=sentence):
        build.run(build.Config(chosen=Chosen(steps=Wanted.VERIFIED, reward=reward)), files)


def test_a_score_is_for_all_that_was_asked(tmp_path):
    """Another model, token, question, response or picture is asked about anew; a response's id and the threshold say
    nothing."""
    (tmp_path / "a.png").write_bytes(b"one")
    question = Question(id="q", text="How many?", answer="4", images=("own/a.png",))
    response = Response(id="q/0", question_id="q", sample=0, text="4 are there", finish_reason=FinishReason.STOP)
    config = RewardConfig(base_url="http://127.0.0.1:1/v1", model="prm", api_key_env="")
    cache = RunFiles(tmp_path).judge_replies("pair", Steps)

    def key(question=question, response=response, **changes):
        return StepScores(replace(config, **changes), ImageRoots({"own": tmp_path}), cache).key(question, response)

    same = key()
    assert key(response=replace(response, id="q/7"), concurrency=2) == same
    others = [
        key(model="other"), key(good="yes"), key(bad="no"), key(question=replace(question, text="How few?")),
        key(response=replace(response, text="5 are there")), key(response=replace(response, system="Be brief.")),
    ]  # fmt: skip
    (tmp_path / "a.png").write_bytes(b"two")
    others.append(key())
    assert len({same, *others}) == 1 + len(others)


def test_another_threshold_asks_for_nothing(tmp_path, rewarder):
    recipe = tmp_path / "r.yaml"
    reward = {"base_url": rewarder, "model": "prm", "api_key_env": "", "backoff": 0.01}
    rows = [{"id": f"q{n}", "text": f"How many {n}?", "answer": "4", "kind": "integer"} for n in range(2)]
    (tmp_path / "q.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    texts = ["4 are there\nAnswer: 4", "I see none\nAnswer: 4", "Answer: 3"]
    told = [{"id": f"q-{row['id']}", "sample": n, "text": text} for row in rows for n, text in enumerate(texts)]
    (tmp_path / "s.jsonl").write_text("".join(json.dumps(row) + "\n" for row in told))
    steps = {
        "questions": {"sources": {"q": {"loader": "jsonl", "path": str(tmp_path / "q.jsonl")}}},
        "sample": {"n": 3, "temperature": 1.0, "backend": {"name": "scripted", "script": str(tmp_path / "s.jsonl")}},
        "verify": {},
        "pair": {"chosen": {"steps": "verified", "reward": reward, "threshold": 0.5}},
    }
    recipe.write_text(yaml.safe_dump({"run": str(tmp_path / "run"), "steps": steps}, sort_keys=False))
    run_recipe(load_recipe(recipe))
    asked, pairs = len(Rewarder.asked), len(list(RunFiles(tmp_path / "run").pairs("pair")))
    assert (asked, pairs) == (8, 4)  # a step each line of four right responses; two pairs a question
    run_recipe(load_recipe(recipe, ["pair.chosen.threshold=0.1"]), redo=())
    assert len(Rewarder.asked) == asked
    assert len(list(RunFiles(tmp_path / "run").pairs("pair"))) == 4  # all right ones hold
