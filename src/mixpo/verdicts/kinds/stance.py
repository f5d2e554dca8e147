"""Whether a sentence asserts or denies a question's claim without saying yes or no.

A clause answers when it repeats every content word of the question in its order, or all but a subject that a pronoun
stands for. A negation counts only where it belongs to the claim: "no dog" denies a dog, "a dog with no collar" does
not.
"""

import re
from functools import lru_cache

from mixpo.verdicts.languages import one_of
from mixpo.verdicts.words import stem

SKIPPED = frozenset(
    "is are was were do does did can could will would has have had having the a an any some there it its of in on at "
    "to be been being this that these those image picture photo photograph figure graph chart diagram scene shown s "
    "not no none t something anything someone anyone still already also indeed clearly just really actually see seen "
    "seeing visible show shows depict depicts contain contains appear appears exist exists present find observe i we "
    "you here and or then so one more yet only single two both appear".split()
)
CLAUSES = re.compile(
    r"[;.!?\n:]|,? (?:but|although|though|while|whereas|so|because|since|hence|therefore|thus|however)\b"
    r"|, (?:and |as |with |not |only |rather )?|\s-\s"
)
NEGATIVE = re.compile(
    r"\b(?:not|no|none|never|neither|nobody|nothing|cannot|without|lacks?|lacking|isn't|aren't|absent"
    r"|missing|devoid of|free of|fails? to|far from|anything but|except|stops?)\b"
    r"|n't\b"
)
BEHIND = frozenset(("absent", "missing"))
"""Denials that stand behind what they deny."""
IDIOM = re.compile(
    r"\bno (?:doubt|problem|matter|way|wonder|conclusion|information|data)\b|\bnot only\b|\bwhether or "
    r"not\b|\bnot hard\b"
)
NO_ASSERTION = re.compile(
    r"\b(?:whether|if|doubt\w*|deny|denies|claim\w*|caption|to (?:determine|decide|find out|check|see"
    r"|answer|know|verify)|asks?|asking|asked|question|let us|let's|let me|we need|i need"
    r"|could|might|may|maybe|perhaps|possibly|seems?|(?<!n't )(?<!not )appears? to|looks? like|unclear"
    r"|uncertain|not sure"
    r"|not clear|consider|suppose|assum\w+)\b"
)
ASKING = re.compile(
    r"\s*(?:is|are|was|were|do|does|did|can|could|will|would|has|have|had|isn't|aren't)\b", re.IGNORECASE
)
NOT_A = re.compile(r"\s*(?:and |but )?not (?:a |an |the )?")
PRONOUN = re.compile(r"\b(?:it|he|she|they|both|all|each|these|those|this|that)\b")
NOBODY = re.compile(r"\s*(?:neither|none|nobody|no one|nothing|not one)\b")
UNTRUE = re.compile(r"\b(?:not|n't) (?:true|correct|the case|right)\b|\b(?:false|untrue|incorrect) that\b")
COMPARED = re.compile(r"\bthan\b")
ANTONYMS: dict[str, set[str]] = {}
for _pair in (
    "open/closed open/shut empty/full same/different equal/unequal above/below left/right on/off true/false "
    "increasing/decreasing increase/decrease rise/fall rising/falling taller/shorter longer/shorter larger/smaller "
    "bigger/smaller higher/lower greater/less more/fewer older/younger heavier/lighter day/night indoors/outdoors "
    "inside/outside hot/cold wet/dry clean/dirty standing/sitting odd/even positive/negative concave/convex "
    "convex/concave visible/hidden possible/impossible before/after dark/bright wide/narrow thick/thin old/new"
).split():
    _left, _right = map(stem, _pair.split("/"))
    ANTONYMS.setdefault(_left, set()).add(_right)
    ANTONYMS.setdefault(_right, set()).add(_left)
CLASSES = frozenset(
    map(stem, "line bar angle triangle point segment side circle square edge vertex option city line arrow".split())
)
"""What a letter may be called, or not: "lines g and h" are g and h."""
FOREIGN_QUESTION = re.compile(
    r"[¿\s]*(?:sind|ist|hat|haben|gibt|kann|können|liegt|steht|zeigt|est|sont|est-ce|y a-t-il|hay|es|está"
    r"|son|tiene|c'è|ci|è|sono|há|é|são|tem|is er)\s",
    re.IGNORECASE,
)
FOREIGN_NEGATIVE = re.compile(
    rf"{one_of('absent')}|(?<!\w)(?:no|non|ne|pas|aucun\w*|nicht|kein\w*|não|nem|ninguém|nadie|не|нет|ni"
    rf"|nessun\w*|niente|nada|jamás|nunca)(?!\w)"
    r"|没|沒|不(?!错)|未|無|ない|ません|않|없|아니|못|ليس|لا |لم |नहीं|मत "
)
SCRIPT = re.compile(r"[\u0370-\u1fff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7a3]|[¿áéíóúñàèùâêîôûçäöüßãõ]", re.IGNORECASE)
FUNCTION_SIGNS = frozenset(
    "图中的了吗呢是有没不在个这那一张里上请问何ですかはがをにのもとでてたるいます는이가을를은에서의나요니다까있어"
)
WORD = re.compile(r"[^\W\d_]{3,}")


