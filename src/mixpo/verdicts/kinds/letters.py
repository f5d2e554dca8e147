"""Letters that name an option: (B), B., option b, a lone B; not the article "a", a pronoun, a point or a variable."""

import re

from mixpo.verdicts.body import Body
from mixpo.verdicts.languages import one_of
from mixpo.verdicts.reading import Reading
from mixpo.verdicts.statements import Statement

OPENING = r"(?:[\s\"'*`$:({\[<>✅✓✔☑➡→👉-]|\\(?:text|textbf|textit|mathrm|mathbf|boxed|rm|bf)\s*\{?|\\[(\[ ])*+"
NAMED = (
    r"(?:(?:most\s+)?(?:likely|probably|clearly|therefore|thus|hence|donc|also|somit|então|portanto|quindi"
    r"|dunque|por tanto|entonces|значит)\s*,?\s*)?(?:(?:the|la|el|le|il|o|a(?= )|die|der|das|l'|a opção"
    r"|la opción|l'option)\s+)?(?:(?:correct|right|best"
    r"|final)\s+)?(?:(?:option|choice|answer|letter|letra|lettre|lettera|buchstabe|буква|figure|picture|point|jar|graph|选项|選項|opción|opção"
    r"|opzione|réponse|respuesta|option"
    r"|antwort|вариант|विकल्प|الخيار|보기|選択肢)s?\s*(?:is|letter)?\s*:?\s*)?"
)
HEAD = re.compile(rf"{OPENING}{NAMED}{OPENING}([A-Za-z])(?![A-Za-z0-9_'²\u00c0-\u024f])", re.IGNORECASE)
INSIDE = re.compile(
    r"(?<![\w(])\(([A-Z])\)|(?<![\w'(.])([A-Z])\)?\s+(?:(?:is|must be|would be|seems|looks)\s+(?:the\s+|clearly "
    r"|also )?(?:correct|right|best|answer|closest|most|our)|(?:fits|matches|works|remains|satisfies"
    r"|captures|describes|represents|suits)\b"
    r"|(?:right|correct)\b)"
    r"|\b(?i:it's|that's|it|this|that|makes|so|thus|hence|therefore|actually|probably|pick|but|but rather"
    r"|must be|think|believe|ergo|need|i\.e\.|reste|que la|con la|money's on"
    r"|say|guess|be|is|get|with|select|choose|points? to)"
    r"[,:]?\s+[\"'(*]*([A-Z])(?=[\"')*]*\s*(?:either way|anyway|in any case)?[.!,]?\s*$)|(?<![\w(])\[([A-Z])\]"
    r"|\b(?i:option|choice|letter|answer)\b\s*(?:is\b|:)?\s*[\"'(*]*([A-Za-z])(?![\w'])|(?:选项|答案"
    r"|选)\s*[为是]?\s*:?\s*[(\"]?([A-Z])(?![A-Za-z])"
    r"|\b(?i:only|leav(?:es?|ing)(?: us)?(?: with)?(?: only)?|left with"
    r"|remaining:?)\s+[\"'(]*([A-Z])(?=[)\"']*(?:\s+(?:remains?|is left|fits|works|matches|is possible)"
    r"|\s*[.,;!]|\s*$))"
    rf"|{one_of('answer', without=('zh',))}\s*:?\s*[\"'(]*([A-Z])(?![\w'])|([A-Z])\)?\s?(?:が|이|가|は"
    rf"|选项)?\s?(?:正解|答え|正しい|맞습니다|정답|正确|才是)"
    r"|\b(?:ma|pero|sino(?: la)?|mais(?: la)?|sondern|aber|mas|sim)\s+[\"'(]*([A-Z])(?=[\"')]*\s*[.,;!]|\s*$)"
)
OPEN = re.compile(r"\b(?:could|might|may) (?:also )?be\b[^.\n]{0,60}?\bor\b")
LONE = re.compile(r"[\s\"'*`$({\[]*([A-Za-z])[\s\"'*`$)}\].:]*")
ANY_WORD_AFTER = re.compile(r"[ \t]+[A-Za-z]")
WORD_AFTER = re.compile(r"[ \t]+[a-z]")
OPERATOR_AFTER = re.compile(r"[ \t]*(?:[=<>+*/^≈∥⊥]|-\s*\w|\\(?:in|leq?|geq?|parallel|perp))")
MORE = re.compile(
    r"[)\]}.\"'\s]*(?:\\text\s*\{\s*)?(?:,|/|&|;|->|→|=>|\bvs\.?|\bor\b|\band\b|\bto\b|和|或|与|または|또는|或者|\bo\b|\bou\b|\boder\b|\bили\b|أو"
    r"|या)\s*(?:\bor\b|\band\b|both\b)?\s*"
    r"(?:(?:possibly|maybe|perhaps|even|also|could be|it could be|might be)\s+)*(?:(?:the\s+)?(?:option"
    r"|choice|answer)s?\s+)?[\"'(]*([A-Za-z])(?![\w'])",
    re.IGNORECASE,
)
CONTRAST = re.compile(
    r"\b(?:but|however|so|hence|thus|therefore|instead|leaving|leaves|conclude|in the end"
    r"|finally)\b(?!.*\b(?:but|however|so|hence|thus|therefore|leaving|leaves)\b)"
)
DOUBTED = re.compile(r"\b(?:also|could|might|may|possib\w+|equally)\b")
PICTURE = re.compile(
    r"\s*(?:[Tt]he )?(?:[Pp]icture|[Ff]igure|[Ii]mage|[Gg]raph|[Dd]iagram|[Ss]hape|[Pp]attern|[Pp]anel"
    r"|[Mm]ap|[Cc]hart|[Ss]tatement|[Ss]olid|[Nn]et|[Tt]ile|[Pp]iece) ([A-Z])\s+(?!and\b|or\b)[a-z]"
)
"""A picture that a letter names, where the options are only letters."""
ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth")
ORDINAL_OPTION = re.compile(rf"\bthe ({'|'.join(ORDINALS)}|last) (?:option|choice|one|answer)\b(?! (?:and|or|,))")
CHOSEN = re.compile(r"\b(?:is (?:the )?(?:correct|right|best)|go with|choose|pick|select|would say)\b")
RIGHT_IS = re.compile(
    r"\b(?:richtig|korrekt|correcta?|correcte|corretta|correto|correta|exacta?|правильно|правильный"
    r"|верно)\s+(?:ist|es|est|è|é|-)\s+(?:(?:also|donc|quindi|portanto|entonces|somit|daher)\s+)?"
    r"(?:(?:die|la|le|a|der|das)\s+)?(?:(?:antwort|option|opción|réponse|risposta|opção"
    r"|ответ)\s+)?[\"'(*]*([A-Z])(?![\w'])",
    re.IGNORECASE,
)
ONLY_LETTERS = re.compile(r"\W*[A-H]\)?(?:\s*(?:,|;|and|or|&|/|\+)\s*(?:and\s+|or\s+)?\(?[A-H]\)?)+\W*")
ALL_BUT = re.compile(r"\W*(?:all (?:of them |of these )?(?:but|except)|everything (?:but|except)|not)\b")
BESIDE = re.compile(r"[)\]}:.,\"'*\s$\\-]*(?:\\(?:text|textbf|mathrm|mbox)\s*\{\s*)?")
EITHER = re.compile(r"\b(?:either|both|between)\s+(?:the\s+)?(?:(?:option|choice)s?\s+)?[\"'(]*$")
DENIED_BEFORE = re.compile(
    r"(?:\b(?:no es(?: la)?|non è(?: la)?|n'est pas(?: la)?|nicht|não é(?: a)?|не|not|all but|anything but|neither"
    r"|nor|rather than|instead of|never|except|eliminat\w+|rul\w+ out|exclud\w+)"
    r"|n't|不是|不选|排除|而非)"
    r"\s*(?:be\s+)?(?:the\s+)?(?:(?:option|choice|answer|letter)s?\s*:?\s*)?[\"'(*]*$"
)
DENIED_AFTER = re.compile(
    r"[)\]\"'*]*\s*:?(?:(?:\s*(?!because|since|as\b|for\b)[^\s.,;:!?]++){0,4}?\s+(?:is|are|was|were|would be"
    r"|can be|seems?|looks?)|)\s*"
    r"(?:\bnot\b(?! only)|n't\b|(?:also |clearly |definitely |therefore )*(?:incorrect|wrong|false|excluded"
    r"|eliminated|ruled out|impossible)\b)"
    r"|[)\]\"']*\s*(?:选项)?(?:是)?(?:不正确|错误|错|不对|不符合|不成立|不是)"
)
# Words without which the patterns of the same subject cannot match: most statements hold none, and this tells it fast.
DENIALS_BEFORE = (
    *("not", "n't", "but", "neither", "nor", "than", "instead", "never", "except", "eliminat", "rul", "exclud"),
    *("no ", "non", "pas", "nich", "não", "не", "不", "排除", "而非"),
)
DENIALS_AFTER = ("not", "n't", "incorrect", "wrong", "false", "exclud", "eliminat", "ruled", "impossible", "错", "不")
ALTERNATIVES = ("either", "both", "between")
NOUNS = ("option", "choice", "letter", "answer")
CAPITAL = re.compile(r"[A-Z](?![A-Za-z])")
HEAD_LIMIT = 200
"""Characters at a statement's start in which its letter must stand."""
GLANCE = 60
"""Characters before a letter in which a denial is looked for."""
LOOK = 100
"""Characters after it."""


