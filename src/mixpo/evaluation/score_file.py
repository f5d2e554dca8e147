"""`mixpo score FILE --benchmark mathvista`: anybody's responses, judged and tabled as mixpo's own.

The questions come from a copy of the benchmark (`--data`), or, where the file repeats the benchmark's columns, from
the file itself.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from mixpo.errors import DataError, RecipeError
from mixpo.evaluation import warning_signs
from mixpo.evaluation.benchmarks import source
from mixpo.evaluation.benchmarks.benchmark import Benchmark
from mixpo.evaluation.predictions import IDS, Prediction, predictions
from mixpo.evaluation.scores import Answers, BenchmarkQuestions, comparisons, numbered_answers, scores
from mixpo.evaluation.table import show
from mixpo.files import to_json
from mixpo.progress import say
from mixpo.questions.rows import ReadOptions
from mixpo.records import Comparison, Dropped, Question, Response, Score, Verdict
from mixpo.text_files import write_text
from mixpo.verdicts import verify

STYLE = "given"
"""The prompt style in the table: how the model was asked is not known."""
PICTURES = ("image", "images", "decoded_image", "image_path", "imgname", "imagename", "image_src")


def score_file(
    path: Path, benchmark: str, *, data: Path | None = None, split: str = "", model: str = "", out: Path | None = None
) -> None:
    """Prints the scores of every model in the file. Raises UserError when a response fits no question."""
    found, compared, verdicts = score(path, benchmark, data=data, split=split, model=model)
    if out is not None:
        write_text(out, "".join(to_json(verdict) + "\n" for verdict in verdicts))
    show(found, compared)
    for sign in warning_signs.signs(found):
        say(f"warning: {warning_signs.sentence(sign)}")


def score(
    path: Path, name: str, *, data: Path | None = None, split: str = "", model: str = ""
) -> tuple[list[Score], list[Comparison], list[Verdict]]:
    """Scores and comparisons of the models in a file of responses, and the verdicts.

    A question that a model left out counts as unanswered when the questions come from `data`; otherwise the
    questions are those that the model answered.
    """
    declared = source.benchmark(name)
    if declared is None or declared.columns is None:
        names = [each for each in source.BENCHMARKS if (listed := source.benchmark(each)) and listed.columns]
        raise RecipeError(f"benchmark {name!r} is none of {', '.join(names)}")
    known = Known(declared, name, data, split) if data else None
    by_model: dict[str, dict[str, tuple[Question, Response]]] = {}
    for prediction in predictions(path):
        question = known.question(prediction) if known else _from_row(declared, name, prediction)
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
    by_model: dict[str, dict[str, tuple[Question, Response]]],
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
        responses = [response for question, response in rows.values() if question.id in kept]
        verdicts = list(verify.judge(mine, responses, verify.Config()))
        asked[model] = BenchmarkQuestions(mine, declared.metrics, declared.open_ended)
        answers.append(Answers(model, name, STYLE, numbered_answers(mine, responses, verdicts)))
        found += scores("score", answers[-1], asked[model])
        judged += [replace(verdict, id=f"{model}/{verdict.id}") for verdict in verdicts]
    same = [part for part in answers if part.answered.keys() == answers[0].answered.keys()]
    return found, list(comparisons(same, {name: asked[same[0].model]})), judged


def _response(question: Question, prediction: Prediction) -> Response:
    return Response(
        id=f"{question.id}/0", question_id=question.id, sample=0, text=prediction.text, style=STYLE,
        finish_reason=prediction.finish_reason, completion_tokens=int(prediction.row.get("completion_tokens") or 0),
    )  # fmt: skip


def _from_row(declared: Benchmark, name: str, prediction: Prediction) -> Question:
    row = {key: value for key, value in prediction.row.items() if key not in PICTURES}
    options = ReadOptions(source=name, root=Path(), store=True)
    found = source.question_of(declared, row, prediction.number or 0, prediction.where, options)
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
        for found in _without_pictures(declared, config, name):
            self.by_number[found.meta["row"]] = found
            self.by_id[found.id.removeprefix(f"{name}-")] = found
            self.by_id[found.id] = found
        if not self.by_id:
            raise DataError(f"{data}: no question of {name} could be read there")

    def question(self, prediction: Prediction) -> Question:
        """Raises DataError when the copy has no such question."""
        for column in IDS:
            if (found := self.by_id.get(prediction.names.get(column, ""))) is not None:
                return found
        found = self.by_number.get(prediction.number) if prediction.number is not None else None
        if found is None:
            said = prediction.names or f"number {prediction.number}"
            raise DataError(f"{prediction.where}: {self.data} has no question {said}; check benchmark and split")
        return found


def _without_pictures(declared: Benchmark, config: source.Config, name: str) -> Iterator[Question]:
    """The questions; what the copy lacks of pictures does not matter here."""

    def columns(row: Any) -> dict[str, Any]:
        assert declared.columns is not None
        return {key: value for key, value in declared.columns(row).items() if key != "images"}

    left_out = 0
    for found in source.load(replace(declared, columns=columns), config, name):
        if isinstance(found, Dropped):
            left_out += found.count
        else:
            yield found.question
    if left_out:
        say(f"{name}: {left_out} rows of {config.path} are no questions")