def stance(said: str, question: str) -> bool | None:
    """True where a clause asserts the question's claim, False where one denies it, None where none speaks of it."""
    if len(said) > 600:
        return None
    if SCRIPT.search(question) or (FOREIGN_QUESTION.match(question) and not ASKING.match(question)):
        return _foreign(said.lower(), question.lower())
    asked = _asked(question)
    if not asked:
        return None
    found = [answer for clause in _clauses(said.lower()) if (answer := _of_clause(clause, asked)) is not None]
    if found:
        return found[-1]
    return _of_clause(said.lower(), asked) if not NEGATIVE.search(said.lower()) else None


def _clauses(said: str) -> list[str]:
    """The clauses of a text; one that only refuses its neighbour ("not a wolf") is a clause of its own."""
    parts, start = [], 0
    for match in CLAUSES.finditer(said):
        parts.append(said[start : match.start()])
        start = match.start() + (match[0][:1] in ",;.!?\n:")
    return [part for part in (*parts, said[start:]) if part.strip()]


@lru_cache(maxsize=4096)
def _asked(question: str) -> tuple[str, ...]:
    """The content words of the question's claim; empty where it asks something else, or asks in the negative."""
    last = re.split(r"[.\n]", question.strip().rstrip("?. "))[-1]
    asks = last if ASKING.match(last) else question
    if not ASKING.match(asks) or NEGATIVE.search(asks.lower()):
        return ()
    words = content(asks.lower())
    words = tuple(
        word for word, following in zip(words, (*words[1:], "")) if not (word in CLASSES and 0 < len(following) < 3)
    )
    return words if len(words) <= 60 else ()


def _of_clause(clause: str, asked: tuple[str, ...]) -> bool | None:
    if NO_ASSERTION.search(clause):
        return None
    said = content(clause)
    if NOBODY.match(clause) and said and asked[-1] in said:
        return False
    swapped = COMPARED.search(clause) and sorted(said) == sorted(asked) and said != asked
    if swapped:
        return False if len(set(asked)) == len(asked) or said[::-1] != said else None
    positive = _repeats(clause, said, asked)
    if not positive:
        turned = [
            (*asked[:at], other, *asked[at + 1 :]) for at, word in enumerate(asked) for other in ANTONYMS.get(word, ())
        ]
        opposite = next((other for other in turned if _repeats(clause, said, other)), None)
        if opposite is not None:
            return _denied(clause, opposite)
        alone = NOT_A.match(clause)  # "a rhombus, not a square"
        return False if alone and said and said == asked[-len(said) :] else None
    return not _denied(clause, asked)


def _repeats(clause: str, said: tuple[str, ...], asked: tuple[str, ...]) -> bool:
    words = iter(said)
    if all(word in words for word in asked):
        return True
    rest = [word for word in said if word not in ("lack", "without", "absent", "miss")]
    return PRONOUN.search(clause) is not None and 0 < len(rest) < len(asked) and tuple(rest) == asked[-len(rest) :]


def _denied(clause: str, asked: tuple[str, ...]) -> bool:
    """Whether a negation of the clause belongs to the claim: what it stands before is one of the claim's words."""
    if UNTRUE.search(clause):
        return True
    denials = 0
    for match in NEGATIVE.finditer(clause):
        if IDIOM.match(clause, match.start()) or IDIOM.search(clause, max(0, match.start() - 4), match.end() + 6):
            continue
        if match[0] in BEHIND:
            denials += bool(set(content(clause[: match.start()])) & set(asked))
            continue
        following = content(clause[match.end() :].replace("longer", ""))
        denials += bool(following) and (following[0] in asked or following[0] in ("think", "believ"))
    return denials % 2 == 1


@lru_cache(maxsize=4096)
def content(text: str) -> tuple[str, ...]:
    """The words of a text that say something, in the singular."""
    words = re.findall(r"[^\W_]+", re.sub(r"n't\b", " not", text.lower()))
    return tuple(stem(word) for word in words if word not in SKIPPED)


def negations(text: str) -> int:
    """How many negations a text in lower case holds, idioms aside."""
    return sum(not IDIOM.match(text, match.start()) for match in NEGATIVE.finditer(text))


def _foreign(said: str, question: str) -> bool | None:
    """The same in other languages, by shared words or signs: coarser, so a yes needs all that the question says."""
    asked, result = _signs(question), None
    for clause in re.split(r"[;.!?\n。，,、]", said):
        shared = {word for word in asked if any(word[:4] == other[:4] for other in _signs(clause))}
        if not shared:
            continue
        if FOREIGN_NEGATIVE.search(clause):
            result = False
        elif len(shared) == len(asked) and result is None:
            result = True
    return result


def _signs(text: str) -> frozenset[str]:
    signs = {sign for sign in text if "\u3400" <= sign <= "\u9fff" and sign not in FUNCTION_SIGNS}
    words = {word for word in WORD.findall(text) if not "\u3040" <= word[0] <= "\u9fff" and word not in SKIPPED}
    return frozenset(signs | words)