def _is_all(body: Body, statement: Statement, ordinal: re.Match[str]) -> bool:
    """Whether "the second option" is all that a response says."""
    around = body.lower[statement.start : ordinal.start()] + body.lower[ordinal.end() : statement.end]
    return statement.rule == "direct" and ordinal[0].endswith("option") and len(around.strip(" .!*")) <= len("it is")


def letter_read(body: Body, statement: Statement, choices: tuple[str, ...]) -> Reading | None:
    """The letter that a statement names, its value counted from 0; None when it names none."""
    text, start, end, count = body.text, statement.start, statement.end, len(choices)
    if statement.rule in ("line", "last"):
        if ONLY_LETTERS.fullmatch(text, start, end):
            return Reading(start, end, problem="several letters")
        lone = LONE.fullmatch(text, start, end)
        if lone and (lone[1].isupper() or statement.rule == "line"):
            return Reading(lone.start(1), lone.end(1), ord(lone[1].upper()) - ord("A"))
    if (
        statement.rule != "last"
        and (head := HEAD.match(text, start, min(end, start + HEAD_LIMIT)))
        and _means_letter(text, head, statement, count)
    ):
        return _judged(body, head.start(1), head.end(1), statement, choices)
    if OPEN.search(body.lower, start, end):
        return Reading(start, end, problem="several letters")
    if not (CAPITAL.search(text, start, end) or _holds(body.lower[start:end], NOUNS)):
        return None
    found = []
    if (told := RIGHT_IS.search(text, start, end)) and told[1].isupper():
        return _judged(body, told.start(1), told.end(1), statement, choices)
    if (
        (ordinal := ORDINAL_OPTION.search(body.lower, start, end))
        and (statement.marked or CHOSEN.search(body.lower, start, end) or _is_all(body, statement, ordinal))
        and not DENIED_BEFORE.search(body.lower[max(start, ordinal.start() - GLANCE) : ordinal.start()])
    ):
        position = ORDINALS.index(ordinal[1]) if ordinal[1] in ORDINALS else count - 1
        return Reading(ordinal.start(1), ordinal.end(1), position) if position < count else None
    if not choices and (picture := PICTURE.match(text, start, end)):
        return _judged(body, picture.start(1), picture.end(1), statement, choices)
    for match in INSIDE.finditer(text, start, end):
        group = match.lastindex or 1
        if match[group].islower() and (
            text[match.start(group) - 1] in " :" and ANY_WORD_AFTER.match(text, match.end(group), end)
        ):
            continue  # "answer is a circle", "the option a person would take"
        if (
            count
            and match[group] in "AI"
            and WORD_AFTER.match(text, match.end(group), end)
            and text[match.end(group)] == " "
            and "answer" in match[0].lower()
        ):
            continue
        reading = _judged(body, match.start(group), match.end(group), statement, choices)
        if count and (reading.value or 0) >= count and not statement.marked:
            continue  # a letter of the figure, or of the formula
        if reading.problem != "denied":
            found.append(reading)
    return (
        _only(found)
        or _contrasted(body, statement, found)
        or (Reading(start, end, problem="several letters") if found else None)
    )


