"""Multiple choice: an option's letter where a letter is meant, or its text; several letters where several are right."""

import re

from mixpo.records import Question
from mixpo.verdicts.body import Body, lowered
from mixpo.verdicts.kinds.letters import CONTRAST, letter_read, letters_read, own_text
from mixpo.verdicts.kinds.option_truth import choices_of, gold_indices
from mixpo.verdicts.kinds.options import contradicted, option_read, says_yes_or_no
from mixpo.verdicts.reading import Reading
from mixpo.verdicts.refusal import NONE_FITS, refuses
from mixpo.verdicts.statements import Statement, last_statements, sentence_end

UNDETERMINED = re.compile(r"\b((?:can(?:no|')t|cannot) be (?:determined|calculated|found)|not enough information)\b")
OPTION_LINE = re.compile(r"[ \t]*(?:\([A-Z]\)|[A-Z][.):])[ \t]*\S")
RIGHT = r"correct|right|true|yes|fits|✓|✔|✅|☑|对|正确"
WRONG = r"incorrect|not (?:correct|right|true)|wrong|false|no|out|excluded|ruled out|✗|✘|❌|×|错|错误|不正确"
JUDGED = re.compile(
    rf"(?:^|[\n|.;,]|\b[Oo]ption|\b[Cc]hoice|\*)[\s(*|-]*(?P<letter>[A-Z])\b[).*]*[^\n.;|]{{0,60}}?[\s:"
    rf"|(=-]+(?:is |are |- )?(?i:(?P<right>{RIGHT})|(?P<wrong>{WRONG}))(?!\w)"
)
LINE = re.compile(r"[^\n]+")
LINE_VERDICT = re.compile(rf"(?:(?<!\w)(?P<right>{RIGHT})|(?<!\w)(?P<wrong>{WRONG}))[\s.!)*|]*$", re.IGNORECASE)
LINE_LETTER = re.compile(r"[\s*>|#-]*(?:\d+[.)]\s*)?\(?(?:[Oo]ption )?([A-Z]) ?[).:|]")
HEADS = re.compile(r"(?:^|\s)[A-H](?:\s?:|\s-\s)")
TENTATIVE = re.compile(r"\b(?:at first|first sight|first glance|initially|seems?|appears?|might|could|may be)\b")
CONCLUDING = re.compile(r"\b(?:answer|correct|option|choice|so|therefore|thus|hence|wait|actually|no)\b")
ON_ITS_OWN = re.compile(
    r"[)\]}\"'*`$\s.:]*(?:$|[,.;:(\n-]|[-–]|\b(?:because|since|as|for|given)\b|(?:is|must be|would be"
    r"|seems) (?:the |most |clearly )*(?:correct|right|best|answer|closest)|fits|matches)"
)
NEGATIVE_QUESTION = re.compile(r"\b(?:NOT|not|cannot|can't|except|EXCEPT|isn't|doesn't)\b")
FALSE_ASKED = re.compile(
    r"\b(?:(?:is|are) (?:false|incorrect|wrong|untrue|not (?:true|correct))|(?:false|incorrect|wrong) "
    r"(?:statement|option|answer))\b",
    re.IGNORECASE,
)
CLASS_AND_LETTER = re.compile(r"[A-Za-z]+ [A-Z]")
NAMED_FIRST = re.compile(r"\W*(?:[Oo]ption )?\(?([A-H])\)? (?:is|are|was|cannot|can't|does|do|isn't|doesn't)\b")
CLOSEST = re.compile(r"\b(?:closest|nearest|best(?: match| fit)?|most likely|most similar)\b[^.\n]*\.?\s*$")
LETTER_BEFORE = re.compile(r"\(?([A-Za-z])[).:]\s*$")


