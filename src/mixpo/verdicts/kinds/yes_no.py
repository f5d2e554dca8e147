"""Yes or no, true or false: the same two answers in other words.

A statement without either word still answers when one of its clauses asserts the question's claim or denies it: "There
is no dog" to "Is there a dog?". `stance` says how much of the claim a clause must repeat; anything looser is no answer.
"""

import re

from mixpo.records import Question
from mixpo.verdicts.body import Body
from mixpo.verdicts.kinds.stance import stance
from mixpo.verdicts.languages import every, one_of
from mixpo.verdicts.reading import Reading, Undecided
from mixpo.verdicts.refusal import refuses
from mixpo.verdicts.statements import Statement

YES = frozenset({"yes", "true", "correct", "right", "yeah", "yep", "y", "t", "affirmative", *every("yes")})
NO = frozenset({"no", "false", "incorrect", "wrong", "nope", "n", "f", "negative", *every("no")})
FOREIGN_YES, FOREIGN_NO = one_of("yes"), one_of("no")
WORD = re.compile(
    r"(?<![A-Za-z0-9_])(?:yes|no|true|false|correct|incorrect|wrong|right|yeah|yep|nope)\b"
    rf"|(?P<foreign>{FOREIGN_NO}|{FOREIGN_YES})",
    re.IGNORECASE,
)
SAID = frozenset({"yes", "no", "true", "false", "yeah", "yep", "nope", *every("yes"), *every("no")})
DETERMINER = frozenset(
    ("no", "是", "对", "否", "没有", "沒有", "不是", "有", "不", "对的", "は", "لا", "não", "нет", "नहीं")
)
"""Words that answer alone, and begin another phrase as often: "no dog", "没有狗"."""
HEAD = re.compile(
    rf"[\s\"'*`$(\[{{:,>✅✓✔❌-]*(?:\\text\{{)?(?:(?:a|definitely|clearly|simply|absolutely|certainly|probably"
    rf"|of course|so|thus|hence|therefore|i would say|i think|well|oh)[,:]?\s+)?({WORD.pattern}|[ynYN](?!\w))(?![\w'])",
    re.IGNORECASE,
)
ASSENT = re.compile(
    r"\s*(?:certainly|indeed|of course|absolutely|definitely|affirmative|sure|exactly"
    r"|precisely)(?P<not>,? not)?\b\s*(?:[!,.]|$)",
    re.IGNORECASE,
)
DISSENT = re.compile(
    r"\s*(?:negative|far from it|not at all|by no means|not really|hardly|not quite|no way|(?:certainly"
    r"|absolutely|definitely|of course) not)\b\s*(?:[!,.:;]|$)",
    re.IGNORECASE,
)
BRIEF = re.compile(
    r"\s*(?:it|they|he|she|there|this|that) (?:is|are|does|do|has|have|did|was|were|can|will)(?P<not>n't| "
    r"not)?\s*(?:[,.!;(]|$)",
    re.IGNORECASE,
)
"""An answer in a pronoun and a verb: "It is, padlock and all", "They don't"."""
FINAL = re.compile(
    r"(?:\b(?:so|thus|therefore|hence|then|it's an?|is an?|answer is|answer:|actually|conclu\w+)[,:]?"
    r"|[.;!—-]|\b(?:er|uh|um|hm+|wait|well|sorry|correction|hold on)[,:]?)\s*(?:it is |it's )?(?P<word>yes"
    r"|no)\b[.!\"')\s]*$"
    r"|(?:^|[.,;:!?]\s*|\b(?:so|but|and|actually|hence|thus|therefore|that) )(?:it|this|that|they|there|he"
    r"|she) (?P<verb>(?:is|are|does|do|has|have|was|were|can)(?P<not>n't| not)?)[.!\"')\s]*$"
)
"""An answer at the very end: "so no", "it isn't"."""
BOTH = re.compile(
    r"[\"'*]*\s*(?:\bor\b|\band\b|/|或|(?<= ))\s*(?:(?:maybe|perhaps|possibly|also|is it)\s+)?[\"'*]*(?:yes"
    r"|no|true|false)\b",
    re.IGNORECASE,
)
MAYBE = re.compile(r"\b(?:either|maybe|perhaps)\b", re.IGNORECASE)
NEGATED = re.compile(r"(?:\bnot\b|n't|\bnever\b|\bisn't|不)\s*(?:\w+\s+)?[\"']?$", re.IGNORECASE)
CLAIM = re.compile(
    r"(?:说法|陈述|描述|命题|句子|表述)[^.\n]{0,10}$"
    r"|(?:\b(?:statement|claim|sentence|caption|description|assertion)\b[^.\n]{0,60}?|\b(?:it|that|this|which)\s*)"
    r"(?:\b(?:is|was|be|makes? it|as|being)|'s|\b(?:is|was)n't)\s+(?:not\s+|\w+\s+)?[\"'*]*$",
    re.IGNORECASE,
)
TRUE_THAT = re.compile(
    r"\b(?:it is|it's|it isn't|it was) ?(?P<not>not |n't )?(?:really |entirely )?(?P<word>true|correct"
    r"|right|the case|false|untrue|wrong|incorrect) (?:to say )?that\b"
)
GOES_ON = re.compile(r"[\"'*]*\s+(?!that\b|because\b|since\b|as\b|for\b|in\b|given\b|based\b|about\b|to say\b)\w")
CONDITION = re.compile(r"[,:]? ?(?:but only |only )?(?:if|unless|provided|assuming|as long as)\b")
TAIL = re.compile(r", (yes|no)\W*$")
IDIOM = re.compile(r"\bno (?:doubt|problem|matter|way|wonder|conclusion|information|data|longer|one)\b", re.IGNORECASE)