def _only(found: list[Reading]) -> Reading | None:
    values = {reading.value for reading in found}
    return found[-1] if len(values) == 1 and None not in values else None


def _contrasted(body: Body, statement: Statement, found: list[Reading]) -> Reading | None:
    """The one letter behind the last "but" or "so": "between B and C, but I'd say C"."""
    turn = CONTRAST.search(body.lower, statement.start, statement.end)
    if turn is None or DOUBTED.search(body.lower, turn.end(), statement.end):
        return None
    return _only([reading for reading in found if reading.start >= turn.end() and reading.value is not None])


def _holds(text: str, words: tuple[str, ...]) -> bool:
    return any(map(text.__contains__, words))


def _means_letter(text: str, head: re.Match[str], statement: Statement, count: int) -> bool:
    """Whether a single letter at the head of a statement is an option's letter."""
    character, at, end = head[1], head.end(1), statement.end
    rest = text[at:end].strip(" \t\n.\"'})*$`]")
    if not rest or text[at : at + 1] == ")":
        return character.isupper() or statement.strict or text[at : at + 1] == ")" or _named(head)
    if OPERATOR_AFTER.match(text, at, end) and not (count and re.match(r"\s*[-=]\s", text[at : at + 8])):
        return False
    if character.islower():
        return _named(head) and not WORD_AFTER.match(text, at, end)
    if character in "AI" and WORD_AFTER.match(text, at, end) and not _named(head):
        return False
    if statement.rule in ("first", "line", "direct") and not _named(head):
        return text[at:end].lstrip(" ")[:1] in tuple(".):]}*,-")
    return True


