"""Short text: the answer's words must be the ground truth's; case, articles, punctuation and the plural aside."""

import re
from functools import lru_cache

from mixpo.records import Question
from mixpo.verdicts.added_words import CJK, LIGHT, WORDS, added, attributes, root
from mixpo.verdicts.body import Body
from mixpo.verdicts.plain import NONE_THERE, WRAPPING, plain
from mixpo.verdicts.reading import Reading, Undecided
from mixpo.verdicts.refusal import refuses
from mixpo.verdicts.statements import Statement
from mixpo.verdicts.turns import RESULTS
from mixpo.verdicts.words import offered

VERB = re.compile(
    r"(?:\b(?:it|that|this|he|she|there)'s|\b(?:is|are|was|were|be|shows?|says?|reads?|called|named|(?:en)?titled"
    r"|depicts?|displays?|contains?|has|have)\b|[是为])"
    r"\s*:?(?:\s+(?:called|named|(?:en)?titled|labell?ed)\b)?(?:\s+(?:an?|the)\b)?"
)
NOT_BUT = re.compile(
    r"\bnot (?!only)[^.,;\n]{1,40}?,? but (?:rather |instead )?|\b(?:no es|non è|n'est pas|nicht|não é"
    r"|не) [^.,;\n]{1,40}?,? (?:sino|ma|mais|sondern|mas|а) |不是[^.,]{1,20}[,]?而是"
)
DENIES = re.compile(
    r"\b(?:used to be|no longer|formerly|instead of)\b|\b(?:not|never|no|isn't|wasn't|aren't|neither"
    r"|nor)\b|n't\b|\b(?:nicht|kein\w*|n'est pas|non è|no es"
    r"|não é)\b|不是|ではな|じゃな|아닙|아니"
)
QUOTED = re.compile(r"\"([^\"\n]{1,80})\"|(?<!\w)'([^'\n]{1,80})'(?!\w)|[「『《“]([^」』》”\n]{1,80})[」』》”]")
BUT_IT = re.compile(
    r"\bbut (?:[^.;\n]{0,60}? )?(?:(?:they|it|this|that|he|she)(?:'re|'s)|(?:it|this|that|they|he|she|the "
    r"[^\W\d_]+) (?:looks like|is|are|seems to be"
    r"|appears to be|must be))\b"
)
PLACED = re.compile(
    r"^(?:(?:drawn|painted|shown|marked|written|colou?red|labell?ed|printed|made|dressed) )?(?:on|in|at|to"
    r"|from|of|by|with|for) "
)
CLASS = re.compile(r"^(?:color|colour|city|shape|letter|word) (?:of )?| (?:color|colour|city|shape|country)$")
"""Nouns that say what sort of thing the answer is."""
CJK_CLASS = re.compile(r"^(?:这|那|它|图中|答案)?(?:是|为)?(?:一?[个只条张名位辆座把])?|[形色的]$")
LOOKS = re.compile(
    r"^(?:red|blue|green|yellow|black|white|brown|grey|gray|orange|pink|purple|small|large|big|little|tall"
    r"|young|old|long|short) "
)
TITLE, AUTHOR = re.compile(r"\b(?:title|name)\b", re.IGNORECASE), re.compile(r" by (?=[A-Z])")
CODE = re.compile(r"[a-z]\d|\d[a-z]")
"""A number plate or the like: its blanks do not count."""
LISTED = re.compile(r",? and |, | & ")
WITHIN = re.compile(r"\w (?:therefore|thus|hence)$")
"""An adverb inside a clause: what stands before it belongs to the answer."""
CARRIER = re.compile(r"\b(?:sign|cover|label|banner|caption|header|heading|logo|poster|plate|screen|title|text)\b")
"""What a text stands on: "the sign reads …" answers for a store's name."""
NEXT_BEST = re.compile(r"\b(second|third|fourth|fifth|next|almost|nearly)[- ](?:the )?([^\W\d_]+)")
CONTRASTED = re.compile(r",? (?:while|whereas) |; ")
ARROW = re.compile(r"=>|->|→|⇒")
IN_FACT = re.compile(r"\b(?:in fact|actually|in reality|really)\b,? (?:is |are |was )?")
COMPARED = re.compile(r"\b(?:than|not|whether|rather than|instead of|unlike|opposed to|compared (?:to|with))\b[^,.;:]*")
SENTENCE = re.compile(r"(?<!\b[A-Z])[.!?](?=\s+(?:[A-Z\"]|[^\x00-\x7f])|\s*$)|\n")
OTHERS = re.compile(r"\s*(?:no other|none of the other|nothing else|nobody else|the other)\b")
HEDGED = re.compile(r"\b(?:either|maybe)\b.*\bor\b")
TRAILING = re.compile(
    r"(?:,\s{0,3})?\b(?:as opposed to|rather than|instead of|and not|not)\b|,\s*and (?:the|its|his|her"
    r"|their) |[,;]\s*(?:with|according|because|since|as"
    r"|which|so|but|while|given|not|although)\b|\s\(|\s+(?:because|since)\b"
)


