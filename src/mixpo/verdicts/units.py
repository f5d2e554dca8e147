"""Units of measurement that convert into each other, by exact factors."""

from fractions import Fraction
from functools import lru_cache

SIZES: dict[str, dict[str, Fraction]] = {
    "length": {
        "mm millimeter millimetre 毫米": Fraction(1, 1000),
        "cm centimeter centimetre 厘米": Fraction(1, 100),
        "dm decimeter 分米": Fraction(1, 10),
        "m meter metre 米": Fraction(1),
        "km kilometer kilometre 千米 公里": Fraction(1000),
        "in inch inches": Fraction(254, 10000),
        "ft foot feet": Fraction(3048, 10000),
        "yd yard": Fraction(9144, 10000),
        "mi mile": Fraction(1609344, 1000),
    },
    "area": {
        "mm^2 mm²": Fraction(1, 10**6),
        "cm^2 cm²": Fraction(1, 10**4),
        "m^2 m²": Fraction(1),
        "km^2 km²": Fraction(10**6),
    },
    "volume": {
        "ml milliliter millilitre cm^3 cm³ 毫升": Fraction(1, 1000),
        "l liter litre dm^3 dm³ 升": Fraction(1),
        "m^3 m³": Fraction(1000),
    },
    "mass": {
        "mg milligram": Fraction(1, 10**6),
        "g gram 克": Fraction(1, 1000),
        "kg kilogram 千克 公斤": Fraction(1),
        "t tonne 吨": Fraction(1000),
        "lb lbs pound": Fraction(45359237, 10**8),
        "oz ounce": Fraction(45359237, 16 * 10**8),
    },
    "time": {
        "ms millisecond": Fraction(1, 1000),
        "s sec second 秒": Fraction(1),
        "min minute 分钟": Fraction(60),
        "h hr hour 小时": Fraction(3600),
        "day 天": Fraction(86400),
        "week": Fraction(7 * 86400),
    },
    "speed": {"m/s": Fraction(1), "km/h kmh kph": Fraction(1000, 3600)},
    "temperature": {"°c celsius ℃": Fraction(1)},
    "fahrenheit": {"°f fahrenheit ℉": Fraction(1)},
    "angle": {"° degree deg 度": Fraction(1), "rad radian": Fraction(180) / Fraction("3.14159265358979323846")},
    "money": {"cent ¢": Fraction(1, 100), "dollar usd": Fraction(1)},
}
KNOWN = {
    name: (dimension, factor)
    for dimension, units in SIZES.items()
    for names, factor in units.items()
    for name in names.split()
}


@lru_cache(maxsize=65536)
def unit_of(word: str) -> tuple[str, Fraction] | None:
    """Dimension and factor of a unit's name or sign; None for other words ("objects")."""
    for name in (word, word.lower(), word.lower().removesuffix("s")):
        if name in KNOWN and ((word != "M" and word != "L") or name == "l"):
            return KNOWN[name]
    return None


@lru_cache(maxsize=65536)
def conversion(answer: str, truth: str) -> Fraction | None:
    """What turns a value in the answer's unit into the truth's; 1: one has none; None: they differ in kind."""
    left, right = unit_of(answer), unit_of(truth)
    if left is None or right is None:
        return Fraction(1)
    return left[1] / right[1] if left[0] == right[0] else None
