"""Options named by their text: words, yes and no, numbers with or without their unit, times."""

import re
from functools import lru_cache

from mixpo.records import Question
from mixpo.verdicts.body import Body
from mixpo.verdicts.kinds import expression, time, yes_no
from mixpo.verdicts.kinds.option_values import NOT_AN_OPTION, by_number, by_time, is_number
from mixpo.verdicts.kinds.stance import NO_ASSERTION, content, negations
from mixpo.verdicts.mathematics.compare import same as same_mathematics
from mixpo.verdicts.mathematics.structure import is_readable
from mixpo.verdicts.plain import plain
from mixpo.verdicts.reading import Reading
from mixpo.verdicts.stated_number import HEDGE
from mixpo.verdicts.statements import Statement, sentence_end
from mixpo.verdicts.turns import DECIDES, PROVISIONAL, RESULTS

DENIED_BEFORE = re.compile(
    r"\b(?:there (?:is|are) no|no longer|(?:is|are|was|were|certainly|definitely) no|rule out|ruled out"
    r"|exclude|eliminate|anything but|far from|looks? like|resembles?|similar to)"
    r" (?:(?:a|an|the|any|be|being) )?(?:[^\W\d_]+ )?$"
)
DENIED_BEHIND = re.compile(
    r"[\"'*)]*(?:[^\W\d_]+ )?\s?(?:is|are|was|were|looks?) (?:not\b|n't|nowhere|wrong|incorrect|excluded"
    r"|ruled out|out of the question)|[\"'*)]* (?:isn't|aren't|wasn't)\b"
)
VERB = re.compile(r"\b(?:is|are|equals|be|get|gives|becomes)\b:?")
TOKEN = re.compile(r"\w+|[^\w\s]")
PREPOSITIONS = frozenset("from out with by for into inside".split())
PLACE = re.compile(
    r"(?:(?:it|they|he|she) (?:will|would|is|are|was|were|does|has) |(?:in|on|at|inside|near|under|by) (?:an? |the )?)"
)
COMPARED = re.compile(r"\bthan\b|\b(?:over|under|above|below|before|after)\b")
CHEMICAL = re.compile(r"(?=[A-Za-z]*\d)(?:[A-Z][a-z]?\d{0,3}){2,}")
ENDS = re.compile(r"(?!\w|\.\d|[/^])")
AFTER_LETTER = re.compile(r"(?:[)\](}.:,\"'*\s-]|\\[ ,;]|\\quad|~)+")
DENIED = re.compile(r"(?:\b(?:not|never|rather than|instead of)|n't|不是)\s+(?:\w+\s+){0,2}$")


MATHEMATICAL = re.compile(r"[\d√π∞^=<>≤≥|\\]|^-?[a-z]$|[-+/]\s?[a-z]\b")


def option_read(body: Body, statement: Statement, question: Question, choices: tuple[str, ...]) -> Reading | None:
    """The option whose text a statement gives; None when it gives none."""
    if polarities := polarities_of(choices):
        found = yes_no.read(body, statement, question)
        return found._replace(value=polarities.index(found.value)) if found and found.value is not None else found
    if (timed := by_time(body, statement, choices)) is not None:
        return timed
    if (whole := _whole(body, statement, choices, question)) is not None:
        return whole
    found = _by_words(body, statement, choices) or _by_content(body, statement, choices)
    if found is not None and (found.value is not None or found.problem == "several options"):
        return found
    by_value = by_number(body, statement, question, choices)
    return by_value if by_value is not None and (found is None or by_value.value != NOT_AN_OPTION) else found


def _whole(body: Body, statement: Statement, choices: tuple[str, ...], question: Question) -> Reading | None:
    """The option that a statement is as a whole: the same words, or the same mathematics."""
    start, end = statement.start, statement.end
    if not statement.strict and statement.rule not in ("phrase", "line", "last"):
        return None
    if statement.rule not in ("box", "tag", "json"):
        end = min(end, sentence_end(body.text, start, end))
    said = body.text[start:end].strip(" \t\n*\"'`:.,;")
    if mathematical(choices) and not statement.strict:
        formula = expression.read(body, statement, question)
        if formula is not None and formula.value and is_readable(formula.value):
            return _by_value(formula.value, choices, question, Reading(formula.start, formula.end))
    same = [index for index, choice in enumerate(choices) if plain(choice) == plain(said)]
    if (
        said
        and len({choices[index] for index in same}) == 1
        and not is_number(choices[same[0]])
        and _keeps_signs(said, choices[same[0]])
    ):
        return Reading(start, end, same[0])
    if not mathematical(choices) or len(said) > 200:
        return None
    if statement.rule in ("phrase", "last", "line", "direct"):
        verb = list(VERB.finditer(body.lower, start, end))
        said = body.text[verb[-1].end() if verb and statement.rule in ("last", "direct") else start : end].strip(
            " \t\n*\"'`:.,;"
        )
    return _by_value(said, choices, question, Reading(start, end))