def read(body: Body, statement: Statement, question: Question) -> Reading | None:
    """The option that a statement chooses; value `NOT_AN_OPTION` when it is none of them."""
    start, end, choices = statement.start, statement.end, choices_of(question)
    if statement.rule == "first" and not _is_explicit(body, statement, choices):
        return None
    if len(gold_indices(question)) > 1:
        return letters_read(body, statement, choices) or option_read(body, statement, question, choices)
    if statement.rule == "first" and (
        _disputed(body, statement, choices)
        or TENTATIVE.search(body.lower, start, end)
        or len(HEADS.findall(body.text[body.start : body.end])) > 1
    ):
        return None
    if not statement.marked and (_listed(body.text, start, end) or len(HEADS.findall(body.text[start:end])) > 1):
        return Reading(start, end, problem="the options repeated")
    if (within := _within_option(body, statement, choices)) is not None:
        return within
    bare = body.text[start:end].strip(" \t\n*$.`")
    if statement.strict and bare and choices.count(bare) == 1:
        return Reading(start, end, choices.index(bare))
    if NEGATIVE_QUESTION.search(question.text) and (named := NAMED_FIRST.match(body.text, start, end)):
        return Reading(named.start(1), named.end(1), ord(named[1]) - ord("A"))  # "C is not a mammal"
    named_alike = sum(CLASS_AND_LETTER.fullmatch(choice) is not None for choice in choices) > 1
    if named_alike and (by_text := option_read(body, statement, question, choices)) and by_text.value is not None:
        return by_text  # "Point B" is the option of that text, not option B
    found = letter_read(body, statement, choices)
    if found and isinstance(found.value, int) and not statement.marked and _is_label(body, found, statement, question):
        found = None
    firm = found is not None and found.value is not None and _is_firm(body, statement, found)
    if (
        not firm
        and NONE_FITS.search(body.lower, start, end)
        and not any(NONE_FITS.search(lowered(choice)) for choice in choices)
    ):
        if found is not None and found.value is not None and not 0 <= found.value < len(choices):
            return found  # "(E) None of the above"
        return Reading(start, end, problem="no option chosen")
    if found is not None and found.value is not None and contradicted(body, found, end, choices):
        return Reading(start, end, problem="letter and text disagree")
    if found is None or found.problem == "several letters":
        found = option_read(body, statement, question, choices) or found
    if (found is None or found.problem == "refused") and (
        undetermined := _undetermined(body.lower, start, end, choices)
    ) is not None:
        return undetermined
    if found is not None and (statement.marked or found.value is None or firm or says_yes_or_no(choices)):
        return found
    turn = CONTRAST.search(body.lower, start, end)
    if refuses(body.lower, turn.end() if turn else start, end, question.text) and (
        found is None or not refuses(body.lower, found.start, found.end, question.text)
    ):
        return Reading(start, end, problem="refused")
    return found


def _is_label(body: Body, found: Reading, statement: Statement, question: Question) -> bool:
    """Whether a letter only repeats the question's own ("What ocean is at letter B?"), and more is said."""
    label = body.text[found.start : found.end]
    more = statement.end - statement.start > found.end - found.start + 12
    named = re.search(
        rf"\b(?:letter|point|label(?:led|ed)?|region|part|structure|organ|marked|bar|line|area) {label}\b",
        question.text,
    )
    return label.isalpha() and label.isupper() and more and named is not None


def _is_firm(body: Body, statement: Statement, found: Reading) -> bool:
    """Whether a letter is meant whatever else the statement says: marked, at its head, or called the closest."""
    head = not body.text[statement.start : found.start].strip(" \t\n*\"'`($>#[")
    return statement.marked or head or CLOSEST.search(body.lower, statement.start, statement.end) is not None


def _disputed(body: Body, statement: Statement, choices: tuple[str, ...]) -> bool:
    """Whether a later sentence names another option than the first one, which then was no conclusion."""
    first = letter_read(body, statement, choices)
    if first is None or first.value is None:
        return False
    alone = body.text[statement.start : statement.end].strip(" \t\n*().:").isalpha() and statement.end < body.end
    lone = alone and first.end - first.start == 1 and len(body.text[statement.start : statement.end].strip()) < 6
    later = (
        letter_read(body, sentence, choices)
        for sentence in last_statements(body)
        if sentence.start >= statement.end and (not lone or CONCLUDING.search(body.lower, sentence.start, sentence.end))
    )
    return any(reading is not None and reading.value not in (None, first.value) for reading in later)


def _within_option(body: Body, statement: Statement, choices: tuple[str, ...]) -> Reading | None:
    """The option whose own text holds the mark: "(D) The best answer is B of the drawing"."""
    if statement.rule not in ("phrase", "marker"):
        return None
    line = max(body.lower.rfind("\n", body.start, statement.start) + 1, body.start)
    for index, choice in enumerate(choices):
        bare = choice.strip(" .").lower()
        at = body.lower.find(bare, line, statement.end) if len(bare) > 8 else -1
        if line <= at < statement.start - 3 and at + len(bare) > statement.start:
            named = LETTER_BEFORE.search(body.text, line, at)
            return Reading(at, at + len(bare), ord(named[1].upper()) - ord("A") if named else index)
    return None


