"""Model card and data card (Markdown, as the Hugging Face hub shows them), written from the run."""

from collections import Counter
from dataclasses import dataclass
from typing import Any

import yaml

from mixpo.errors import UserError
from mixpo.records import Origin
from mixpo.references import Output, read_of
from mixpo.report.accuracy import benchmarks, headline
from mixpo.report.collect import ReportData
from mixpo.report.page import environment

SHIPPED = "the small model that ships with mixpo"


@dataclass(frozen=True, slots=True)
class QuestionSource:
    """Where questions came from."""

    section: str
    name: str
    values: str
    """The loader and its settings, as in the recipe."""
    questions: int


def model_card(data: ReportData, section: str) -> str:
    """The README.md of the model that `section` trained. Raises UserError for a section that trained nothing."""
    values = data.steps.get(section)
    training = next((training for training in data.trainings if training.section == section), None)
    if values is None or training is None:
        trained = ", ".join(training.section for training in data.trainings) or "none"
        raise UserError(f"the run has trained nothing called {section!r}; it has trained {trained}")
    base = base_model(data, section)
    front: dict[str, Any] = {
        "library_name": "transformers",
        "pipeline_tag": "image-text-to-text",
        "tags": ["mixpo", "mpo", "preference-optimization"],
    }
    if base != SHIPPED and "/" in base and not base.startswith((".", "/", "~")):
        front["base_model"] = base
    return _render(
        "model_card.md.j2", front=front, name=data.name, base=base, headline=headline(data), tables=benchmarks(data),
        values=values, steps=len(training.steps), objective=values.get("objective") or {}, sources=sources(data),
        pairs=_pairs(data), responses=sum(data.responses.values()), demonstrations=bool(values.get("demonstrations")),
        people=data.people, versions=data.versions, recipe=data.recipe,
    )  # fmt: skip


def data_card(data: ReportData, section: str, rows: int, left_out: int) -> str:
    """The README.md of the exported pairs of a section."""
    front = {"task_categories": ["image-text-to-text"], "tags": ["mixpo", "preference"]}
    origins = data.origins.get(section, Counter())
    return _render(
        "data_card.md.j2", front=front, name=data.name, rows=rows, left_out=left_out,
        origins={str(origin): number for origin, number in origins.items()}, sources=sources(data),
        sampled=[values for values in data.steps.values() if values.get("uses") == "sample"],
        outcomes=data.outcomes, people=data.people, versions=data.versions, recipe=data.recipe,
    )  # fmt: skip


def base_model(data: ReportData, section: str) -> str:
    """The model that training began from, followed through the run's own sections."""
    seen: set[str] = set()
    values = data.steps.get(section, {})
    while (maker := read_of(values, Output.MODEL)) and maker not in seen:
        seen.add(maker)
        values = data.steps.get(maker, {})
    model = SHIPPED if values.get("uses") == "base_model" else str(values.get("model", "base"))
    return SHIPPED if model == "base" else model


def sources(data: ReportData) -> list[QuestionSource]:
    """The data sets of all questions sections, imported files among them."""
    found = []
    for section, values in data.steps.items():
        number = data.questions.get(section, 0)
        if values.get("uses") == "import":
            found.append(QuestionSource(section, str(values.get("path")), f"format {values.get('format')}", number))
        for name, settings in (values.get("sources") or {}).items():
            shown = ", ".join(f"{key} {value}" for key, value in settings.items())
            found.append(QuestionSource(section, str(name), shown, number))
    return found


def _pairs(data: ReportData) -> dict[str, int]:
    totals = sum(data.origins.values(), Counter[Origin]())
    return {str(origin): number for origin, number in totals.items()}


def _render(template: str, *, front: dict[str, Any], **context: Any) -> str:
    """Markdown, not HTML: nothing is escaped, and nothing that a model wrote is in it."""
    head = yaml.safe_dump(front, sort_keys=False)
    return f"---\n{head}---\n\n{environment(escaped=False).get_template(template).render(**context)}"
