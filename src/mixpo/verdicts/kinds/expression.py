"""Mathematical expressions, relations, intervals, sets, tuples: the whole of what a statement gives, the same by value.

What decides is `mathematics.compare`: exact arithmetic for numbers, SymPy for letters, part by part for structures. A
formula that cannot be read to its last character equals nothing but the same text.
"""

import re

from mixpo.records import Question
from mixpo.verdicts.body import Body
from mixpo.verdicts.mathematics.compare import same
from mixpo.verdicts.mathematics.notation import SPOKEN, normal
from mixpo.verdicts.mathematics.structure import Several, is_readable
from mixpo.verdicts.mathematics.structure import read as structure_of
from mixpo.verdicts.reading import Reading, Undecided
from mixpo.verdicts.refusal import refuses
from mixpo.verdicts.statements import Statement, bulleted
from mixpo.verdicts.turns import RESULTS

DELIMITED = re.compile(r"\$\$?([^$\n]+)\$\$?|\\\((.+?)\\\)|\\\[(.+?)\\\]", re.DOTALL)
SENTENCE = re.compile(r"[.;!?](?=\s|$)|\n")
CLAUSE = re.compile(
    r"\s*(?:,\s*(?=(?:which|because|since|as|where|with|for|by|using|given|but|when|e\.g\."
    r"|i\.e\.)(?![a-z]))|\s\((?=[a-z]{3})"
    r"|\b(?:because|since|which|where|when|for all|by)\b)"
)
STARTS = re.compile(r"(?<=\s)(?=\S)|^|(?<=[\u3040-\u9fff\uac00-\ud7a3])(?![\s\u3040-\u9fff\uac00-\ud7a3])")
JOINED = re.compile(
    r"\$?\s*(?:or|and|,|或|和|y|ou|und|e|и)\s*(?:[a-zA-Z](?:_\{?\d\}?)?\s*=\s*)?\$?(?:[a-zA-Z](?:_\{?\d\}?)?\s*=\s*)?\s*"
)
OPEN = re.compile(
    r"\b(?:or|outside|except|parallel to|perpendicular to|reverse of|not|maybe|either|than|least|most"
    r"|between|plus|minus|approximately)\b\s*(?:maybe"
    r"|perhaps)?\s*$|\b(?:or maybe|either)\b"
)
GOES_ON = re.compile(
    r"(?:\b(?:root|half|square|cube|multiple) of|\b(?:times|twice|double)|\\[a-zA-Z]+|[-+*/^=<>≤≥({\[,_|])\s*$"
)
"""What the end of a text shows that what follows is a part of it."""
NUMBERED = re.compile(r"\s*\(?\d{1,2}[.)]\s+(?=[A-Za-z])")
FORM_ASKED = re.compile(r"\b(?:factor|factori[sz]e|expand|simplify|rewrite|rationali[sz]e)\b", re.IGNORECASE)
LENGTH = 1_000
LONGEST = 200
"""Characters of a sentence from whose end a formula is looked for."""


def read(body: Body, statement: Statement, question: Question) -> Reading | None:
    """The formula that a statement gives; its value is the formula's text."""
    text, start, end = body.text, statement.start, statement.end
    if statement.rule in ("box", "tag", "json"):
        return _with_boxes_before(body, statement)
    if refuses(body.lower, start, end, question.text):
        return Reading(start, end, problem="refused")
    listed = None if statement.marked else bulleted(body)
    if listed and listed.end >= statement.start and isinstance(structure_of(question.answer or ""), Several):
        return Reading(listed.start, listed.end, "; ".join(listed.items))
    if not statement.marked and (numbered := NUMBERED.match(text, start, end)):
        start = numbered.end()
    if edge := SENTENCE.search(text, start + 1, end):
        end = edge.start()
    if not statement.strict or statement.rule == "direct":
        results = [match.end() for match in RESULTS.finditer(body.lower, start, end) if match.end() < end - 1]
        start = results[-1] if results else start
    found = list(DELIMITED.finditer(text, start, end))
    if found and not _readable_from(text, start, end):
        return _delimited(text, statement, found)
    if aside := CLAUSE.search(text, start + 1, end):
        end = aside.start()
    return _readable_from(text, start, end) or (
        _window(text, start, end) if statement.marked or statement.rule == "direct" else None
    )


