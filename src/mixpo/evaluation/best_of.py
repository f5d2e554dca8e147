"""The step `best_of`: test-time scaling. N responses a question, one chosen by majority or by a score, for every N.

    best_of: {model: "step:train", benchmark: {loader: scenes, split: test, count: 200}, n: 16, by: [majority, logp]}

One pass draws the N responses of every question; the curve over smaller numbers k is the mean over the subsets of
size k that could have been drawn instead: exact where a score chooses, over `votes.SUBSETS` random ones for the vote.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from math import comb
from typing import Any

from mixpo import output
from mixpo.errors import UserError
from mixpo.evaluation.benchmarks import source
from mixpo.evaluation.doubts import FEW, JUDGE
from mixpo.evaluation.metrics import NOT_SCORED, Answered, decided, estimate, mean
from mixpo.evaluation.scores import clusters
from mixpo.evaluation.votes import Tried, voting
from mixpo.files import RunFiles
from mixpo.images import ImageRoots
from mixpo.model_inputs import ModelInputs
from mixpo.output import TextTable
from mixpo.progress import say
from mixpo.prompts import Style, Template
from mixpo.records import Question, Response, Verdict
from mixpo.references import Model, Output
from mixpo.responses import sample
from mixpo.responses.backends.config import BackendConfig
from mixpo.responses.backends.make import make_backend
from mixpo.text_files import write_text
from mixpo.verdicts import verify
from mixpo.verdicts.process_reward import RewardConfig, Steps, rewards

WORST = float("-inf")
"""Stands for a score that a response has not: any other is chosen before it."""


class By(StrEnum):
    """How one of the responses is chosen."""

    MAJORITY = "majority"
    """The answer given most often (self-consistency, Wang et al. 2023, arXiv 2203.11171)."""
    LOGP = "logp"
    """The response most probable to the model itself, per token."""
    REWARD = "reward"
    """The response whose steps a process reward model likes best (VisualPRM, arXiv 2503.10291)."""
    ANY = "any"
    """Any right one counts: the bound that no choice can exceed (pass@k)."""


WRITES: tuple[Output, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Config(ModelInputs):
    """Which model answers what, how often, and what chooses."""

    name: str = "best_of"
    """The section's name: the folder `evaluation/<name>` of the run."""
    model: Model = "base"
    """`base` (ships with mixpo), `step:<section>` (what that section trained), a folder or a hub name."""
    seed: int = 0
    """Seed of the draws, and of a benchmark that draws its questions."""
    benchmark: dict[str, Any] = field(default_factory=dict)
    """`loader` and its fields, as under `evaluate.benchmarks`."""
    n: int = 16
    """Responses to each question; the curve is over 1, 2, 4 … up to it."""
    by: tuple[By, ...] = (By.MAJORITY, By.LOGP, By.ANY)
    """What chooses among a question's responses, each with a curve of its own."""
    style: Style | Template = Style.COT
    """How questions are asked to answer: a style's name, or the recipe's own prompt."""
    system: str = ""
    """The system prompt; empty: the question's own, where it has one."""
    temperature: float = 0.7
    """0.7 as when pairs are sampled; 0 would make all responses the same."""
    top_k: int = 50
    """Only the k most probable tokens; 0: all."""
    max_new_tokens: int = 512
    """Longest response in tokens."""
    reward: RewardConfig | None = None
    """The endpoint of the process reward model; `by: [reward]` needs it."""
    backend: BackendConfig = field(default_factory=BackendConfig)
    """What runs the model, and how."""
    block: int = 1024
    """Responses that are committed together: what a killed run does again at most; a server's are kept as they come."""

    def __post_init__(self) -> None:
        if self.n < 1:
            raise ValueError("n must be at least 1")
        if By.REWARD in self.by and self.reward is None:
            raise ValueError("by: reward needs `reward`, the endpoint of a process reward model")
        source.check(self.name, self.benchmark, "benchmark")

    @property
    def idle(self) -> tuple[str, ...]:
        return () if source.asks_for_frames(self.name, self.benchmark) else super().idle


def run(config: Config, files: RunFiles) -> None:
    """Draws and judges what is missing, writes `best_of.json` of the evaluation `<name>`, and shows the curve."""
    inner = files.evaluation(config.name)
    source.collect_into(config.name, config.benchmark, config.seed, inner, config.images)
    drawing = sample.Config(
        name=config.name, model=config.model, seed=config.seed, questions=config.name, n=config.n,
        which=sample.Which.ANSWERED, style=config.style, system=config.system, temperature=config.temperature,
        top_k=config.top_k, max_new_tokens=config.max_new_tokens, logps=By.LOGP in config.by,
        backend=config.backend, block=config.block,
    )  # fmt: skip
    load = lambda: make_backend(config.backend, files.model(config.model), config.inputs)  # noqa: E731
    sample.sample_into(drawing, inner, load).tell()
    verify.verify_into(verify.Config(name=config.name, questions=config.name, responses=config.name), inner)
    tried = list(tries(inner.questions(config.name), inner.responses(config.name), inner.verdicts(config.name)))
    if not tried:
        raise UserError(f"{config.name}: no question has responses and a ground truth")
    scored: Mapping[str, float] = {}
    if config.reward is not None and By.REWARD in config.by:
        cache = inner.judge_replies(config.name, Steps)
        answers = [(item.question, response) for item in tried for response, _ in item.answers]
        roots = ImageRoots.load(inner.image_roots_file(config.name))
        scored = rewards(answers, roots, config.reward, cache)
    rows = curve(tried, config.by, config.n, scored)
    content = {"model": config.model, "style": str(config.style), "questions": len(tried), "curve": rows}
    write_text(inner.json("best_of"), json.dumps(content, indent=1) + "\n")
    warnings = list(_warnings(config, rows, len(tried)))
    numbers = {**content, "warnings": [{"text": text} for text in warnings], "folder": inner.root}
    output.show({config.name: numbers}, [_table(config, rows, len(tried))])
    for text in warnings:
        say(f"warning: {text}")
    output.tell(f"{config.name}: the curve, responses and verdicts are in {inner.root}")


