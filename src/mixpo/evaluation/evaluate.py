"""The step `evaluate`: every model answers every benchmark under every prompt style, and is judged.

    evaluate:
      models: {base: base, mpo: "step:train"}
      benchmarks:
        scenes-test: {loader: scenes, split: test, count: 1000}
        descriptions: {loader: scene_descriptions, samples: 4, temperature: 1.0}

Answers are greedy, one a question, where a benchmark says nothing else.

Questions, responses and verdicts are kept in a run folder inside the run folder, `evaluation/<name>`, so a
rerun answers only what is missing, and a benchmark or model added later leaves the others' answers as they are.
"""

import itertools
import json
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from functools import cache, partial
from typing import Any, ClassVar

from mixpo.errors import DataError, FieldError
from mixpo.evaluation import warning_signs
from mixpo.evaluation.answering import Answering, answering, refuse_other_answers, without
from mixpo.evaluation.benchmarks import source
from mixpo.evaluation.brief import brief
from mixpo.evaluation.doubts import doubts
from mixpo.evaluation.same_model import refuse_changed_model
from mixpo.evaluation.scores import Answers, BenchmarkQuestions, comparisons, numbered_answers, scores
from mixpo.evaluation.trained_on import trained_on
from mixpo.files import RunFiles
from mixpo.model_inputs import InputsOfSeveral, ModelInputs
from mixpo.names import wrong_name
from mixpo.progress import say
from mixpo.prompts import Style, Template
from mixpo.records import Dropped, DropReason
from mixpo.references import Model, Output
from mixpo.responses import sample
from mixpo.responses.backend import Backend
from mixpo.responses.backends.config import BackendConfig
from mixpo.responses.backends.make import make_backend
from mixpo.text_files import write_text
from mixpo.values import short
from mixpo.verdicts import verify
from mixpo.verdicts.llm_judge import LLMJudgeConfig


class Compare(StrEnum):
    """Which models are compared with each other."""

    ALL = "all"
    """Every model with every other."""
    FIRST = "first"
    """The first with each of the others."""


