"""Number words of English: cardinals up to trillions, ordinals, "half", "dozen"."""

import re
from fractions import Fraction

UNITS = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen"
).split()
TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()
SMALL = {word: number for number, word in enumerate(UNITS)} | {word: 10 * ten for ten, word in enumerate(TENS, 2)}
LARGE = {"hundred": 100, "dozen": 12, "thousand": 1000, "million": 10**6, "billion": 10**9, "trillion": 10**12}
ORDINAL_WORDS = (
    "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth fourteenth fifteenth"
).split()
ORDINALS = {word: number for number, word in enumerate(ORDINAL_WORDS, 1)}
PARTS = {"half": 2, "third": 3, "quarter": 4} | {word: ORDINALS[word] for word in ORDINAL_WORDS[3:10]}
CHINESE_DIGITS = {character: number for number, character in enumerate("零一二三四五六七八九")} | {"两": 2}
CHINESE = r"[零一二两三四五六七八九十百]+(?=[个只条张本人辆块元岁年月点度分颗朵头匹种次位]|[\s.,;!]|$)"
NUMBER_WORDS = (
    "|".join(sorted((*SMALL, *LARGE), key=len, reverse=True)) + r"|an?(?= (?:hundred|dozen|thousand|million|billion)\b)"
)
FRACTION_WORDS = rf"(?:an?|one|two|three|four|five|seven)[ -](?:{'|'.join(PARTS)}|halve)s?(?! o'clock)"
MIXED_WORDS = rf"half a dozen|(?:(?:{NUMBER_WORDS})(?:[ -](?:{NUMBER_WORDS}))* and )?{FRACTION_WORDS}"


def fraction_value(text: str) -> Fraction:
    """ "three quarters" is 3/4, "a half" 1/2, "two and a half" 5/2."""
    if text == "half a dozen":
        return Fraction(6)
    whole, _, text = text.rpartition(" and ")
    if whole:
        return (words_value(whole) or Fraction(0)) + fraction_value(text)
    top, bottom = re.split(r"[ -]", text.lower())
    return Fraction(
        1 if top in ("a", "an") else SMALL[top], PARTS.get(bottom.removesuffix("s").replace("halve", "half"), 1)
    )


def chinese_value(text: str) -> Fraction:
    """Numerals up to 999: 三 is 3, 十二 12, 二十 20, 一百零五 105."""
    total, digit = 0, 0
    for character in text:
        if character in CHINESE_DIGITS:
            digit = CHINESE_DIGITS[character]
        else:
            total, digit = total + (digit or 1) * (10 if character == "十" else 100), 0
    return Fraction(total + digit)


def words_value(text: str) -> Fraction | None:
    """The value of number words: "one hundred and five" is 105, "a dozen" 12. None when they make no number."""
    total, group, last = 0, 0, 0
    for word in re.findall(r"[a-z]+", text.lower()):
        if word == "and":
            continue
        if word in ("a", "an"):
            group = 1
        elif word in SMALL:
            number = SMALL[word]
            if last and not ((last >= 20 > last % 10 == 0 and number < 10) or last >= 100):
                return None  # "two three": two numbers, not one
            group, last = group + number, number
        elif word == "hundred" or word == "dozen":
            group, last = max(group, 1) * LARGE[word], LARGE[word]
        else:
            total, group, last = total + max(group, 1) * LARGE[word], 0, LARGE[word]
    return Fraction(total + group)
