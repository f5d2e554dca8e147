"""Units of measurement: what they measure, and what converts one into another, by exact factors.

A unit is a product of named ones with exponents ("m/s^2", "square metres", "kJ/mol"), so a unit that is not in the
table by itself is still read when its parts are. Temperatures are kept apart by scale: they do not convert by a factor.
"""

import re
from fractions import Fraction
from functools import lru_cache

F = Fraction
BASE: dict[str, dict[str, Fraction]] = {
    "length": {
        "m meter metre metro mètre метр 米 メートル 미터": F(1),
        "in inch inches zoll": F(254, 10000),
        "ft foot feet": F(3048, 10000),
        "yd yard": F(9144, 10000),
        "mi mile": F(1609344, 1000),
        "cm centimeter centimetre centímetro centimètre zentimeter centimetro сантиметр см 厘米 公分 "
        "センチ センチメートル "
        "센티미터": F(1, 100),
        "mm millimeter millimetre milímetro millimètre 毫米 ミリ": F(1, 1000),
        "dm decimeter decimetre 分米": F(1, 10),
        "km kilometer kilometre kilómetro kilomètre quilômetro километр км 千米 公里 キロメートル 킬로미터": F(1000),
        "nm nanometer nanometre": F(1, 10**9),
        "μm µm micrometer micron": F(1, 10**6),
    },
    "mass": {
        "g gram gramme gramo grama gramm грамм 克 グラム 그램": F(1, 1000),
        "mg milligram 毫克": F(1, 10**6),
        "kg kilogram kilo kilogramo kilogramme kilogramm килограмм кг 千克 公斤 キログラム 킬로그램": F(1),
        "t tonne ton 吨": F(1000),
        "lb lbs pound": F(45359237, 10**8),
        "oz ounce": F(45359237, 16 * 10**8),
    },
    "time": {
        "ms millisecond": F(1, 1000),
        "s sec second segundo seconde sekunde secondo секунда 秒 초": F(1),
        "min mins minute minuto minuten минута 分钟 分 분": F(60),
        "h hr hour hora heure stunde ora час 小时 時間 시간": F(3600),
        "day día jour tag dia 天 日 일": F(86400),
        "week 周 星期": F(7 * 86400),
    },
    "current": {"A amp ampere": F(1), "mA milliampere": F(1, 1000)},
    "amount": {"mol mole": F(1), "mmol": F(1, 1000)},
    "kelvin": {"K kelvin": F(1)},
    "celsius": {"°c celsius ℃ °C": F(1)},
    "fahrenheit": {"°f fahrenheit ℉ °F": F(1)},
    "angle": {
        "° degree deg grado degré grad grau градус 度 도": F(1),
        "rad radian": F(180) / F("3.14159265358979323846264338327950288419716939937510582097494459230781640628620899"),
    },
    "money": {"cent ¢": F(1, 100), "dollar usd": F(1)},
    "charge": {"C coulomb": F(1)},
    "electronvolt": {"eV electronvolt": F(1), "keV": F(1000), "MeV": F(10**6)},
    "sound": {"dB decibel": F(1)},
    "turns": {"rpm": F(1)},
    "information": {"byte": F(1), "kB KB kilobyte": F(1000), "MB megabyte": F(10**6), "GB gigabyte": F(10**9)},
}
Dimension = tuple[tuple[str, int], ...]
DERIVED: dict[str, tuple[dict[str, int], Fraction]] = {
    "l L liter litre litro litr литр 升 リットル 리터": ({"length": 3}, F(1, 1000)),
    "ml mL milliliter millilitre mililitro cc 毫升": ({"length": 3}, F(1, 10**6)),
    "ha hectare": ({"length": 2}, F(10000)),
    "mph": ({"length": 1, "time": -1}, F(1609344, 3600000)),
    "kmh kph km/h": ({"length": 1, "time": -1}, F(1000, 3600)),
    "N newton": ({"mass": 1, "length": 1, "time": -2}, F(1)),
    "J joule": ({"mass": 1, "length": 2, "time": -2}, F(1)),
    "kJ kilojoule": ({"mass": 1, "length": 2, "time": -2}, F(1000)),
    "W watt": ({"mass": 1, "length": 2, "time": -3}, F(1)),
    "kW kilowatt": ({"mass": 1, "length": 2, "time": -3}, F(1000)),
    "Pa pascal": ({"mass": 1, "length": -1, "time": -2}, F(1)),
    "kPa": ({"mass": 1, "length": -1, "time": -2}, F(1000)),
    "V volt": ({"mass": 1, "length": 2, "time": -3, "current": -1}, F(1)),
    "kV kilovolt": ({"mass": 1, "length": 2, "time": -3, "current": -1}, F(1000)),
    "mV millivolt": ({"mass": 1, "length": 2, "time": -3, "current": -1}, F(1, 1000)),
    "Ω ohm": ({"mass": 1, "length": 2, "time": -3, "current": -2}, F(1)),
    "kΩ kiloohm": ({"mass": 1, "length": 2, "time": -3, "current": -2}, F(1000)),
    "Hz hertz": ({"time": -1}, F(1)),
    "kHz": ({"time": -1}, F(1000)),
    "MHz": ({"time": -1}, F(10**6)),
    "atm atmosphere": ({"mass": 1, "length": -1, "time": -2}, F(101325)),
    "bar": ({"mass": 1, "length": -1, "time": -2}, F(100_000)),
    "kWh": ({"mass": 1, "length": 2, "time": -2}, F(3_600_000)),
    "cal calorie": ({"mass": 1, "length": 2, "time": -2}, F(4184, 1000)),
    "kcal": ({"mass": 1, "length": 2, "time": -2}, F(4184)),
}
KNOWN: dict[str, tuple[Dimension, Fraction]] = {
    name: (((dimension, 1),), factor)
    for dimension, units in BASE.items()
    for names, factor in units.items()
    for name in names.split()
} | {
    name: (tuple(sorted(powers.items())), factor)
    for names, (powers, factor) in DERIVED.items()
    for name in names.split()
}
POWERS = {"square": 2, "sq": 2, "cubic": 3, "平方": 2, "立方": 3}
PART = re.compile(r"([^\d\s^*/·.()²³{}-]+)(?:\^?\{?(-?\d)\}?|([²³]))?")
NO_UNIT = frozenset(
    "squared cubed factorial plus minus times more less fewer or and of to per by percent hundred thousand million "
    "billion dozen over under above below th nd rd st half not but than no is are was x mod point double twice".split()
)
"""Words that make another value of the number before them."""
AT_END = re.compile(
    r"(?P<left>.*[\d)}\]π!⌋⌉|½¼¾]|.*\\r(?:floor|ceil)|.*[A-Za-z°](?=\s*«)) ?"
    r"(?P<unit>(?:«[^«»]*»|°)(?:[ */·^{}-]|\d|°|«[^«»]*»)*[A-Z]?|(?<=[\d)}½¼¾π] )[^\W\d_]+[^=<>]*|°[CF]?"
    r"|[μµ]?[a-zA-Z]{1,3}(?:\^?\{?-?\d\}?)?(?:/[a-zA-Z]+(?:\^\{?-?\d\}?)?)?)"
)
ASKED = re.compile(
    r"\bin ([^\W\d_]+(?:/[^\W\d_]+| per [^\W\d_]+)?)\s*[?.)]?\s*$|\(in ([^\W\d_/²³]+)\)|\bhow many ([^\W\d_]+)\b",
    re.IGNORECASE,
)
NOUN = re.compile(r"[^\W\d_]{3,}(?:[ -][^\W\d_]+){0,3}")


