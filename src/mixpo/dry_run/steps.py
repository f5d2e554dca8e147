"""What each step would do at most, how long that would take on this machine, and what it would need.

What is not known ahead is bounded (`max_new_tokens`, `n`, `max_pairs`); what cannot be told is None.
"""

from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice
from typing import Any

from mixpo.dry_run import asked
from mixpo.dry_run.costs import Ahead, Cost
from mixpo.errors import ImageError, UserError
from mixpo.evaluation.answering import answering, without
from mixpo.images import ImageRoots, decode
from mixpo.pairs.formats.row import Entry
from mixpo.pairs.import_pairs import entries
from mixpo.plan.ahead import encoder_of, groups_of, groups_there, training
from mixpo.plan.estimate import assumed_pairs, prompts_of
from mixpo.prompts import Style, user_text
from mixpo.questions.preview import unsaid
from mixpo.references import Output
from mixpo.training.rows import columns

CHECKPOINTS, STATE = 2, 12
"""Checkpoints that are kept while a training runs, and bytes of each for a parameter: itself and AdamW's moments."""
WEIGHT = 4
"""Bytes of a saved weight, at most."""


def costs(ahead: Ahead) -> Iterator[tuple[str, Cost]]:
    """Every section's, in the order of the recipe: what one makes, a later one works on."""
    for name, config in ahead.configs.items():
        status = ahead.found[name]
        cost = OF_STEP.get(status.step, _nothing)(ahead, config)
        yield name, Cost(work="done") if ahead.is_done(name) else cost


def _nothing(ahead: Ahead, config: Any) -> Cost:
    return Cost(work="")


def _questions(ahead: Ahead, config: Any) -> Cost:
    counts: dict[str, int | None] = {}
    for name, values in config.sources.items():
        try:
            counts[name] = asked.number(name, values, config.seed)
        except UserError as error:
            ahead.warnings[f"{config.name}: {error}"] = None
            counts[name] = None
    known = [count for count in counts.values() if count is not None]
    ahead.made[config.name, Output.QUESTIONS] = sum(known) if len(known) == len(counts) else None
    for name in (name for name, count in counts.items() if count is None):
        ahead.warnings[f"how many questions source {name!r} has is known when it is read"] = None
    return Cost(work=f"{sum(known):,} questions" if known else "")


def _sample(ahead: Ahead, config: Any) -> Cost:
    questions = ahead.count(Output.QUESTIONS, config.questions)
    if questions is None:
        return _unknown(ahead, config, Output.RESPONSES)
    ahead.made[config.name, Output.RESPONSES] = questions * config.n
    shown = partial(ahead.shown, config.questions)
    return ahead.writing(config, config.model, shown, config.style, (questions, config.n))


def _dropout(ahead: Ahead, config: Any) -> Cost:
    """Of questions without a ground truth, half a response each time."""
    before = ahead.configs.get(config.responses)
    questions = ahead.count(Output.QUESTIONS, config.questions)
    if questions is None or before is None:
        return _unknown(ahead, config, Output.CONTINUATIONS)
    some = ahead.shown(config.questions)
    still_open = [shown for shown in some if shown[0].answer is None]
    if not still_open:
        ahead.made[config.name, Output.CONTINUATIONS] = 0
        return Cost(work="questions without a ground truth: none among the first")
    most = questions if len(still_open) == len(some) else questions * len(still_open) // len(some)
    ahead.made[config.name, Output.CONTINUATIONS] = most * config.per_question
    ahead.notes[f"{config.name}: as many questions lack a ground truth as among each source's first ones"] = None
    style = getattr(before, "style", Style.AUTO)
    return ahead.writing(config, config.model, lambda: still_open, style, (most, config.per_question))


def _verify(ahead: Ahead, config: Any) -> Cost:
    responses = ahead.count(Output.RESPONSES, config.responses)
    ahead.made[config.name, Output.VERDICTS] = responses
    work = "" if responses is None else f"at most {responses:,} responses"
    if config.llm_judge is not None:
        work += f"; up to {config.llm_judge.max_calls:,} requests to {config.llm_judge.base_url}, paid there"
    return Cost(work=work)


