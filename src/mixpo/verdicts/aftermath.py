"""What stands after an answer and changes it: it is taken back, or another answer is kept open beside it.

Only what follows the answer is looked at, and only words that speak of the answer: an explanation that says "wait" of a
traffic light, or "or" of two roads, is none.
"""

import re

from mixpo.verdicts.body import Body
from mixpo.verdicts.statements import sentence_end

LOOK = 1_500
"""Characters after an answer that are looked at."""
WITHDRAWN = re.compile(
    r"\b(?:(?:wait|hmm+|scratch that|scrap that|forget that|ignore that|on second thoughts?|on reflection"
    r"|strike that|oops|my mistake|my bad|never mind|make that|i mean|or rather|i stand corrected"
    r"|corrected to|i take "
    r"(?:that|it) back"
    r"|let me (?:re-?check|re-?consider|re-?calculate|re-?count|re-?examine|double[- ]check|correct)|i "
    r"(?:mis(?:read|counted|took|calculated)|made (?:a|an) (?:mistake|error))"
    r"|i was wrong|(?:that|this)(?:'s| is| was) (?:wrong|not right|incorrect|a mistake))\b(?! for\b)|(?:correction"
    r"|apologies)\s?[:,-]|(?<=[.!?…—-] )(?:no|nope|sorry|rather)\s?[:,-](?! (?:there|it|the|he|she|they"
    r"|this|that|matter|you|because)\b)|hold on|hang on)"
    r"|(?:^|[.!?\n]\s{0,20}|\.\.\.\s?|- )(?:actually|but wait|no wait|no[.!,]? (?=[(a-z0-9]\)?[.!]?$))\b"
    r"|\b(?:on|upon) (?:closer|second|further|re-?)(?: ?(?:inspection|look|examination|reading|count))"
    r"|\blooking (?:again|more closely|closer|closely again)"
    r"|\b(?:re-?examining|recounting|re-?checking|rereading)\b|(?<=[\d}$]), no,"
    r"|等等|等一下|不对[,.]|更正|再想想|perdón|me equivoqué|corrección|je me trompe"
    r"|pardon|moment mal|falsch[,.]|\bstopp[,.!]"
    r"|nein, |não, espere|correção"
    r"|non, (?:attend|aspetta)|no, espera|mi correggo|(?<![가-힣])아니[,.]|다시 보니|いや[,、]|間違え|訂正"
    r"|нет, (?:подожд"
    r"|погод|исправ)|ошибся|поправка|نعم لا|تصحيح|माफ़"
)
STRONG = re.compile(
    r"wrong|incorrect|i mean|make that|my bad|never mind|or rather|corrected|recount|looking again"
    r"|looking more|closer|mistake|error|scratch|scrap|forget that|ignore that|strike|take (?:that|it) "
    r"back|\bno[:,. ]|nope|correction"
    r"|misread|miscounted|sorry|不对|更正|equivoqu|correcci|correçã|trompe|falsch|nein|non, |correggo|아니|訂正|間違"
    r"|ошиб|поправ|нет, |تصحيح|perdón|pardon|non, attend|non, aspetta|no, espera|espere|moment mal"
)
"""Words of a retraction that leaves nothing where no new answer follows; "wait" may end in the same one."""
ALSO = (
    r"(?:could|might|may|would|can|is|are|seems?|remains?|looks?)\b[^.\n;]{0,40}?\b(?:also|too|as well"
    r"|equally|just as|possible|plausible|valid|an option"
    r"|(?:be|is) (?:it|right|correct|true|acceptable|the answer))\b"
)
KEPT = re.compile(
    rf"\b(?:though|although|but|however|while|then again|alternatively|on the other hand|still"
    rf"|or)\b[^.\n]{{0,60}}?(?:\b{ALSO}|\bcan(?:no|')t (?:be )?(?:rule|exclude)d?)"
    r"|(?:^|[.;\n,(]\s*)\(?[a-z]\)?,? (?:possibly|maybe|perhaps)\b"
    rf"|(?:^|[.;\n,(]\s*)(?:(?:option|choice|answer) )?\(?[a-z0-9][).]?,? {ALSO}"
)
"""What may keep another answer open; it does where it names one."""
REOPENED = re.compile(
    r"[^.\n]{0,3}(?:(?:[.;,(]|\n)\s*(?:or|alternatively|then again)\b,? (?:maybe|perhaps|possibly|it "
    r"(?:could|might|may) be|even|else)\b|\s*\?\s*(?:or|maybe)\b)"
)
LETTER = re.compile(
    r"(?<![A-Za-z'])\(?[B-HJ-Z]\)?(?![A-Za-z'])|\([AI]\)|\bA (?:can|could|may|might|would|is|cannot"
    r"|also)\b|\b(?:be|is) A(?=[.!\s]*$)|(?:option|choice|answer) [A-Z]\b"
)


def withdrawn(body: Body, end: int) -> tuple[int, bool] | None:
    """Behind which words what follows `end` takes the answer back, and whether for good; None where it does not."""
    found = WITHDRAWN.search(body.lower, end, min(body.end, end + LOOK))
    if found is None:
        return None
    around = body.lower[max(end, found.start() - 5) : min(body.end, found.end() + 120)]
    return found.end(), STRONG.search(around) is not None


def kept_open(body: Body, end: int, names: tuple[str, ...]) -> bool:
    """Whether another answer is kept open behind one that ends at `end`; `names`: the options' texts in lower case."""
    limit = min(body.end, end + 250)
    if REOPENED.search(body.lower, end, limit):
        return True
    for match in KEPT.finditer(body.lower, end, limit):
        stop = sentence_end(body.text, match.start() + 1, limit)
        said = body.lower[match.start() : stop]
        if LETTER.search(body.text, match.start(), stop) or any(name and name in said for name in names):
            return True
    return False