def _keeps_signs(said: str, choice: str) -> bool:
    """Whether two texts of the same words have the same signs: "-x" is not "x"."""
    return re.findall(r"[-+|<>=≤≥()\[\]{}/.]", said.rstrip(".")) == re.findall(
        r"[-+|<>=≤≥()\[\]{}/.]", choice.rstrip(".")
    ) or not (MATHEMATICAL.search(choice) or MATHEMATICAL.search(said))


def _by_value(said: str, choices: tuple[str, ...], question: Question, place: Reading) -> Reading | None:
    """The one option that is the same mathematics; None where what is said is no mathematics."""
    if not is_readable(said):
        return None
    equal = [same_mathematics(choice, said, question.text) for choice in choices]
    found = [index for index, same in enumerate(equal) if same]
    if len({choices[index] for index in found}) == 1:
        return place._replace(value=found[0])
    if found or None in equal:
        return place._replace(problem="cannot be compared")
    return place._replace(value=NOT_AN_OPTION)


@lru_cache(maxsize=16384)
def mathematical(choices: tuple[str, ...]) -> bool:
    """Whether most options are mathematics that is more than a number with its unit."""
    formulas = [MATHEMATICAL.search(choice) is not None and is_readable(choice) for choice in choices]
    return 2 * sum(formulas) > len(choices) and sum(map(is_number, choices)) < len(choices)


