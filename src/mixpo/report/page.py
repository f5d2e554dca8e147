"""The step `report`: the files of a run -> `report.html`, one page that needs no network, script or other file."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from mixpo.files import RunFiles
from mixpo.messages import spoken
from mixpo.progress import say
from mixpo.references import Output
from mixpo.report.accuracy import Table, benchmarks, headline, summary
from mixpo.report.charts import broken_steps, curves, funnel
from mixpo.report.collect import ReportData, collect
from mixpo.report.difference import Piece, cut, marked
from mixpo.report.dropout import dropout_cost
from mixpo.report.gallery import INSTRUCTIVE, GalleryPair
from mixpo.report.numbers import count, duration, percent
from mixpo.report.pictures import PagePictures, Picture
from mixpo.report.rounds import rounds
from mixpo.text_files import write_text
from mixpo.videos import glimpses

TEMPLATES = Path(__file__).parent / "templates"
ORIGINS = {
    "correctness": "right answer against wrong answer",
    "format": "right answer against one without a readable answer",
    "process": "right answer by right steps against one by a wrong step",
    "dropout_ntp": "response against its first part continued without the image",
    "imported": "from an imported preference file",
}


WRITES: tuple[Output, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Config:
    """What the page shows."""

    RUNTIME: ClassVar[tuple[str, ...]] = ("seed", "pairs_shown")

    name: str = "report"
    """The section's name; the page is `report.html` whatever it is."""
    seed: int = 0
    """Chooses the pairs shown, the first six of which are the easiest to read among those drawn."""
    pairs_shown: int = 24
    """Pairs in the gallery, each origin as often as the others while it lasts."""

    def __post_init__(self) -> None:
        if self.pairs_shown < 0:
            raise ValueError("pairs_shown must not be negative")


@dataclass(frozen=True, slots=True)
class Card:
    """One pair of the gallery, ready for the page."""

    id: str
    said: list[tuple[str, str]]
    """Who says what up to the completions: roles and words."""
    truth: str
    origin: str
    meaning: str
    """What the origin says, in words."""
    pictures: list[Picture]
    chosen: list[Piece]
    chosen_missing: int
    """Characters of the chosen completion that are not shown."""
    rejected: list[Piece]
    rejected_missing: int


@dataclass(frozen=True, slots=True)
class Curves:
    """The charts of one training."""

    section: str
    charts: list[tuple[str, Markup]]
    finished: bool
    broken: int
    """Steps with a NaN or an infinity."""
    signs: list[str]
    """What `data.signs` says of it: in its section, not above an evaluation that may have come out well."""


def run(config: Config, files: RunFiles) -> None:
    """Writes `report.html`, whole or not at all."""
    data = collect(files, pairs_shown=config.pairs_shown, seed=config.seed)
    pictures = PagePictures(files)
    write_text(files.report, page(data, pictures))
    pictures.elsewhere.tell("report")
    for sentence in (sentence for sentences in data.damaged.values() for sentence in sentences):
        say(f"{config.name}: {sentence}")


def page(data: ReportData, pictures: PagePictures) -> str:
    """The page's HTML. Everything that a model or a data set wrote is escaped by the template engine."""
    made = data.made
    trainings = []
    for t in data.trainings:
        with data.part("training"):
            trainings.append(Curves(t.section, curves(t), t.finished, broken_steps(t), signs_of(t.section, data.signs)))
    html = (
        environment()
        .get_template("report.html.j2")
        .render(
            data=data,
            headline=made("evaluation", lambda: headline(data), ""),
            summary=summary(data),
            benchmarks=made("evaluation", lambda: benchmarks(data), []),
            rounds=made("rounds", lambda: rounds(data), NOTHING),
            funnel=made("funnel", lambda: funnel(data), []),
            dropout_cost=made("funnel", lambda: dropout_cost(data), NOTHING),
            trainings=trainings,
            signs=[sign for sign in data.signs if not any(sign in training.signs for training in trainings)],
            people=data.people,
            gallery=made("pairs", lambda: [_card(shown, pictures) for shown in data.gallery], []),
            shown_open=INSTRUCTIVE,
            total_seconds=sum(cost.seconds for cost in data.costs),
        )
    )
    # A lone surrogate, which JSON can carry, cannot be written as UTF-8.
    return html.encode("utf-8", "replace").decode()


NOTHING = Table("", [], [])


def signs_of(section: str, signs: list[str]) -> list[str]:
    return [sign for sign in signs if sign.startswith(f"{section}: ")]


def environment(escaped: bool = True) -> Environment:
    """Strict: a missing value fails instead of printing nothing; all values are escaped, unless it is for Markdown."""
    made = Environment(
        loader=FileSystemLoader(TEMPLATES),
        undefined=StrictUndefined,
        autoescape=escaped,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    filters: dict[str, Any] = {"count": count, "duration": duration, "percent": percent, "short": _short}
    made.filters.update(filters)
    return made


def _short(text: str, limit: int = 300) -> str:
    beginning, missing = cut(text, limit)
    return f"{beginning} … ({missing:,} more characters)" if missing else beginning


def _card(shown: GalleryPair, pictures: PagePictures) -> Card:
    pair, question = shown.pair, shown.question
    (chosen, chosen_missing), (rejected, rejected_missing) = cut(pair.chosen), cut(pair.rejected)
    chosen_pieces, rejected_pieces = marked(chosen, rejected)
    return Card(
        id=pair.id,
        said=spoken(pair.prompt, pair.system, pair.turns),
        truth=_short(" or ".join((question.answer, *question.accepted)) if question and question.answer else "", 200),
        origin=str(pair.origin),
        meaning=ORIGINS[pair.origin],
        pictures=[
            replace(pictures.picture(image, shown.questions_section), frames=frames)
            for image, frames in glimpses(pair.images, pair.videos)
        ],
        chosen=chosen_pieces,
        chosen_missing=chosen_missing,
        rejected=rejected_pieces,
        rejected_missing=rejected_missing,
    )