def _pair(ahead: Ahead, config: Any) -> Cost:
    questions = ahead.count(Output.QUESTIONS, config.questions)
    more = ahead.count(Output.CONTINUATIONS, config.continuations) if config.continuations else 0
    if questions is None or more is None:
        return _unknown(ahead, config, Output.PAIRS)
    before = ahead.configs.get(config.responses)
    each = min(config.max_pairs, (getattr(before, "n", 2 * config.max_pairs) ** 2) // 4) if config.verdicts else 0
    ahead.made[config.name, Output.PAIRS] = questions * each + more
    ahead.notes[f"{config.name}: every question gives as many pairs as it may ({each}); most give fewer or none"] = None
    return Cost(work=f"at most {questions * each + more:,} pairs")


def _import(ahead: Ahead, config: Any) -> Cost:
    with unsaid():
        try:
            found = sum(
                isinstance(entry, Entry) for _, rows in entries(config) for entry in islice(rows, asked.MOST + 1)
            )
        except UserError as error:
            ahead.warnings[str(error)] = None
            return _unknown(ahead, config, Output.PAIRS)
    ahead.made[config.name, Output.PAIRS] = ahead.made[config.name, Output.QUESTIONS] = (
        found if found <= asked.MOST else None
    )
    return Cost(work=f"{found:,} pairs" if found <= asked.MOST else f"more than {asked.MOST:,} pairs")


def _imported(config: Any) -> Iterator[dict[str, Any]]:
    """The first rows of a file of pairs, as a training takes them."""
    with unsaid():
        for source, rows in entries(config):
            for entry in islice((entry for entry in rows if isinstance(entry, Entry)), 4 * asked.FIRST):
                roots = ImageRoots(dict(source.place.roots))
                try:
                    images = [_image(image, entry, roots) for image in entry.pair.images]
                except ImageError:
                    continue
                yield {"images": images, **columns(entry.pair)}


def _image(image: str, entry: Entry, roots: ImageRoots) -> Any:
    content = entry.pictures.get(image)
    return decode(content, image) if isinstance(content, bytes) else roots.open(image)


def _train(ahead: Ahead, config: Any) -> Cost:
    kind = Output.DEMONSTRATIONS if config.demonstrations else Output.PAIRS
    section = config.demonstrations or config.pairs
    records, shape = ahead.count(kind, section), ahead.shape(config.model, config.trust_remote_code)
    if config.max_records is not None and records is not None:
        records = min(records, config.max_records)
    if shape is None or not records:
        return _unknown(ahead, config, Output.MODEL)
    path = ahead.model(config.model) or ""
    groups = _groups(ahead, config, section, path, shape.patch)
    disk = shape.parameters * (WEIGHT + CHECKPOINTS * STATE)
    if not groups:
        return Cost(work=f"at most {records:,} records", seconds=None, disk=disk)
    found = training(config, shape, groups, records, ahead.machine)
    if found.warning:
        ahead.warnings[found.warning] = None
    work = f"at most {records:,} records, {found.steps:,} steps of up to {config.batch}"
    return Cost(work=work, seconds=found.seconds, memory=found.memory, disk=disk)


def _groups(ahead: Ahead, config: Any, section: str, path: str, patch: int) -> list[Any]:
    """Lengths of the records that are there, of the file that is to be imported, or of the first questions' prompts."""
    there, count = groups_there(config, ahead.files, path, patch)
    before = ahead.configs.get(section)
    if count or before is None or config.demonstrations:
        return there
    encoder = encoder_of(config, path)
    if ahead.found[section].step == "import":
        return groups_of(islice(_imported(before), asked.FIRST), encoder, patch)
    sampling = ahead.configs.get(getattr(before, "responses", ""))
    shown = ahead.shown(config.questions)
    words = [(question, user_text(question, getattr(sampling, "style", Style.AUTO)), seen) for question, seen in shown]
    longest = min(getattr(sampling, "max_new_tokens", 512), config.max_completion_length)
    return assumed_pairs(prompts_of(words, encoder, patch), config.pairs_per_group, longest)


def _evaluate(ahead: Ahead, config: Any) -> Cost:
    parts = []
    for benchmark, values in config.benchmarks.items():
        samples, own = answering(benchmark, values).samples, without(values)
        for model in config.models.values():
            for style in config.styles:
                parts.append(_answers(ahead, config, (benchmark, own), model, (style, samples)))
    known = [part for part in parts if part is not None]
    if len(known) < len(parts) or not known:
        return Cost(work="" if not known else known[0].work, seconds=None)
    seconds = [part.seconds for part in known]
    counts = {"model": config.models, "style": config.styles, "benchmark": config.benchmarks}
    cases = " x ".join(f"{len(each)} {name}{'s' * (len(each) > 1)}" for name, each in counts.items())
    work = f"{known[0].work} ({len(parts)} times: {cases})"
    if config.llm_judge is not None:
        work += f"; up to {config.llm_judge.max_calls:,} requests to {config.llm_judge.base_url}, paid there"
    return Cost(
        work=work, seconds=None if None in seconds else sum(filter(None, seconds)),
        memory=max(part.memory for part in known), disk=sum(part.disk for part in known),
    )  # fmt: skip


def _answers(
    ahead: Ahead, config: Any, benchmark: tuple[str, dict[str, Any]], model: str, how: tuple[Any, int]
) -> Cost | None:
    """One model's answers to one benchmark in one style; `how`: the style, and how often."""
    name, values = benchmark
    try:
        questions = ahead.number(name, values, config.seed)
    except UserError as error:
        ahead.warnings[f"{config.name}: {error}"] = None
        return None
    if questions is None:
        ahead.warnings[f"how many questions {name!r} has is known when it is read"] = None
        return None
    return ahead.writing(config, model, lambda: ahead.benchmark(name, values, config.seed), how[0], (questions, how[1]))


def _best_of(ahead: Ahead, config: Any) -> Cost:
    found = _answers(ahead, config, (config.name, config.benchmark), config.model, (config.style, config.n))
    return found or Cost(work="", seconds=None)


def _unknown(ahead: Ahead, config: Any, kind: Output) -> Cost:
    ahead.made[config.name, kind] = None
    return Cost(work="", seconds=None)


OF_STEP: dict[str, Callable[[Ahead, Any], Cost]] = {
    "questions": _questions,
    "sample": _sample,
    "dropout": _dropout,
    "verify": _verify,
    "pair": _pair,
    "import": _import,
    "train": _train,
    "evaluate": _evaluate,
    "best_of": _best_of,
}
