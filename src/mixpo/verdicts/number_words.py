"""Number words of English: cardinals up to trillions, ordinals, "half", "dozen"."""

import re
from fractions import Fraction

SMALL = {
    word: number
    for number, words in enumerate(
        ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"]
    )
    for word in words.split()
} | {word: 10 * number for number, word in enumerate(["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"], 2)}
LARGE = {"hundred": 100, "dozen": 12, "thousand": 1000, "million": 10**6, "billion": 10**9, "trillion": 10**12}
NUMBER_WORDS = "|".join(sorted((*SMALL, *LARGE), key=len, reverse=True)) + r"|an?(?= (?:hundred|dozen|thousand|million|billion)\b)"


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