def read(body: Body, statement: Statement, question: Question) -> Reading | None:
    """The words that a statement gives as its answer.

    The value is what they may be: as they stand, behind the verb, and what they add to the question's own words.
    """
    text, lower, start, end = body.text, body.lower, statement.start, statement.end
    if statement.rule not in ("box", "tag"):
        edge = SENTENCE.search(text, start + 1, end)
        if edge and edge[0] == "?" and statement.rule == "direct":
            return None  # "Badminton? No, …"
        while edge and not text[start : edge.start()].strip():
            edge = SENTENCE.search(text, edge.end(), end)
        if (
            edge
            and statement.rule == "direct"
            and offered(question.text)
            and not _offered(lower, start, edge.start(), question)
        ):
            return None  # a later sentence says which of the two
        end = edge.start() if edge else end
    if refuses(lower, start, end, question.text):
        return Reading(start, end, problem="refused")
    whole = _trimmed(text, start, end)
    if statement.rule == "first" and (whole is None or len(whole.value.split()) > 4 or VERB.search(lower, start, end)):
        return None  # an answer of its own is a word or two
    if whole is None or plain(whole.value) == plain(question.answer or ""):
        return whole and whole._replace(value=(whole.value,))
    if statement.rule == "last" and OTHERS.match(lower, start, end):
        return None
    if not statement.marked and _is_next_best(lower, start, end, question.text):
        return None
    if not statement.marked:
        start, end = _clause(lower, start, end, question.text)
        whole = _trimmed(text, start, end) or whole
    if not_but := NOT_BUT.search(lower, start, end):
        start = not_but.end()
    elif none := NONE_THERE.search(lower, start, end):
        return Reading(none.start(), none.end(), (none[0],))
    elif DENIES.search(lower, start, end) and not DENIES.search((question.answer or "").lower()):
        return Reading(start, end, problem="denied")
    if HEDGED.search(lower, start, end):
        return Reading(start, end, problem="several answers")
    for turn in (RESULTS, IN_FACT, BUT_IT, ARROW):
        found = [match for match in turn.finditer(lower, start, end) if not WITHIN.search(lower, start, match.end())]
        if found and found[-1].end() < end - 2:
            start = found[-1].end()
    candidates = [
        *_offered(lower, start, end, question),
        *_behind_verb(body, statement, start, end, question),
        *added(text[start:end], question.text),
        *attributes(lower[start:end], question.text),
    ]
    if statement.marked or statement.strict or statement.rule in ("line", "first"):
        candidates.insert(0, whole.value)
    return Reading(whole.start, whole.end, tuple(candidates)) if candidates else None


def _is_next_best(lower: str, start: int, end: int, asked: str) -> bool:
    """Whether a sentence names what is second where the first is asked for: "The USA is second lowest"."""
    found = NEXT_BEST.search(lower, start, end)
    return found is not None and found[2] in asked.lower() and found[1] not in asked.lower()


def _clause(lower: str, start: int, end: int, asked: str) -> tuple[int, int]:
    """The one of two contrasted clauses that shares more words with the question: left for left, not right."""
    found = CONTRASTED.search(lower, start, end)
    if found is None:
        return start, end
    told = {root(word) for word in WORDS.findall(asked.lower()) if word not in LIGHT}
    before, behind = (
        len(told & {root(word) for word in WORDS.findall(part)})
        for part in (lower[start : found.start()], lower[found.end() : end])
    )
    if before == behind:
        return (start, found.start()) if len(lower[start : found.start()].split()) < 3 else (start, end)
    return (start, found.start()) if before > behind else (found.end(), end)