def _is_explicit(body: Body, statement: Statement, choices: tuple[str, ...]) -> bool:
    """Whether a first sentence is an answer of its own: a letter, or an option's text and nothing else."""
    edge = sentence_end(body.text, statement.start, statement.end)
    words = body.lower[statement.start : edge].strip(" .:*\"'`\n")
    found = letter_read(body, statement, choices)
    letter = found is not None and found.value is not None and 0 <= found.value < max(len(choices), 26 * (not choices))
    if letter and found and not ON_ITS_OWN.match(body.lower, _behind(body, found, edge, choices), edge + 1):
        letter = False  # a sentence about an option, not an answer
    return letter or words in {choice.strip(" .").lower() for choice in choices}


def _behind(body: Body, found: Reading, end: int, choices: tuple[str, ...]) -> int:
    """Where a letter ends, its own text included."""
    own = own_text(body, found.end, end, choices[found.value]) if found.value < len(choices) else None
    return own or found.end


def verdicts_on_options(body: Body, question: Question) -> Reading | None:
    """The one option called right where each is judged in turn: "A: no. B: yes. C: no.", or a line each."""
    choices, start = choices_of(question), max(body.start, body.end - 4_000)
    said: dict[int, tuple[bool, int]] = {}
    for match in JUDGED.finditer(body.text, start, body.end):
        said[ord(match["letter"]) - ord("A")] = (match["right"] is not None, match.start("letter"))
    by_line: dict[int, tuple[bool, int]] = {}
    for line in LINE.finditer(body.text, start, body.end):
        verdict = LINE_VERDICT.search(line[0][-40:])
        letter = LINE_LETTER.match(line[0])
        bare = line[0].strip(" \t*-|").lower()
        index = ord(letter[1]) - ord("A") if letter else next(
            (index for index, choice in enumerate(choices) if choice and re.match(
                rf"{re.escape(choice.lower())}\s*"
                rf"[:|-]", bare)), None
        )  # fmt: skip
        if verdict and index is not None:
            by_line[index] = (verdict["right"] is not None, line.start())
    found = by_line if len(by_line) > len(said) or len(by_line) == len(choices) > 1 else said
    asked_false = FALSE_ASKED.search(question.text) is not None
    right = [(index, at) for index, (good, at) in found.items() if good != asked_false]
    if len(gold_indices(question)) > 1 and right and len(found) >= len(choices):
        return Reading(right[0][1], right[-1][1] + 1, frozenset(index for index, _ in right))
    if len(right) > 1 and len(found) == len(choices) > 2:
        return Reading(right[0][1], right[-1][1] + 1, problem="several options called right")
    if len(right) != 1 or len(found) < max(2, len(choices) - 1):
        return None
    index, at = right[0]
    return Reading(at, at + 1, index)


def _undetermined(lower: str, start: int, end: int, choices: tuple[str, ...]) -> Reading | None:
    """The option that says that it cannot be determined, when a statement says so in the same words."""
    said = UNDETERMINED.search(lower, start, end)
    if said is None:
        return None
    same = [index for index, choice in enumerate(choices) if said[1] in choice.lower()]
    return Reading(said.start(), said.end(), same[0]) if len(same) == 1 else None


def _listed(text: str, start: int, end: int) -> bool:
    """Whether a statement is a line of a list of options: it and a neighbour begin with a letter."""
    if not OPTION_LINE.match(text, start):
        return False
    before = text.rfind("\n", max(0, start - 500), max(0, start - 1)) + 1
    after = text.find("\n", start, end + 2) + 1
    return bool(
        (start and "\n" in text[before:start] and OPTION_LINE.match(text, before))
        or (after and OPTION_LINE.match(text, after))
    )


def right(reading: Reading, question: Question) -> bool:
    """Whether the option chosen is the right one, or reads the same (options do repeat)."""
    chosen, choices = reading.value, choices_of(question)
    gold = gold_indices(question)
    if isinstance(chosen, frozenset) or len(gold) > 1:
        return gold == (chosen if isinstance(chosen, frozenset) else {chosen})
    if chosen in gold:
        return True
    (index,) = gold
    return 0 <= chosen < len(choices) and "".join(choices[chosen].split()) == "".join(choices[index].split())