@lru_cache(maxsize=65536)
def unit_of(text: str) -> tuple[Dimension, Fraction] | None:
    """What a unit measures, and its size in base units; None for other words ("objects")."""
    text = text.strip(" «».{}\\").replace("«", "").replace("»", "")
    if found := _named(text):
        return found
    text = re.sub(r"\bper\b|每", "/", text).replace(" squared", "^2").replace(" cubed", "^3").replace("-", " ")
    powers: dict[str, int] = {}
    factor, sign, times, position = Fraction(1), 1, 1, 0
    while position < len(text):
        if text[position] in "/ *·.()":
            sign = -1 if text[position] == "/" else sign
            position += 1
            continue
        match = PART.match(text, position)
        if match is None:
            return None
        position = match.end()
        word = match[1]
        for name, power in POWERS.items():
            if word.startswith(name):
                times, word = power, word.removeprefix(name)
        if not word:
            continue
        found = _named(word)
        if found is None:
            return None
        exponent = sign * times * int(match[2] or {"²": 2, "³": 3}.get(match[3] or "", 1))
        times = 1
        for dimension, own in found[0]:
            powers[dimension] = powers.get(dimension, 0) + own * exponent
        factor *= found[1] ** exponent
    return (tuple(sorted(item for item in powers.items() if item[1])), factor) if powers else None


def _named(name: str) -> tuple[Dimension, Fraction] | None:
    plain = (
        re.sub(r"^(?:degrees?|deg|°) ?(?=(?:c|f|celsius|fahrenheit)$)", "°", name.lower()) if len(name) > 1 else name
    )
    plain = {"°celsius": "°c", "°fahrenheit": "°f"}.get(plain, plain)
    singular = plain.removesuffix("s")
    tried = (name, plain, singular if len(singular) > 2 else name, "inch" if plain == "inches" else name)
    return next((KNOWN[word] for word in tried if word in KNOWN), None)


@lru_cache(maxsize=65536)
def conversion(answer: str, truth: str) -> Fraction | None:
    """What turns a value in the answer's unit into the truth's; 1: one has none; None: they differ in kind."""
    left, right = unit_of(answer), unit_of(truth)
    if left and right and {left[0], right[0]} == {KNOWN["C"][0], KNOWN["°C"][0]}:
        return Fraction(1)  # "20 C" is written for both
    if left and right and left[0] == KNOWN["°"][0] and right[0] in (KNOWN["°C"][0], KNOWN["°F"][0]) and left[1] == 1:
        return Fraction(1)  # "25 degrees" of whichever scale the truth is in
    if left is None or right is None:
        return Fraction(1)
    return left[1] / right[1] if left[0] == right[0] else None


@lru_cache(maxsize=4096)
def unit_asked(question: str) -> str:
    """The unit that a question asks for: "in kilograms", "how many minutes"; "" where it names none."""
    found = ASKED.search(question)
    unit = (found[1] or found[2] or found[3] or "") if found else ""
    return unit if unit and unit_of(unit) else ""


def unit_at_end(text: str) -> tuple[str, str]:
    """The formula (in the notation of `mathematics`) before a unit or a noun, and that; "" where none ends it."""
    match = AT_END.fullmatch(text)
    if match is None:
        return text, ""
    unit = match["unit"].strip()
    if unit_of(unit):
        return match["left"], unit
    words = unit.replace("«", " ").replace("»", " ").strip()
    noun = NOUN.fullmatch(words) and not NO_UNIT & set(words.lower().split())
    return (match["left"], words) if noun else (text, "")