def _offered(lower: str, start: int, end: int, question: Question) -> list[str]:
    """Which of the two things that the question offers a sentence names, the one it compares with aside."""
    choices = offered(question.text)
    said = COMPARED.sub(" ", lower[start:end])
    named = [choice for choice in choices if re.search(rf"\b{re.escape(choice)}\b", said)]
    if not named and all(re.fullmatch(r"\w+ \w", choice) for choice in choices):  # "B" for "angle B"
        named = [choice for choice in choices if re.search(rf"\b{choice[-1]}\b", said)]
    return named if len(named) == 1 else []


def _is_subject(words: str, asked: str) -> bool:
    """Whether a sentence speaks of what the question asks about: "the truck" is not the car."""
    told = {root(word) for word in WORDS.findall(asked.lower())}
    named = [word for word in WORDS.findall(words) if word not in LIGHT]
    return (
        len(told) < 2
        or not named
        or CARRIER.search(words) is not None
        or any(root(word) in told or not word.isascii() for word in named)
    )


def _behind_verb(body: Body, statement: Statement, start: int, end: int, question: Question) -> list[str]:
    """What stands behind the first verb, and before an explanation."""
    lower, found = body.lower, []
    verb = VERB.search(lower, start, end)
    starts = [verb.end()] if verb and _is_subject(lower[start : verb.start()], question.text) else []
    if statement.marked or statement.strict or statement.rule == "line":
        starts.insert(0, start)
    for at in starts:
        aside = TRAILING.search(lower, at + 1, end) if statement.rule not in ("box", "tag", "json") else None
        if words := _trimmed(body.text, at, aside.start() if aside else end):
            found.append(words.value)
            if TITLE.search(question.text) and (by := AUTHOR.search(words.value)):
                found.append(words.value[: by.start()])
    found += [
        quoted for match in QUOTED.finditer(body.text, start, end) if (quoted := match[1] or match[2] or match[3])
    ]
    return found


def _trimmed(text: str, start: int, end: int) -> Reading | None:
    words = text[start:end]
    left = len(words) - len(words.lstrip(" \t\n*\"':`$(["))
    right = len(words.rstrip(" \t\n*\"'.:,;!$`)]"))
    if left >= right:  # a lone sign
        left, right = len(words) - len(words.lstrip()), len(words.rstrip())
    if wrapped := WRAPPING.fullmatch(words, left, right):
        left, right = wrapped.span(1)
    return Reading(start + left, start + right, words[left:right]) if left < right else None


def right(reading: Reading, question: Question) -> bool:
    """Whether the words are the same, in one of the ways that they can be read."""
    gold = plain(question.answer or "")
    if not gold:
        raise Undecided("the ground truth is empty")
    parts = _parts(question.answer or "")
    return any(_means(plain(words), gold) or (len(parts) > 1 and _parts(words) == parts) for words in reading.value)


@lru_cache(maxsize=65536)
def _parts(words: str) -> tuple[str, ...]:
    """What a text names side by side, in any order: "blue and white", "banana, apple"."""
    return tuple(sorted(part for text in LISTED.split(words) if (part := plain(text))))


@lru_cache(maxsize=65536)
def _means(said: str, gold: str) -> bool:
    """Whether two plain texts name the same: a class noun ("red colour"), a place's "on", or a dog's colour aside."""
    if said == gold or (CODE.search(gold) and said.replace(" ", "") == gold.replace(" ", "")):
        return True
    if PLACED.match(said) and not PLACED.match(gold):
        said = PLACED.sub("", said)
    if CLASS.sub("", said) == CLASS.sub("", gold) or (
        CJK.search(gold) and CJK_CLASS.sub("", said) == CJK_CLASS.sub("", gold)
    ):
        return True
    if not LOOKS.search(gold) and LOOKS.sub("", said, count=1).strip() == gold:
        return True
    if said.isalpha() and gold.isalpha() and len(stems := {_stem(said), _stem(gold)}) == 1:
        return len(stems.pop()) > 3
    return False


def _stem(word: str) -> str:
    """A word without what makes it an adjective, a plural or a participle: rainy and raining are rain."""
    return re.sub(r"(?:ing|ed|es|s|y|ic|en)$", "", word)