WRITES: tuple[Output, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Config(ModelInputs):
    """Which models answer which questions, and how they are asked."""

    RUNTIME: ClassVar[tuple[str, ...]] = ("compare",)
    GROWS: ClassVar[tuple[str, ...]] = ("models", "benchmarks", "styles")

    name: str = "evaluate"
    """The section's name: the folder `evaluation/<name>` of the run."""
    seed: int = 0
    """For benchmarks that draw their questions, and for answers that are drawn."""
    models: dict[str, Model] = field(default_factory=dict)
    """Name in the report -> `base`, `step:<section>`, a folder or a hub name. The first is what the others are
    compared with."""
    benchmarks: dict[str, dict] = field(default_factory=dict)
    """Name -> `loader` and its own fields: a benchmark (`mathvista`, `pope` …; `path`, `split`, `wording`, `limit`), or
    a loader as under a questions section's `sources`; and `samples`, `temperature` and `top_k`, for answers that are
    drawn."""
    styles: tuple[Style | Template, ...] = (Style.DIRECT, Style.COT)
    """Prompt styles, side by side: a style's name, or the recipe's own prompt."""
    system: str = ""
    """The system prompt; empty: the question's own, where it has one."""
    max_new_tokens: int = 512
    """Longest answer in tokens; one that is cut before its final answer counts as wrong."""
    backend: BackendConfig = field(default_factory=BackendConfig)
    """What runs the model, and how."""
    llm_judge: LLMJudgeConfig | None = None
    """The model that judges free-form answers (MM-Vet, LLaVA-Bench, MMHal-Bench); null: they stay UNDECIDED."""
    compare: Compare = Compare.ALL
    """Every model with every other, or with the first alone (an ablation has many)."""
    block: int = 512
    """Answers that are committed together: what a killed run does again at most; a server's are kept as they come."""

    def __post_init__(self) -> None:
        if not self.models or not self.benchmarks or not self.styles:
            raise ValueError("evaluate needs at least one of models, benchmarks and styles")
        for name in self.models:
            if wrong := wrong_name(name, "a model"):
                raise FieldError(("models",), f"{short(name)}: {wrong}")
        twice = [name for name, count in Counter(map(str, self.styles)).items() if count > 1]
        if twice:
            raise FieldError(("styles",), f"two of them are called {twice[0]!r}; give each template its own `name`")
        sections = [self.section(*parts) for parts in itertools.product(self.models, self.benchmarks, self.styles)]
        if len(set(sections)) < len(sections):
            raise ValueError("two of model-benchmark-style make the same name; rename a model or a benchmark")
        if wrong := next(filter(None, (wrong_name(name, "a model-benchmark-style") for name in sections)), ""):
            raise ValueError(wrong)
        for benchmark, values in self.benchmarks.items():
            answering(benchmark, values)
            source.check(benchmark, without(values), f"benchmarks.{benchmark}")

    @property
    def inputs(self) -> ModelInputs:
        """What a model has no meaning for is left out for this model, and said."""
        return InputsOfSeveral(**vars(super().inputs))

    @property
    def idle(self) -> tuple[str, ...]:
        asked = any(source.asks_for_frames(name, without(values)) for name, values in self.benchmarks.items())
        return () if asked else super().idle

    def section(self, model: str, benchmark: str, style: Style | Template) -> str:
        """Name of the responses and verdicts of one model, benchmark and style."""
        return f"{model}-{benchmark}-{style}"

    def answering(self, benchmark: str) -> Answering:
        return answering(benchmark, self.benchmarks[benchmark])

    def sampling(
        self, model: str, benchmark: str, style: Style | Template, *, open_ended: bool = False
    ) -> sample.Config:
        """Answers to every question that has a ground truth; to every question of an open-ended benchmark."""
        drawn = self.answering(benchmark)
        return sample.Config(
            name=self.section(model, benchmark, style),
            model=self.models[model],
            seed=self.seed,
            questions=benchmark,
            which=sample.Which.ALL if open_ended else sample.Which.ANSWERED,
            n=drawn.samples,
            style=style,
            system=self.system,
            temperature=drawn.temperature,
            top_k=drawn.top_k,
            max_new_tokens=self.max_new_tokens,
            backend=self.backend,
            block=self.block,
        )


def run(config: Config, files: RunFiles) -> None:
    """Answers what is missing, writes scores and comparisons, and shows them."""
    evaluate(config, files, partial(make_backend, inputs=config.inputs))


def evaluate(
    config: Config, files: RunFiles, make: Callable[[BackendConfig, str], Backend], show: Callable[..., None] = brief
) -> list[Answers]:
    """What `run` does, with backends from `make`; `show` prints. Raises UserError for what cannot be read."""
    inner = files.evaluation(config.name)
    benchmarks = _prepared(config, files)
    for model in config.models:
        _answer(config, files, model, benchmarks, make)
    answers = list(_gathered(config, inner, benchmarks))
    found = [score for part in answers for score in scores(config.name, part, benchmarks[part.benchmark])]
    first = next(iter(config.models)) if config.compare is Compare.FIRST else None
    compared = list(comparisons(answers, benchmarks, first))
    inner.scores().replace(found)
    rows = [asdict(comparison) for comparison in compared]
    write_text(inner.json("comparisons"), json.dumps(rows, indent=1, ensure_ascii=False) + "\n")
    models = {name: files.model(path) for name, path in config.models.items()}
    told = [*warning_signs.signs(found), *doubts(found, compared, benchmarks), *trained_on(models, benchmarks, inner)]
    warning_signs.write(told, inner)
    show(config.name, found, compared, told, inner.root)
    return answers


def gather(config: Config, files: RunFiles) -> tuple[dict[str, BenchmarkQuestions], Iterator[Answers]]:
    """The benchmarks by name, and what every model has answered; nothing is written."""
    inner = files.evaluation(config.name)
    benchmarks = _asked(config, inner)
    return benchmarks, _gathered(config, inner, benchmarks)


def _gathered(config: Config, inner: RunFiles, benchmarks: dict[str, BenchmarkQuestions]) -> Iterator[Answers]:
    for model, benchmark, style in itertools.product(config.models, config.benchmarks, config.styles):
        section = config.section(model, benchmark, style)
        if style in _styles(config, benchmarks[benchmark]):
            given, judged = inner.responses(section), inner.verdicts(section)
            samples = config.answering(benchmark).samples
            answered = numbered_answers(benchmarks[benchmark].questions, given, judged, samples)
            yield Answers(model, benchmark, str(style), answered)


def parts(config: Config, files: RunFiles) -> dict[str, tuple[Callable[..., None], tuple[Any, ...]]]:
    """The answers of each model as a call of its own, in any order or at the same time; `run` then does the rest."""
    _prepared(config, files)
    return {f"{config.name}: {model}": (answer, (config, files, model)) for model in config.models}


def answer(config: Config, files: RunFiles, model: str) -> None:
    """Has one model answer what it has not answered yet, and judges it; writes nothing that another one's call does."""
    make = partial(make_backend, inputs=config.inputs)
    _answer(config, files, model, _asked(config, files.evaluation(config.name)), make)


def _prepared(config: Config, files: RunFiles) -> dict[str, BenchmarkQuestions]:
    """The benchmarks by name, collected, and all models known to be there."""
    inner = files.evaluation(config.name)
    for name, values in config.benchmarks.items():
        source.collect_into(name, without(values), config.seed, inner, config.images)
        sections = {config.section(model, name, style) for model in config.models for style in config.styles}
        begun = bool(sections & set(inner.sections("responses")))
        depends_on = {"seed": config.seed, "max_new_tokens": config.max_new_tokens, **config.stated()}
        refuse_other_answers(name, config.answering(name), depends_on, begun, inner)
    benchmarks = _asked(config, inner)
    for name, asked in benchmarks.items():
        declared = source.benchmark(str(config.benchmarks[name].get("loader")))
        if declared is not None and declared.by_llm and config.llm_judge is None:
            say(f"{name}: free-form answers stay undecided; give `llm_judge` the endpoint of a model that judges")
        if not asked.open_ended:
            _drop_without_truth(config, name, inner)
    for model, path in config.models.items():
        refuse_changed_model(model, files.model(path), inner)
    return benchmarks


def _answer(
    config: Config,
    files: RunFiles,
    model: str,
    benchmarks: dict[str, BenchmarkQuestions],
    make: Callable[[BackendConfig, str], Backend],
) -> None:
    inner = files.evaluation(config.name)
    load = cache(lambda: make(config.backend, files.model(config.models[model])))
    for benchmark, asked in benchmarks.items():
        for style in _styles(config, asked):
            section = config.section(model, benchmark, style)
            asking = config.sampling(model, benchmark, style, open_ended=asked.open_ended)
            sample.sample_into(asking, inner, load).tell()
            judging = verify.Config(name=section, questions=benchmark, responses=section, llm_judge=config.llm_judge)
            verify.verify_into(judging, inner, passing=True)


def _styles(config: Config, asked: BenchmarkQuestions) -> tuple[Style | Template, ...]:
    """An open-ended benchmark has one prompt: there is nothing to reason towards."""
    return config.styles[:1] if asked.open_ended else config.styles


def _asked(config: Config, inner: RunFiles) -> dict[str, BenchmarkQuestions]:
    """Each benchmark's questions, those with a ground truth where one is needed, and what it declares of its score."""
    benchmarks = {}
    for name, values in config.benchmarks.items():
        declared = source.benchmark(str(values.get("loader")))
        open_ended = declared is not None and declared.open_ended
        questions = [question for question in inner.questions(name) if open_ended or question.answer is not None]
        if not questions:
            lacking = "question" if open_ended else "question with a ground truth; add `answer`"
            raise DataError(f"{config.name}: benchmark {name!r} has no {lacking}")
        benchmarks[name] = BenchmarkQuestions(questions, declared.metrics if declared else (), open_ended)
    return benchmarks


def _drop_without_truth(config: Config, benchmark: str, inner: RunFiles) -> None:
    dropped = inner.dropped(benchmark)
    known = {record.id for record in dropped if record.reason is DropReason.NO_GROUND_TRUTH}
    dropped.append(
        Dropped(id=question.id, step=config.name, reason=DropReason.NO_GROUND_TRUTH)
        for question in inner.questions(benchmark)
        if question.answer is None and question.id not in known
    )
