"""What a sentence adds to the words of the question that it repeats."""

import re
from functools import lru_cache

from mixpo.verdicts.plain import singular

CJK = re.compile(r"[\u3040-\u9fff]")
ROMANCE = frozenset("un una el la los las le les du des il lo gli um uma o os as".split())
FUNCTION_SIGNS = frozenset("是的为了着在了吗呢有はがをにのもとでたてるですます「」")
ATTRIBUTE = re.compile(
    r"\b(?:what|which) (?:colou?r|pattern|shape|material|kind|type|sort|brand|breed)\b|de qué color|quelle couleur"
    r"|(?:welche|was für eine) farbe|(?:di )?che colore|(?:de )?que cor\b",
    re.IGNORECASE,
)
WORDS = re.compile(r"[^\W_]+(?:[-'’.][^\W_]+)*")
PLACING = frozenset(
    "in on at with near under behind beside by next from of during for over above below between sur dans avec en con "
    "sobre auf mit im am in vor bei su sul nel na no em com sob на в с под у".split()
)
BESIDE = frozenset(("next", "behind", "beside"))
LIGHT = PLACING | frozenset(
    "is are was were be been being the a an it its this that these those there he she they to and as so thus therefore "
    "hence i we you my his her their wearing wears wear holding holds hold made make makes taken take takes called "
    "named seems seem appears appear shows show shown depicts depict image picture photo sign says say reads read "
    "written labeled color colour using uses has have had does do did can will would which who what where looks look "
    "like according looking based belongs constructed located found chart table graph diagram map probably likely "
    "clearly visible seen see final answer es son está están un una el la los las de del est sont une le les du des "
    "on voit se ve hay c'est il elle ist sind ein eine einen der die das dem den wird er sie es gibt aus è sono il lo "
    "gli di um uma os o é são há da do 있습니다 있다 있어요 입니다 합니다 это есть на है हैं का की के में هو هي في".split()
)
"""Words that add nothing to an answer."""


@lru_cache(maxsize=16384)
def added(said: str, question: str) -> tuple[str, ...]:
    """What a sentence that repeats words of the question adds to them: all of it, and up to the first aside."""
    if CJK.search(said) and CJK.search(question):
        return _added_signs(said, question)
    asked = {root(part) for word in WORDS.findall(question.lower()) for part in (word, *word.split("-"))}
    found: list[str] = []
    shared, cut, before, names = False, None, "", ""
    for match in WORDS.finditer(said):
        word = match[0].lower()
        if root(word) in asked and word not in ("not", "no"):
            shared, before = True, match[0]
            continue
        before = before if not found else ""
        if word in BESIDE and not found:
            found.append(word)  # what stands next to it is not it
            continue
        if word in LIGHT:
            if word in PLACING and found and cut is None:
                cut = len(found)
            continue
        if not found and shared and len(word) == 1 and before:
            names = f"{before} {match[0]}"  # "Product C", of products
        if cut is None and found and said[: match.start()].rstrip()[-1:] in ",;(:":
            cut = len(found)
        found.append(_without_particle(match[0]))
    if not found or not (shared or re.match(r"\s*(?:it|this|that|he|she|they)\b", said.lower())):
        return ()
    return tuple(
        dict.fromkeys((" ".join(found), " ".join(found[:cut]), *([names] if names and len(found) == 1 else [])))
    )


def attributes(said: str, question: str) -> list[str]:
    """The word that stands with the noun asked about: "a red skirt", "un vestido azul"."""
    if not ATTRIBUTE.search(question):
        return []
    asked = {root(word) for word in WORDS.findall(question.lower())} - {"color", "colour", "kind", "type"}
    words = WORDS.findall(said)
    found = []
    for before, word, behind in zip(["", *words], words, [*words[1:], ""]):
        if root(word) in asked and word not in LIGHT:
            near = behind if before in ROMANCE else before
            found += [near] if near and near not in LIGHT and root(near) not in asked else []
    return found


def _added_signs(said: str, question: str) -> tuple[str, ...]:
    """The same for languages without spaces: the run of signs in a clause that the question does not have."""
    found = []
    for clause in re.split(r"[,.，。;；]", said):
        if not set(clause) & set(question) - FUNCTION_SIGNS:
            continue
        runs = re.findall(
            r"[^\s]+", "".join(" " if sign in question or sign in FUNCTION_SIGNS else sign for sign in clause)
        )
        if len(runs) == 1:
            found.append(runs[0])
    return tuple(found)


def root(word: str) -> str:
    """A word without its ending, enough to tell "plays" from "playing" as the same."""
    word = _without_particle(word).removesuffix("'s")
    if not word.isascii() or len(word) < 5:
        return word[:2] if "\uac00" <= word[:1] <= "\ud7a3" else singular(word)
    return re.sub(r"(?:ing|ed|es|s|e)$", "", word)


def _without_particle(word: str) -> str:
    """Korean nouns without the particle behind them."""
    if "\uac00" <= word[:1] <= "\ud7a3" and len(word) > 1 and word[-1] in "을를이가은는의에로":
        return word[:-1]
    return word