def polarity(word: str) -> bool | None:
    """True for a word of assent, False for one of denial, None for another."""
    plain = word.strip(" .!*\"'。").casefold()
    return True if plain in YES else False if plain in NO else None


def read(body: Body, statement: Statement, question: Question) -> Reading | None:
    """The answer that a statement gives; its value is True or False."""
    text, start, end = body.text, statement.start, statement.end
    head = _headed(body, statement)
    final = None if statement.marked else FINAL.search(body.lower, start, end)
    if final and (head is None or final.start() > head.end):
        negative = final["word"] == "no" or final["not"] is not None
        said = "word" if final["word"] else "verb"
        return Reading(final.start(said), final.end(said), not negative)
    if head is not None:
        return head
    if refuses(body.lower, start, end, question.text) and (not statement.strict or statement.rule == "direct"):
        unseen = stance(text[start:end], question.text) is False  # "I don't see any dog"
        return Reading(start, end, False) if unseen else Reading(start, end, problem="refused")
    if (said_of := TRUE_THAT.search(body.lower, start, end)) is not None:
        claim = stance(text[said_of.end() : end], question.text)
        untrue = (said_of["not"] is not None) != (said_of["word"] in ("false", "untrue", "wrong", "incorrect"))
        if claim is not None:
            return Reading(start, end, claim != untrue)
    found = [reading for match in WORD.finditer(text, start, end) if (reading := _claimed(text, match, statement))]
    if found:
        if len({reading.value for reading in found}) > 1 or MAYBE.search(text, start, end):
            return Reading(start, end, problem="several answers")
        return found[-1]
    if tail := TAIL.search(body.lower, start, end):
        return Reading(tail.start(1), tail.end(1), tail[1] == "yes")
    meant = stance(text[start:end], question.text)
    return None if meant is None else Reading(start, end, meant)


def _headed(body: Body, statement: Statement) -> Reading | None:
    """A word of assent or denial at the statement's head."""
    text, start, end = body.text, statement.start, statement.end
    if assent := ASSENT.match(text, start, end):
        return Reading(assent.start(), assent.end(), assent["not"] is None)
    if dissent := DISSENT.match(text, start, end):
        return Reading(dissent.start(), dissent.end(), False)
    if brief := BRIEF.match(text, start, end):
        return Reading(brief.start(), brief.end(), brief["not"] is None)
    head = HEAD.match(text, start, end)
    if head is None:
        return None
    word, rest = head[1], text[head.end(1) : end].strip(" \t\n.!\"'*)}$。")
    if CONDITION.match(body.lower, head.end(1), end):
        return Reading(start, end, problem="conditional")
    idiom = word.lower() == "no" and IDIOM.match(text, head.start(1), end)
    if idiom or (rest and not (word.lower() in SAID and _stands_alone(text, head.end(1), end, word, statement))):
        return None
    both = BOTH.match(text, head.end(1), end)
    if both and polarity(both[0].split()[-1]) is not polarity(word):
        return Reading(start, end, problem="several answers")
    return Reading(head.start(1), head.end(1), polarity(word))


def _stands_alone(text: str, at: int, end: int, word: str, statement: Statement) -> bool:
    """Whether the leading word answers: not the determiner of "No dog is visible", unless that denies as well."""
    following = text[at:end].lstrip(" *\"'")[:1]
    if word.lower() in DETERMINER and word.lower() != "no":
        return following in ",.;!:、，。-"
    return statement.marked or word.lower() != "no" or following in ",.:;!)-(\n"


def _claimed(text: str, match: re.Match[str], statement: Statement) -> Reading | None:
    """A word that says of the claim, or after a mark, that it is so or not."""
    word = match[0].lower()
    before = text[max(statement.start, match.start() - 80) : match.start()]
    behind = re.match(r"[\"'*]*\s*(?:[.,;!)]|$)", text[match.end() : statement.end])
    if match["foreign"] and not statement.marked and not CLAIM.search(before):
        return None
    if word in ("yes", "no", "yeah", "yep", "nope") or (match["foreign"] and not CLAIM.search(before)):
        said = re.search(
            r"\b(?:answer|say|is|be|so|but|therefore|thus|hence|would be)[:,]?\s+[\"'*]*$|^\s*$", before, re.IGNORECASE
        )
        if not said or IDIOM.match(text, match.start()) or not behind:
            return None
    elif not (statement.marked or CLAIM.search(before)) or GOES_ON.match(text, match.end(), statement.end):
        return None  # "the correct answer", "this response is correct and complete"
    value = polarity(word)
    return Reading(match.start(), match.end(), not value if NEGATED.search(before) else value)


def right(reading: Reading, question: Question) -> bool:
    """Whether the answer is the ground truth's."""
    gold = polarity(re.sub(r"\\text\{(.*)\}", r"\1", (question.answer or "").strip("$ ")))
    if gold is None:
        raise Undecided("the ground truth is neither yes nor no")
    return bool(reading.value) == gold
