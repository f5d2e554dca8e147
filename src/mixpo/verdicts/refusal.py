"""Sentences that give no answer: the model cannot tell, or says that no option fits."""

import re

REFUSAL = re.compile(
    r"\b(?:(?:can(?:'|no)t|can not|could not|couldn't|unable to|not able to|impossible to|not possible to"
    r"|difficult to|hard to)\s+(?:(?:\w+ly|be|really|say|even|for sure)\s+){0,2}?"
    r"(?:determin|tell|see|answer|say|find|identif|read|know|provid|give|calculat|infer|conclud|make out"
    r"|assist|help|view|access|recogni|establish|decid|comput"
    r"|specif|ascertain|discern|verif|confirm|estimat|count|solve|choose|pick|select|be certain|be sure"
    r"|see)\w*|cannot be (?!negative|zero|less|more|greater|both|equal)\w+ed\b|impossible|not possible"
    r"|insufficient"
    r"|inconclusive|"
    r"not enough|no enough|don't have|do not have|isn't enough|without (?:\w+ ){0,3}(?:image|information"
    r"|context|data|figure|diagram)|"
    r"(?:doesn't|does not|don't|do not|did not|didn't) (?:\w+ )?(?:provide|contain|give|include|specify"
    r"|show any|mention|have enough|know|see)|"
    r"(?:not|n't|isn't) (?:\w+ )?(?:provided|given|specified|available|clear|mentioned|visible|sufficient)|"
    r"no (?:information|data|image|context|figure|diagram|way to)|need(?:s|ed)? more|more (?:information"
    r"|context|data|details) (?:is|are)|"
    r"undetermined|indeterminate|n/a|would depend on|please provide|sorry,? (?:but )?(?:i (?:can|am|do"
    r"|could|don)|there is no)|as an ai)\b"
    r"|无法|不能确定|不确定|没有(?:提供|给出)|未(?:提供|给出)"
)
BUT = re.compile(r",? (?:but|however|yet|still)\b")
NONE_FITS = re.compile(
    r"\b(?:(?:none|neither) of (?:the|these|those|them)\b|no (?:correct |matching )?(?:option|choice|answer)s?\b"
    r"|(?:not|n't) (?:\w+ ){0,2}(?:listed|an option|among|one of|in the (?:options|choices)|provided|match))"
    r"|都不(?:对|正确|符合)|没有(?:正确|符合)"
)


def refuses(lower: str, start: int, end: int, asked: str = "") -> bool:
    """Whether a window of a text in lower case says that the question cannot be answered.

    What the question itself says is no refusal: "cannot be" answers "which cannot be the perimeter?".
    """
    found = REFUSAL.search(lower, start, end)
    return found is not None and found[0] not in asked.lower() and not BUT.search(lower, found.end(), end)
