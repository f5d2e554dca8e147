"""What the things of a drawn figure are called: "Ann's bar", "the value for Ann", "Monday's rain"."""

import re
from collections.abc import Collection, Iterator, Mapping
from itertools import permutations

from mixpo.questions.figures.canvas import COLOURS
from mixpo.questions.figures.charts import LABELS, THINGS
from mixpo.questions.figures.number_tables import COLUMNS
from mixpo.questions.figures.paired_charts import SERIES
from mixpo.questions.figures.rooms import SHAPES

Key = frozenset[str]
"""The words that tell a thing from others, in the singular."""
DAY = re.compile(r"(mon|tue|wed|thu|fri|sat|sun)(?:s|nes|rs?|ur)?(?:days?)?")


def _word(word: str) -> str:
    if match := DAY.fullmatch(word):
        return match[1]
    return re.sub(r"(?<=x)es$|(?<=[^s])s$", "", word)


FILLERS = frozenset("the a an of for at in on there it labelled labeled named called answer".split())
OF_THEM = frozenset("bar value number height count angle side length".split())
"""Words for what a figure shows of a thing."""
COUNTED = frozenset(map(_word, THINGS))
"""What a chart is about: "the apples of Ann" are Ann's."""
OTHERS = "sat sun tom tim sam amy lily jack john mary bob alice anna emma mike kate paul paris london berlin".split()
"""Labels that no figure has, and a model may believe to see."""
LABEL = frozenset(_word(label.lower()) for labels in (*LABELS.values(), OTHERS) for label in labels)
COLUMN = frozenset(_word(name) for names in (*SERIES, COLUMNS) for name in names)
HAND, HAND_MINUTES = frozenset({"long", "hand"}), frozenset({"long", "hand", "minute"})
LOOKS = frozenset((*COLOURS, *SHAPES))
TOY = re.compile(rf"\b(?:{'|'.join(COLOURS)}) (?:{'|'.join(SHAPES)})")

NOBODY = frozenset({"nobody", "nothing", "no one", "none of them"})
BETWEEN = re.compile(r",? (?:and|&) |, | ?(?:->|=>|→) ?")
ARTICLE = re.compile(r"\b(?:an?|the|one|then|only|just|both|first|next|finally|lastly|small|big|large) ")


class Names:
    """What may be claimed of a figure, by what its things are called."""

    def __init__(self, true: Mapping[str, str], text: str, question: str):
        """`true`: values by name (`truths`); `text`: of the whole answer, which may call the longer side the length;
        `question`: its words, which may say of which row or column all is said."""
        own = {_word(word) for name in true for word in _words(name)}
        self.fillers = FILLERS | ((OF_THEM | COUNTED) - own - ({"length"} if "the width" in true else set()))
        self.values: dict[Key, Collection[str]] = {}
        """What each thing may be said to be, numbers and times."""
        self.lists: dict[Key, str] = {}
        """What is found under other names, items between commas."""
        for name, value in true.items():
            if re.fullmatch(r"\d+(?::\d+)?", value):
                self.values[self.key(name)] = (value,)
            elif value != "x":
                self.lists[self.key(name)] = value
        cells = [cell for key in self.values if (cell := _cell(key))]
        asked = [self.key(question).intersection(words) for words in zip(*cells, strict=True)]
        self.asked = [only for only in asked if len(only) == 1]
        """The one row, and the one column, that the question is about."""
        if "the width" in true and "length" in text:
            sides = true["the width"], true["the height"]
            self.values |= {frozenset({name}): sides for name in ("width", "height", "length", "breadth")}
        if (hand := true.get("the long hand")) is not None:
            minutes = {str(int(hand) * 5), str(int(hand) * 5 % 60)}
            self.values[HAND_MINUTES] = minutes
            self.values[HAND] = {hand, *minutes} - ({"5", "10"} - {hand})  # without "minutes" these are other places
        self.words = frozenset().union(*self.values)
        """Those that name what has a number."""

    def key(self, name: str) -> Key:
        words = {word for word in map(_word, _words(name)) if word not in self.fillers}
        return frozenset(words - {"minute"} | {"long"} if {"minute", "hand"} <= words else words)

    def found(self, name: str, unit: str) -> Key:
        """The key of a thing by its name, or with what is counted ("Ann has 3 cats"), or with what is asked for."""
        key = self.key(name)
        if key == HAND and unit.strip().startswith("minute"):
            return HAND_MINUTES
        if key in self.values or not any(map(_cell, self.values)):
            return key
        return next((full for more in (self.key(unit), *self.asked) if _cell(full := key | more)), key)

    def is_another(self, key: Key) -> bool:
        """Whether it is a thing that such a figure could have, and this one has not: another child, another row."""
        return key not in self.values and any(
            (_is_label(one) and _is_label(key)) or (_cell(one) and _cell(key)) for one in self.values
        )

    def items(self, value: str) -> list[Key] | None:
        """The things of a list; None: not all of its items are things of such a figure."""
        found = [self.key("none" if item in NOBODY else item) for item in BETWEEN.split(ARTICLE.sub("", value))]
        return found if all(self._is_thing(item) for item in found) else None

    def _is_thing(self, key: Key) -> bool:
        return key in self.values or key == {"none"} or _is_label(key) or (len(key) in (1, 2) and key <= LOOKS)


def _is_label(key: Key) -> bool:
    return len(key) == 1 and key <= LABEL


def _cell(key: Key) -> tuple[str, str] | None:
    """The row and the column that a key of two words names."""
    pairs = permutations(sorted(key)) if len(key) == 2 else ()
    return next(((row, column) for row, column in pairs if row in LABEL and column in COLUMN), None)


def _words(name: str) -> Iterator[str]:
    return (match[0] for match in re.finditer(r"[^\W\d_]+|\d+", name.lower().replace("'s", "")))
