"""The app's pages: a request's values in, HTML out. Everything from the run is escaped by the template engine."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from markupsafe import Markup

from mixpo.app import browse
from mixpo.app.addresses import href, link, number, share, side
from mixpo.app.confined import GuardedPictures
from mixpo.app.overview import add_logged, overview
from mixpo.app.records import answer_marked, model_items, pair_items, question_of, review_sides, side_by_side
from mixpo.app.store import Store
from mixpo.errors import UserError
from mixpo.files import RunFiles
from mixpo.messages import PICTURE
from mixpo.report.accuracy import benchmarks, headline
from mixpo.report.charts import curves, funnel
from mixpo.report.collect import ReportData, Training
from mixpo.report.page import TEMPLATES, environment
from mixpo.report.review_summary import summaries
from mixpo.report.reviews import ReviewItem, Reviews, reviewer_name

TABS = (
    ("/", "Overview"), ("/questions", "Questions"), ("/responses", "Responses"), ("/pairs", "Pairs"),
    ("/changes", "Fixed and broken"), ("/dropped", "Left out"), ("/review", "Review"),
)  # fmt: skip
SELECTS = {
    "questions": (("kind", "Kind"), ("domain", "Domain")),
    "responses": (("outcome", "Outcome"), ("kind", "Kind"), ("domain", "Domain")),
    "pairs": (("origin", "Origin"), ("domain", "Domain")),
    "dropped": (("reason", "Reason"),),
}
COLUMNS = {
    "questions": {"id": "Question", "text": "Text", "answer": "Ground truth", "kind": "Kind", "domain": "Domain",
                  "answers": "Responses", "rate": "Pass rate"},
    "responses": {"id": "Response", "outcome": "Outcome", "extracted": "Final answer", "text": "Text",
                  "characters": "Characters"},
    "pairs": {"id": "Pair", "origin": "Origin", "chosen": "Chosen", "rejected": "Rejected", "characters": "Characters",
              "margin": "Margin"},
    "dropped": {"id": "Record", "section": "Section", "step": "Step", "reason": "Reason", "detail": "Why",
                "count": "Records"},
}  # fmt: skip
RUBRIC = (("steps", "Correct steps"), ("grounded", "Grounded in the image"), ("readable", "Readable"))
PAIRS_CONTEST = "chosen and rejected"
ITEMS = 50
"""Items of a contest; every reviewer gets the same."""
PER_PAGE = 10


class Missing(UserError):
    """There is no such record or page."""


@dataclass(frozen=True, slots=True)
class Drawn:
    """The charts of one training."""

    section: str
    charts: list[tuple[str, Markup]]
    finished: bool


class Views:
    """One run, opened. Each method is a page."""

    def __init__(self, files: RunFiles, images: tuple[Path, ...] = (), seed: int = 0):
        self.files = files
        self.seed = seed
        self.store = Store(files)
        self.inner: dict[str, Store] = {}
        self.pictures = GuardedPictures(files.root, images)
        self.reviews = Reviews(files.reviews)
        self.token = secrets.token_urlsafe(16)
        """Stands in the forms: another site's page cannot answer in the reviewer's name."""
        self.templates = environment()
        self.templates.filters["beginning"] = _beginning
        self.choices: dict[tuple[str, str], list[str]] = {}

    def style(self) -> str:
        return "".join((TEMPLATES / name).read_text(encoding="utf-8") for name in ("report.css", "view.css"))

    def script(self) -> str:
        return (TEMPLATES / "view.js").read_text(encoding="utf-8")

    def overview(self) -> str:
        data = overview(self.store, self.files)
        made = {
            "headline": data.made("evaluation", lambda: headline(data), ""),
            "benchmarks": data.made("evaluation", lambda: benchmarks(data), []),
            "funnel": data.made("funnel", lambda: funnel(data), []),
            "trainings": self._drawn(data),
        }
        return self._page(
            "view_overview", "Overview", "Overview", **made, ready=self.store.wait(0), unread=data.damaged,
            live=any(not training.finished for training in data.trainings),
            contests=[(f"/changes?{urlencode({'contest': name})}", name) for name in self._contests()],
        )  # fmt: skip

    def curves(self) -> str:
        data = ReportData(name="")
        add_logged(data, self.files)
        return self._render("view_curves", trainings=self._drawn(data))

    def _drawn(self, data: ReportData) -> list[Drawn]:
        def drawn(training: Training) -> list[Drawn]:
            return [Drawn(training.section, curves(training), training.finished)]

        return [one for t in data.trainings for one in data.made("training", partial(drawn, t), [])]

    def listing(self, name: str, values: Mapping[str, str]) -> str:
        """A page of questions, responses, pairs or drops."""
        listing = browse.LISTINGS[name]
        picked = {field: values.get(field, "") for field in ("text", "sort", *listing.equal)}
        wanted = browse.Filter(**picked, lowest=share(values, "lowest", 0.0), highest=share(values, "highest", 1.0))
        page = browse.page(self.store, name, wanted, number(values))
        selects = [(key, label, self._values(name, key), picked[key]) for key, label in SELECTS[name]]
        selects.append(("sort", "Order", list(listing.orders), wanted.sort))
        columns = COLUMNS[name]
        rows = [(href(name, row), [row[column] for column in columns]) for row in page.rows]
        return self._page(
            "view_list", name.capitalize() if name != "dropped" else "Left out", _tab(f"/{name}"), wanted=wanted,
            page=page, selects=selects, rates=name == "questions", heads=list(columns.values()), rows=rows,
            link=link(f"/{name}", values), most_words=browse.MOST_WORDS,
        )  # fmt: skip

    def question(self, own_id: str) -> str:
        question = question_of(self.store, self.files, self.pictures, own_id)
        if question is None:
            raise Missing(f"this run has no question {own_id!r}")
        answers = [(row, answer_marked(row)) for row in browse.responses(self.store, own_id)]
        return self._page("view_question", own_id, "Questions", question=question, answers=answers)

    def pair(self, own_id: str) -> str:
        row = browse.pair(self.store, own_id)
        if row is None:
            raise Missing(f"this run has no pair {own_id!r}")
        left, right = side_by_side(row["chosen"] or "", row["rejected"] or "")
        margin = row["margin"]
        entry = {
            "id": row["id"], "tag": row["origin"], "left": left, "right": right,
            "question": question_of(self.store, self.files, self.pictures, row["question_id"], row),
            "href": href("questions", {"id": row["question_id"]}),
            "names": ("chosen", "rejected"), "tones": ("chosen", "rejected"),
            "note": "" if margin is None else f"Margin of the sampling model's log-probabilities: {margin:.2f} nats",
        }  # fmt: skip
        return self._page("view_pair", own_id, "Pairs", entries=[entry], page=None, link=None)

    def changes(self, values: Mapping[str, str]) -> str:
        """Questions that training fixed or broke, with both answers."""
        contests = self._contests()
        name = values.get("contest") or next(iter(contests), "")
        if name not in contests:
            raise Missing("this run has compared no two models; add an evaluate section with two models")
        evaluation, before, after = contests[name]
        inner, files = self._inner(evaluation), self.files.evaluation(evaluation)
        found = browse.changes(inner, before, after)
        pages = max(1, -(-len(found) // PER_PAGE))
        page_number = min(max(1, number(values)), pages)
        entries = []
        for change in found[(page_number - 1) * PER_PAGE : page_number * PER_PAGE]:
            left, right = side_by_side(change.before or "", change.after or "")
            question = question_of(inner, files, self.pictures, change.question_id)
            tones = ("rejected", "chosen") if change.fixed else ("chosen", "rejected")
            entries.append(
                {"id": change.question_id, "tag": "fixed" if change.fixed else "broken", "left": left,
                 "right": right, "question": question, "href": "", "names": ("before", "after"), "tones": tones,
                 "note": ""}
            )  # fmt: skip
        page = browse.Page([], page_number, pages, len(found))
        title = f"{name}: {sum(c.fixed for c in found)} fixed, {sum(not c.fixed for c in found)} broken"
        return self._page(
            "view_pair", title, "Fixed and broken", entries=entries, page=page, link=link("/changes", values)
        )

    def review(self, values: Mapping[str, str], message: str = "") -> str:
        """The next item for a reviewer, and what the reviews come to so far."""
        contests = [PAIRS_CONTEST, *self._contests()]
        contest = values.get("contest", PAIRS_CONTEST)
        if contest not in contests:
            raise Missing(f"there is nothing to review called {contest!r}")
        context: dict[str, Any] = {"item": None, "question": None, "left": None, "right": None, "done": 0, "total": 0}
        reviewer = ""
        if "reviewer" in values:
            reviewer = reviewer_name(values["reviewer"])
            context |= self._next(reviewer, contest)
        people = [] if context["item"] else summaries(self.reviews.answers())
        return self._page(
            "view_review", "Review", "Review", message=message, reviewer=reviewer, contest=contest, contests=contests,
            token=self.token, rubric=RUBRIC, people=people, **context,
        )  # fmt: skip

    def _next(self, reviewer: str, contest: str) -> dict[str, Any]:
        if not self.reviews.counts(reviewer, contest)[1]:
            self.reviews.add(self._items(contest))
        item = self.reviews.next(reviewer, contest)
        done, total = self.reviews.counts(reviewer, contest)
        if item is None:
            return {"done": done, "total": total}
        left, right = review_sides(item, reviewer)
        store, files, pair = self.store, self.files, None
        if contest == PAIRS_CONTEST:
            pair = browse.pair(store, item.id.removeprefix(f"{contest}/"))
        else:
            evaluation = self._contests()[contest][0]
            store, files = self._inner(evaluation), files.evaluation(evaluation)
        question = question_of(store, files, self.pictures, item.question_id, pair)
        return {"item": item, "question": question, "left": left, "right": right, "done": done, "total": total}

    def judge(self, values: Mapping[str, str]) -> str:
        """Saves one answer; where to go next. Raises UserError for a form that is not this server's."""
        if not secrets.compare_digest(values.get("token", "").encode(), self.token.encode()):
            raise UserError("this form is from an earlier start of the app; load the page again")
        reviewer, contest = reviewer_name(values.get("reviewer", "")), values.get("contest", "")
        if values.get("side") == "undo":
            self.reviews.undo(reviewer, contest)
        else:
            item = self.reviews.next(reviewer, contest)
            # A key pressed twice must not judge the next item, which nobody has read.
            if item is not None and item.id == values.get("item"):
                rubric = {name: side(values.get(name, "tie")) for name, _ in RUBRIC}
                self.reviews.save(item, reviewer, side(values.get("side", "")), rubric)
        return f"/review?{urlencode({'reviewer': reviewer, 'contest': contest})}"

    def _items(self, contest: str) -> list[ReviewItem]:
        if contest == PAIRS_CONTEST:
            return pair_items(self.store, contest, ITEMS, self.seed)
        evaluation, before, after = self._contests()[contest]
        return model_items(self._inner(evaluation), contest, before, after, ITEMS, self.seed)

    def _contests(self) -> dict[str, tuple[str, str, str]]:
        return browse.contests(self.files)

    def _inner(self, evaluation: str) -> Store:
        if evaluation not in self.inner:
            self.inner[evaluation] = Store(self.files.evaluation(evaluation), within=self.files.root)
        return self.inner[evaluation]

    def _values(self, name: str, key: str) -> list[str]:
        """A filter's choices, read once."""
        if (name, key) not in self.choices:
            listing = browse.LISTINGS[name]
            self.choices[name, key] = self.store.values(listing.table, listing.equal[key])
        return self.choices[name, key]

    def _page(self, template: str, title: str, tab: str, **context: Any) -> str:
        run = self.files.root.resolve().name
        damaged = [sentence for store in (self.store, *self.inner.values()) for sentence in store.damaged]
        return self._render(template, title=title, tab=tab, tabs=TABS, run=run, damaged=damaged, **context)

    def apology(self, sentence: str) -> str:
        """A page that says only why there is nothing on it."""
        return self._page("view_apology", "This cannot be shown", "", sentence=sentence)

    def _render(self, template: str, **context: Any) -> str:
        html = self.templates.get_template(f"{template}.html.j2").render(**context)
        return html.encode("utf-8", "replace").decode()

    def close(self) -> None:
        for store in (self.store, *self.inner.values()):
            store.close()


def _beginning(text: str, limit: int = 160) -> str:
    """What a cell of a list shows of a text."""
    text = text.replace(PICTURE, "[picture]")
    return text if len(text) <= limit else f"{text[:limit]}…"


def _tab(href: str) -> str:
    return next(name for place, name in TABS if place == href)