@lru_cache(maxsize=16384)
def _beginnings(choices: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(choice.strip(" .").lower() for choice in choices)


def contradicted(body: Body, found: Reading, end: int, choices: tuple[str, ...]) -> bool:
    """Whether the letter read is followed at once by the text of another option: "(B) 7 cm" where that is (C)."""
    after = AFTER_LETTER.match(body.text, found.end, end) if found.end + 1 < end else None
    if after is None or not 0 <= found.value < len(choices):
        return False
    beginnings = _beginnings(choices)
    for at in (after.end(), after.end() - 1):  # a bracket may be the text's own: "B. (1, 2)"
        said = body.lower[at:end]
        if said.startswith(beginnings[found.value]):
            return False
        others = [index for index, beginning in enumerate(beginnings) if beginning and said.startswith(beginning)]
        ends = [len(beginnings[index]) for index in others if plain(choices[index]) != plain(choices[found.value])]
        if any(ENDS.match(said, place) for place in ends):
            return True
    return False


def says_yes_or_no(choices: tuple[str, ...]) -> bool:
    """Whether the options are yes and no."""
    return bool(polarities_of(choices))


@lru_cache(maxsize=16384)
def polarities_of(choices: tuple[str, ...]) -> tuple[bool | None, ...]:
    """What each option says when they are yes and no (and perhaps a third); else empty."""
    found = tuple(yes_no.polarity(choice) for choice in choices)
    return found if True in found and False in found else ()


@lru_cache(maxsize=16384)
def _by_length(choices: tuple[str, ...]) -> tuple[tuple[int, str, str], ...]:
    """Number, text and first word of every option, the longest first: a longer text is looked for before its parts."""
    found = []
    for index, choice in sorted(enumerate(choices), key=lambda item: -len(item[1])):
        tokens = TOKEN.findall(choice.strip().rstrip("."))
        if tokens and len(choice) <= 400:
            first = re.split(r"\d", tokens[0])[0] if CHEMICAL.fullmatch(tokens[0]) else tokens[0]
            found.append((index, choice, re.sub(r"(?<=is)m$|s$", "", first.lower())))
    return tuple(found)


@lru_cache(maxsize=16384)
def _pattern(choice: str) -> re.Pattern[str]:
    """What finds an option's text: white space is free, words may be in the plural, nothing may go on at its ends."""
    bare = choice.strip()
    if len(bare) == 1 and bare.isalpha():  # a letter as text: "a" and "A person" are no options
        return re.compile(rf"(?<![\w'.]){re.escape(bare)}(?![\w']|\.\w| [a-z])")
    tokens = TOKEN.findall(bare.rstrip("."))
    left = r"(?<![A-Za-z0-9_.\\/^-])" if tokens[0][0].isalnum() else r"(?<![\w.])"
    body = r"[\s$]*".join(map(_token, tokens))
    right = r"(?!\w)" if len(bare) > 3 and bare[-1].isalpha() else r"(?!\w|[.,]\d|[/^]\d|√|\s*[+*/^]\s*\w|%)"
    return re.compile(left + body + right, re.IGNORECASE)


def _token(token: str) -> str:
    """A word may stand in the plural where the option has the singular, and the other way round."""
    if CHEMICAL.fullmatch(token):  # CH4, CH₄, CH_4
        parts = re.findall(r"\d+|[A-Za-z]+", token)
        lowered = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")
        return "".join(rf"(?:_?\{{?{part}\}}?|{part.translate(lowered)})" if part.isdigit() else part for part in parts)
    if token.lower().endswith("ism"):  # "a mutualistic relationship"
        return re.escape(token[:-1]) + "(?:m|tic)"
    if token.isalpha() and token.isascii() and len(token) > 3:
        return re.escape(token[:-1] if token[-1] in "sS" and token[-2] not in "sSuU" else token) + r"(?:e?s)?"
    return re.escape(token)


def _by_words(body: Body, statement: Statement, choices: tuple[str, ...]) -> Reading | None:
    text, start, end = body.text, statement.start, statement.end
    taken: list[tuple[int, int, int]] = []
    lower = body.lower[start:end]
    for index, choice, first in _by_length(choices):
        if first not in lower or is_number(choice) or time.single(choice):
            continue  # a number is read as one: it may be part of anything
        for match in _pattern(choice).finditer(text, start, end):
            if not any(left < match.end() and match.start() < right for left, right, _ in taken):
                taken.append((match.start(), match.end(), index))
    kept = [item for item in sorted(taken) if not DENIED.search(body.lower[max(start, item[0] - 30) : item[0]])]
    if not statement.strict or statement.rule == "direct":
        kept = [item for item in kept if not _is_denied(body, statement, item[0], item[1], choices[item[2]])]
    if not kept:
        return None
    if len({plain(choices[index]) for _, _, index in kept}) > 1:
        turn = DECIDES.search(body.lower, kept[0][1], end)
        if turn is None or not PROVISIONAL.search(body.lower, max(body.start, start - 80), turn.start()):
            turn = RESULTS.search(body.lower, kept[0][1], end)
        decided = [item for item in kept if turn and item[0] >= turn.end()]
        if len({index for _, _, index in decided}) == 1:
            return Reading(*decided[-1])
        (left, right, index), (following, _, _) = kept[:2]
        leads = statement.marked and not text[start:left].strip(" \"'*:$(")
        if leads and not HEDGE.fullmatch(body.lower[right:following]):
            return Reading(left, right, index)  # "The answer is red, as blue is smaller"
        return Reading(start, end, problem="several options")
    return Reading(*kept[-1])


def _is_denied(body: Body, statement: Statement, left: int, right: int, choice: str) -> bool:
    """Whether the clause of an option's text denies it: "there is no dog", "the dog is nowhere to be seen"."""
    if negations(choice.lower()):
        return False
    return (
        DENIED_BEFORE.search(body.lower, max(statement.start, left - 40), left) is not None
        or DENIED_BEHIND.match(body.lower, right, min(statement.end, right + 60)) is not None
    )


def _said(text: str) -> tuple[str, ...]:
    return tuple(word for word in content(text) if word not in PREPOSITIONS)


def _by_content(body: Body, statement: Statement, choices: tuple[str, ...]) -> Reading | None:
    """The one option whose content words all stand in the sentence in their order, denied or not as there."""
    said = body.lower[statement.start : statement.end]
    if len(said) > 300 or NO_ASSERTION.search(said) or mathematical(choices):
        return None
    words = _said(said)
    found, scattered = [], []
    for index, choice in enumerate(choices):
        asked = _said(choice.lower())
        rest = iter(words)
        if not asked or is_number(choice) or negations(said) % 2 != negations(choice.lower()) % 2:
            continue
        if all(word in rest for word in asked):
            found.append((len(asked), index))
        elif len(asked) > 1 and set(asked) <= set(words) and not COMPARED.search(said):
            scattered.append((len(asked), index))
    found = found or scattered
    longest = [index for length, index in found if length == max(found)[0]]
    if len(longest) != 1:
        return None
    asked = _said(choices[longest[0]].lower())
    others = {word for index, choice in enumerate(choices) if index != longest[0] for word in _said(choice.lower())}
    placed = PLACE.match(choices[longest[0]].lower()) and not negations(said) and not others & set(words)
    if len(asked) < 2 and not placed and not (len(words) <= 3 and words[-len(asked) :] == asked):
        return None
    return Reading(statement.start, statement.end, longest[0])
