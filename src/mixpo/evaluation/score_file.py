"""`mixpo score FILE --benchmark mathvista`: anybody's responses, judged and tabled as mixpo's own.

The questions come from a copy of the benchmark (`--data`), or, where the file repeats the benchmark's columns, from
the file itself.
"""

from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from mixpo import output
from mixpo.errors import DataError, RecipeError, UserError
from mixpo.evaluation import warning_signs
from mixpo.evaluation.benchmarks import source
from mixpo.evaluation.benchmarks.benchmark import Benchmark
from mixpo.evaluation.benchmarks.own_files import REPEATED
from mixpo.evaluation.doubts import doubts
from mixpo.evaluation.predictions import IDS, Prediction, name_of, predictions
from mixpo.evaluation.scores import Answers, BenchmarkQuestions, comparisons, numbered_answers, scores
from mixpo.evaluation.table import show
from mixpo.json_lines import from_json, to_json
from mixpo.lock import held_beside
from mixpo.out_files import refuse_inputs, refuse_other_lines
from mixpo.progress import say
from mixpo.questions import file
from mixpo.questions.rows import ReadOptions, item
from mixpo.records import Comparison, Dropped, Question, Response, Score, Verdict
from mixpo.text_files import write_text
from mixpo.verdicts import verify

STYLE = "given"
"""The prompt style in the table: how the model was asked is not known."""
FILE = source.OWN
"""The name under which questions of one's own are scored (`mixpo.questions.file`)."""
OWN = Benchmark(title="questions of one's own", loader=FILE)
PICTURES = ("image", "images", "decoded_image", "image_path", "imgname", "imagename", "image_src")


def score_file(
    path: Path, benchmark: str, *, data: Path | None = None, split: str = "", model: str = "", out: Path | None = None
) -> None:
    """Prints the scores of every model in the file. Raises UserError when a response fits no question, or when `out`
    is read, too, or holds anything but verdicts."""
    with held_beside(out) if out is not None else nullcontext():
        if out is not None:
            refuse_inputs(out, path, data, Path(benchmark.partition("=")[2] or path))
            refuse_other_lines(out, "verdicts", partial(from_json, Verdict))
        found, compared, verdicts = score(path, benchmark, data=data, split=split, model=model)
        if out is not None:
            write_text(out, "".join(to_json(verdict) + "\n" for verdict in verdicts))
    show("score", found, compared, [*warning_signs.signs(found), *doubts(found, compared)])
    if out is not None:
        output.tell(f"verdicts: {out}")


def score(
    path: Path, name: str, *, data: Path | None = None, split: str = "", model: str = ""
) -> tuple[list[Score], list[Comparison], list[Verdict]]:
    """Scores and comparisons of the models in a file of responses, and the verdicts. `name`: of a benchmark, or with
    `=` and its copy or a file of questions of one's own, which is `data` then.

    A question whose response is empty counts as unanswered; when the questions come from `data`, so does one that a
    model left out. Otherwise the questions are those of the file.
    """
    name, loader, place = (name, FILE, "") if name == FILE else source.named(name, "--benchmark")
    if place and data is not None:
        raise UserError(f"--benchmark {name}={place} names the questions already; leave out --data")
    data = Path(place) if place else data
    declared = OWN if loader == FILE else source.benchmark(name)
    if declared is None or (declared.columns is None and declared is not OWN):
        names = [each for each in source.BENCHMARKS if (listed := source.benchmark(each)) and listed.columns]
        raise RecipeError(f"benchmark {name!r} is none of {', '.join([*names, FILE])}")
    known = Known(declared, name, data, split) if data else None
    own = file.reading(file.Config(path=str(path)), name, path.parent, ids=file.IDS, pictures=False)
    assert own.numbering is not None
    own.numbering.survey = lambda: file.survey([path], name, own)
    by_model: dict[str, dict[str, tuple[Question, Response | None]]] = {}
    for prediction in predictions(path):
        question = known.question(prediction) if known else _from_row(declared, name, prediction, own)
        rows = by_model.setdefault(model or prediction.model or path.name.split(".")[0], {})
        if question.id in rows:
            raise DataError(f"{prediction.where}: {question.id} was answered before; give one response a question")
        rows[question.id] = question, _response(question, prediction)
    if not by_model:
        raise DataError(f"{path} holds no responses")
    return _tables(declared, name, by_model, list(known.by_number.values()) if known else None)


