"""Tables of small numbers: a row for a child, a column for a thing."""

import random
from collections.abc import Mapping
from dataclasses import dataclass

from mixpo.questions.figures.canvas import Canvas
from mixpo.questions.figures.problem import Figure, Problem, said
from mixpo.records import AnswerKind

ROWS = ("Ann", "Ben", "Eva", "Leo", "Mia")
COLUMNS = ("cats", "cups", "figs", "nuts", "pens")
LARGEST = 9
FAMILIES = ("cell", "row", "column", "more", "who")
WAYS = {
    "cell": (
        "How many {x} does {a} have?",
        "What is the number of {x} for {a}?",
        "Look up {a} in the table. How many {x} are there?",
        "The table lists what the children own. How many {x} belong to {a}?",
        "Find the row of {a} and the column of {x}. What is there?",
        "{a} counts the {x}. What is the result?",
        "How many {x} are {a}'s?",
        "What does the table say of {a} and {x}?",
    ),
    "row": (
        "How many things does {a} have in all?",
        "What is the sum of the row of {a}?",
        "Add up everything that {a} has. What is the sum?",
        "{a} puts all things into one box. How many are in it?",
        "What does the row of {a} come to?",
        "Taking all columns together, how many things are there for {a}?",
        "How many things would {a} carry home?",
        "If {a} loses nothing, how many things are that together?",
    ),
    "column": (
        "How many {x} are there in all?",
        "What is the sum of the column {x}?",
        "Add up the {x} of all children. What is the sum?",
        "How many {x} do the children have together?",
        "All {x} are put on one table. How many lie there?",
        "What does the column {x} come to?",
        "How many {x} does the whole table list?",
        "Everybody brings their {x}. How many are there then?",
    ),
    "more": (
        "How many more {x} does {a} have than {b}?",
        "What is the difference between {a} and {b} in {x}?",
        "{b} wants as many {x} as {a}. How many are missing?",
        "By how many {x} is {a} ahead of {b}?",
        "Take the {x} of {b} away from those of {a}. What is left?",
        "How many {x} does {b} lack to have as many as {a}?",
        "{a} has more {x} than {b}. How many more?",
        "How far is {b} behind {a} in {x}?",
    ),
    "who": (
        "Who has the most {x}?",
        "Which child has the largest number of {x}?",
        "Look at the column {x}. Whose number is the highest?",
        "Who owns more {x} than anybody else?",
        "Who comes first in {x}?",
        "Which child leads in {x}?",
        "Whose {x} are the most?",
        "In {x}, who beats all the others?",
    ),
}


@dataclass(frozen=True)
class NumberTable(Figure):
    """Numbers from 0 to 9, row by row."""

    rows: tuple[str, ...]
    columns: tuple[str, ...]
    cells: tuple[tuple[int, ...], ...]

    def facts(self) -> Mapping[str, str]:
        return {
            f"{row}'s {column}": str(cell)
            for row, cells in zip(self.rows, self.cells, strict=True)
            for column, cell in zip(self.columns, cells, strict=True)
        }

    def draw(self, canvas: Canvas) -> None:
        high, wide = 88 / (len(self.rows) + 1), 88 / (len(self.columns) + 1)
        for number in range(len(self.rows) + 2):
            canvas.line((6, 6 + number * high), (94, 6 + number * high), width=1.6 if number == 1 else 0.5)
        for number in range(len(self.columns) + 2):
            canvas.line((6 + number * wide, 6), (6 + number * wide, 94), width=1.6 if number == 1 else 0.5)
        for number, column in enumerate(self.columns, 1):
            canvas.text(6 + (number + 0.5) * wide, 6 + high / 2, column, 0.95)
        for place, (row, cells) in enumerate(zip(self.rows, self.cells, strict=True), 1):
            canvas.text(6 + wide / 2, 6 + (place + 0.5) * high, row, 0.95)
            for number, cell in enumerate(cells, 1):
                canvas.text(6 + (number + 0.5) * wide, 6 + (place + 0.5) * high, str(cell), 1.1)


def make(rng: random.Random, family: str, held_out: bool) -> Problem:
    """A problem of one of `FAMILIES`; `held_out`: in words that training never sees."""
    rows = tuple(sorted(rng.sample(ROWS, rng.choice((2, 3, 3)))))
    columns = tuple(sorted(rng.sample(COLUMNS, rng.choice((2, 3)))))
    table = NumberTable(rows, columns, tuple(tuple(rng.randint(0, LARGEST) for _ in columns) for _ in rows))
    x = rng.randrange(len(columns))
    column = [cells[x] for cells in table.cells]
    a, b = sorted(rng.sample(range(len(rows)), 2), key=lambda place: -column[place])
    if (family == "more" and column[a] == column[b]) or (family == "who" and column.count(max(column)) > 1):
        return make(rng, family, held_out)
    steps, answer = _worked(table, family, (a, b), x)
    return Problem(
        figure=table,
        family=f"table {family}",
        text=said(rng, WAYS[family], held_out, a=rows[a], b=rows[b], x=columns[x]),
        answer=answer,
        kind=AnswerKind.CHOICE if family == "who" else AnswerKind.INTEGER,
        choices=rows if family == "who" else (),
        steps=steps,
    )


def _worked(table: NumberTable, family: str, pair: tuple[int, int], x: int) -> tuple[tuple[str, ...], str]:
    """The steps and the answer."""
    a, b = pair
    every = range(len(table.rows))
    cells = {
        "cell": [(a, x)],
        "row": [(a, place) for place in range(len(table.columns))],
        "more": [(a, x), (b, x)],
    }.get(family, [(place, x) for place in every])
    values = [table.cells[row][column] for row, column in cells]
    steps = [f"{table.rows[row]}'s {table.columns[column]} is {table.cells[row][column]}." for row, column in cells]
    if family == "cell":
        return tuple(steps), str(values[0])
    if family == "who":
        return (*steps, f"The largest is {max(values)}."), "ABC"[values.index(max(values))]
    sign = "-" if family == "more" else "+"
    total = values[0]
    for value in values[1:]:
        result = total - value if family == "more" else total + value
        steps.append(f"{total} {sign} {value} = {result}.")
        total = result
    return tuple(steps), str(total)