def _named(head: re.Match[str]) -> bool:
    return (
        re.search(
            r"(?:option|choice|letter|选项)s?\s*:?\s*[\"'(*]*$", head[0][: head.start(1) - head.start()], re.IGNORECASE
        )
        is not None
    )


def own_text(body: Body, at: int, end: int, choice: str) -> int | None:
    """Where an option's text ends that stands right behind its letter, at `at`; None where another text does."""
    beside = BESIDE.match(body.text, at, end)
    start = beside.end() if beside else at
    bare = choice.strip(" .").lower()
    return start + len(bare) if bare and start > at and body.lower.startswith(bare, start) else None


def _judged(body: Body, left: int, right: int, statement: Statement, choices: tuple[str, ...]) -> Reading:
    """The letter at [left, right), unless it is denied or one of several. Its own text behind it denies nothing."""
    text = body.text
    index = ord(text[left].upper()) - ord("A")
    own = own_text(body, right, statement.end, choices[index]) if 0 <= index < len(choices) else None
    behind = own or right
    before, after = body.lower[max(0, left - GLANCE) : left], body.lower[behind : min(statement.end, behind + LOOK)]
    if (_holds(before, DENIALS_BEFORE) and DENIED_BEFORE.search(before)) or (
        _holds(after, DENIALS_AFTER) and DENIED_AFTER.match(after)
    ):
        return Reading(left, right, problem="denied")
    more = MORE.match(text, behind, statement.end) if behind + 1 < statement.end else None
    if more and more[1].upper() != text[left].upper():
        article = more[1] in "aIA" and WORD_AFTER.match(text, more.end())
        variable = more[1].islower() and text[more.start(1) - 1] not in "("
        if not article and not variable:
            return Reading(statement.start, statement.end, problem="several letters")
    if _holds(before, ALTERNATIVES) and EITHER.search(before):
        return Reading(statement.start, statement.end, problem="several letters")
    return Reading(left, right, index)


LETTERS = re.compile(r"(?<![A-Za-z])([A-Z])(?![A-Za-z'])|(?<![A-Za-z])([A-Z]{2,6})(?![A-Za-z])")
JOINING = re.compile(r"[\s,;&/()\[\]{}\"'.:*$-]|\band\b|\bor\b|\bboth\b|和|与|及|y|et|und|e|и|と")


def letters_read(body: Body, statement: Statement, choices: tuple[str, ...]) -> Reading | None:
    """All letters that a statement names together ("B and D", "ACD"), where the ground truth is several; a set."""
    text, end = body.text, statement.end
    found: set[int] = set()
    first = last = None
    position = statement.start
    if ALL_BUT.match(body.lower, position, end):
        return Reading(position, end, problem="denied")
    while position < end:
        match = LETTERS.search(text, position, end)
        if match is None:
            break
        between = text[last if last is not None else position : match.start()]
        if last is not None and JOINING.sub("", between):
            break  # an explanation
        for character in match[1] or match[2]:
            found.add(ord(character) - ord("A"))
        first = match.start() if first is None else first
        last = match.end()
        index = ord(match[0][-1]) - ord("A")
        own = own_text(body, last, end, choices[index]) if index < len(choices) else None
        last = position = own or last
    if first is None or last is None:
        return None
    return Reading(first, last, frozenset(found))