def _tables(
    declared: Benchmark,
    name: str,
    by_model: dict[str, dict[str, tuple[Question, Response | None]]],
    questions: list[Question] | None,
) -> tuple[list[Score], list[Comparison], list[Verdict]]:
    found: list[Score] = []
    judged: list[Verdict] = []
    answers: list[Answers] = []
    asked: dict[str, BenchmarkQuestions] = {}
    for model, rows in by_model.items():
        mine = questions if questions is not None else [question for question, _ in rows.values()]
        mine = [question for question in mine if question.answer is not None]
        if not mine:
            raise DataError(f"{name}: no ground truth is known for the questions of {model!r}; give --data")
        kept = {question.id for question in mine}
        responses = [response for question, response in rows.values() if response and question.id in kept]
        verdicts = list(verify.judge(mine, responses, verify.Config()))
        asked[model] = BenchmarkQuestions(mine, declared.metrics, declared.open_ended)
        answers.append(Answers(model, name, STYLE, numbered_answers(mine, responses, verdicts)))
        found += scores("score", answers[-1], asked[model])
        judged += [replace(verdict, id=f"{model}/{verdict.id}") for verdict in verdicts]
    same = [part for part in answers if part.answered.keys() == answers[0].answered.keys()]
    return found, list(comparisons(same, {name: asked[same[0].model]})), judged


def _response(question: Question, prediction: Prediction) -> Response | None:
    if prediction.text is None:
        return None
    return Response(
        id=f"{question.id}/0", question_id=question.id, sample=0, text=prediction.text, style=STYLE,
        finish_reason=prediction.finish_reason, completion_tokens=int(prediction.row.get("completion_tokens") or 0),
    )  # fmt: skip


def _from_row(declared: Benchmark, name: str, prediction: Prediction, own: ReadOptions) -> Question:
    """The question that a row of responses repeats; `own`: how one that is no benchmark's is read."""
    row = {key: value for key, value in prediction.row.items() if key not in PICTURES}
    number = prediction.number or 0
    if declared is OWN:
        row.pop(prediction.column, None)
        found = item(row, number, prediction.where, own)
    else:
        options = ReadOptions(source=name, root=Path(), store=True)
        found = source.question_of(declared, row, number, prediction.where, options)
    if isinstance(found, Dropped):
        raise DataError(f"{found.id}: the question cannot be told from this row ({found.detail}); give --data")
    return found.question


class Known:
    """The benchmark's questions from its own copy, by what a file of responses may call them."""

    def __init__(self, declared: Benchmark, name: str, data: Path, split: str):
        config = source.Config(path=str(data), split=split)
        self.data = data
        self.by_number: dict[int, Question] = {}
        self.by_id: dict[str, Question] = {}
        self.repeated: set[str] = set()
        """Ids that several files of the copy give."""
        for number, found in _without_pictures(declared, config, name):
            if found.id in self.by_id:
                say(f"{name}: row {number + 1} of {data} is left out: an earlier one has the id {found.id}")
                continue
            self.by_number[number] = found
            self.by_id[found.id.removeprefix(f"{name}-")] = found
            self.by_id[found.id] = found
            self.repeated |= {found.meta[REPEATED]} if REPEATED in found.meta else set()
        if not self.by_id:
            raise DataError(f"{data}: no question of {name} could be read there")

    def question(self, prediction: Prediction) -> Question:
        """Raises DataError when the copy has no such question, or several."""
        for column in IDS:
            if (given := prediction.names.get(column, "")) in self.repeated and prediction.number is None:
                raise DataError(
                    f"{prediction.where}: several files of {self.data} have a question {given}; give one file as --data"
                )
            # Of a column that the copy has beside the id, it may be another question's id.
            if (found := self.by_id.get(given)) is not None and name_of(found.meta.get(column, given)) == given:
                return found
        found = self.by_number.get(prediction.number) if prediction.number is not None else None
        if found is None:
            said = prediction.names or f"number {prediction.number}"
            raise DataError(f"{prediction.where}: {self.data} has no question {said}; check benchmark and split")
        return found


def _without_pictures(declared: Benchmark, config: source.Config, name: str) -> Iterator[tuple[int, Question]]:
    """The questions and their places in the split, from 0; what the copy lacks of pictures does not matter here."""

    def columns(row: Any) -> dict[str, Any]:
        assert declared.columns is not None
        return {key: value for key, value in declared.columns(row).items() if key != "images"}

    left_out = 0
    if declared is OWN:
        entries = file.load(file.Config(path=config.path), name, 0, pictures=False)
    else:
        entries = source.load(replace(declared, columns=columns), config, name)
    for number, found in enumerate(entries):
        if isinstance(found, Dropped):
            left_out += found.count
        else:
            yield number if declared is OWN else found.question.meta["row"], found.question
    if left_out:
        say(f"{name}: {left_out} rows of {config.path} are no questions")