def _warnings(config: Config, rows: Sequence[dict[str, Any]], questions: int) -> Iterator[str]:
    """Why there is no score, and how little few questions tell."""
    unknown = dict.fromkeys(row["by"] for row in rows if row["accuracy"] is None)
    if unknown.keys() == {row["by"] for row in rows}:
        yield f"{config.name} is not scored: none of the responses was judged; {JUDGE}"
    elif unknown:
        why = "the responses have no such scores; sample them anew with what gives them"
        yield f"{config.name}: {', '.join(unknown)} chose nothing: {why}"
    known = [row for row in rows if row["accuracy"] is not None]
    if known and questions < FEW:
        half = 100 * max(max(row["high"] - row["accuracy"], row["accuracy"] - row["low"]) for row in known)
        yield f"{config.name} rests on {questions} questions: its accuracies are known to ± {half:.0f} points"


def tries(questions: Iterable[Question], responses: Iterable[Response], verdicts: Iterable[Verdict]) -> Iterable[Tried]:
    judged = {verdict.id: verdict for verdict in verdicts}
    given: dict[str, list[tuple[Response, Verdict]]] = {}
    for response in responses:
        if response.id in judged:
            given.setdefault(response.question_id, []).append((response, judged[response.id]))
    for question in questions:
        if question.id in given:
            yield Tried(question, tuple(sorted(given[question.id], key=lambda pair: pair[0].sample)))


def curve(tried: Sequence[Tried], by: Sequence[By], n: int, scored: Mapping[str, float]) -> list[dict[str, Any]]:
    """Accuracy and its interval for every way of choosing and k = 1, 2, 4 … n; None where nothing was judged, or where
    no response has the score that would choose."""
    choosers: dict[By, Callable[[Tried, int], float]] = {
        By.MAJORITY: voting(),
        By.LOGP: lambda item, k: best_by([_per_token(r) for r, _ in item.answers], item.right, k),
        By.REWARD: lambda item, k: best_by([scored.get(r.id, WORST) for r, _ in item.answers], item.right, k),
        By.ANY: lambda item, k: any_of(item.right, k),
    }
    groups = clusters(item.question for item in tried)
    answered = [Answered(item.question, None, None) for item in tried]
    by_id = {item.question.id: item for item in tried}
    given = [(response, verdict) for item in tried for response, verdict in item.answers]
    judged = any(decided(Answered(tried[0].question, *pair)) for pair in given)
    known = {
        By.LOGP: any(response.logp is not None for response, _ in given),
        By.REWARD: any(response.id in scored for response, _ in given),
    }
    rows = []
    for way in by:
        choice = judged and known.get(way, True)
        for k in [*(2**power for power in range(n.bit_length()) if 2**power < n), n]:
            if not choice:
                rows.append({"by": way, "k": k, "accuracy": None, "low": None, "high": None})
                continue
            values = {id: choosers[way](item, min(k, len(item.answers))) for id, item in by_id.items()}
            metric = mean(way, lambda item, values=values: values[item.question.id])  # type: ignore[misc]
            found = estimate(metric, answered, groups)
            rows.append({"by": way, "k": k, "accuracy": found.value, "low": found.low, "high": found.high})
    return rows


def _per_token(response: Response) -> float:
    """Mean log-probability of a token: summed, the shortest response would win."""
    return WORST if response.logp is None else response.logp / max(1, response.completion_tokens)


def best_by(scores: Sequence[float], right: Sequence[bool], k: int) -> float:
    """The chance that the best of k of the responses by score is right, over all subsets; ties go half-half.

    The response of rank r (from 0, the worst) is the best of C(r, k - 1) of the C(n, k) subsets.
    """
    n = len(scores)
    order = sorted(range(n), key=lambda number: scores[number])
    total = 0.0
    start = 0
    while start < n:  # responses of equal score share the ranks start … end - 1
        end = start
        while end < n and scores[order[end]] == scores[order[start]]:
            end += 1
        share = sum(right[number] for number in order[start:end]) / (end - start)
        total += share * sum(comb(rank, k - 1) for rank in range(start, end))
        start = end
    return total / comb(n, k)


def any_of(right: Sequence[bool], k: int) -> float:
    """The chance that one of k is right: 1 - C(wrong, k) / C(n, k) (Chen et al. 2021, arXiv 2107.03374, eq. 1)."""
    return 1 - comb(len(right) - sum(right), k) / comb(len(right), k)


def _table(config: Config, rows: Sequence[dict[str, Any]], questions: int) -> TextTable:
    ks = dict.fromkeys(row["k"] for row in rows)
    chosen: dict[str, list[str]] = {way: [way] for way in config.by}
    for row in rows:
        chosen[row["by"]].append(NOT_SCORED if row["accuracy"] is None else f"{100 * row['accuracy']:.1f}")
    heads = ("chosen by", *map(str, ks))
    return TextTable(
        f"{config.name}: accuracy, %, of the best of k ({questions:,} questions)", heads, list(chosen.values())
    )