def _with_boxes_before(body: Body, statement: Statement) -> Reading | None:
    """The content of a box; of several joined ones (`x = \\boxed{2}$ or $x = \\boxed{3}`) all."""
    reading = _window(body.text, statement.start, statement.end)
    before = body.text.rfind("\\boxed{", max(body.start, statement.start - 200), max(0, statement.start - 7))
    if reading is None or statement.rule != "box" or before < 0:
        return reading
    close = body.text.find("}", before, statement.start)
    between = body.text[close + 1 : statement.start - len("\\boxed{")]
    if close < 0 or not between.strip() or not JOINED.fullmatch(between):
        return reading
    first = body.text[before + len("\\boxed{") : close]
    return reading._replace(start=before + len("\\boxed{"), value=f"{first}, {reading.value}")


def _delimited(text: str, statement: Statement, found: list[re.Match[str]]) -> Reading | None:
    """One of the formulas between dollar signs: the first behind a mark, else the last; with what joins them, all."""
    if len(found) > 1:
        between = [text[left.end() : right.start()] for left, right in zip(found, found[1:])]
        if all(re.fullmatch(r"\s*(?:,|and|or|, and|, or)\s*", words) for words in between):
            left, right = found[0].start(), found[-1].end()
            return Reading(left, right, text[left:right].replace("$", " "))
    match = (
        found[0] if statement.marked and not text[statement.start : found[0].start()].strip(" \t\n:*") else found[-1]
    )
    group = match.lastindex or 1
    return _window(text, match.start(group), match.end(group))


def _readable_from(text: str, start: int, end: int) -> Reading | None:
    """The longest end of a sentence that is mathematics: behind "so f is positive for", "hence"."""
    start = max(start, end - LONGEST)
    whole = _window(text, start, end)
    if whole is None:
        return None
    for match in STARTS.finditer(whole.value):
        formula, before = whole.value[match.start() :], whole.value[: match.start()]
        if OPEN.search(before):
            return None  # a part is never taken for the whole
        if GOES_ON.search(before):
            continue
        if SPOKEN.search(formula) and is_readable(formula):
            return Reading(whole.start + match.start(), whole.end, formula)
        if re.match(r"[a-zA-Z]{3,}(?![({])", formula) or re.match(r"(?:a|an|is|of|or|and|so|the|to|in)\s", formula):
            continue
        if re.search(r"[\d\\=<>≤≥∈∞π^√{]", formula) and is_readable(formula):
            return Reading(whole.start + match.start(), whole.end, formula)
    return None


def _window(text: str, start: int, end: int) -> Reading | None:
    words = text[start:end]
    left = len(words) - len(words.lstrip(" \t\n*\"'`:$="))
    right = len(words.rstrip(' \t\n*"`.,;$' + ("'" if words.lstrip(" :*$").startswith("'") else "")))
    if left >= right:
        return None
    return Reading(start + left, start + right, words[left:right])


def right(reading: Reading, question: Question) -> bool:
    """Whether the formula is the ground truth's. Raises Undecided when that takes too long or cannot be told."""
    if len(reading.value) > LENGTH:
        raise Undecided("too long to compare")
    gold, said = normal(question.answer or "").replace(" ", ""), normal(reading.value).replace(" ", "")
    if said != gold and FORM_ASKED.search(question.text) and said in normal(question.text).replace(" ", ""):
        return False  # what was to be factored, as it was
    decided = same(question.answer or "", reading.value, question.text)
    if decided is None:
        raise Undecided("the formulas cannot be compared")
    return decided
