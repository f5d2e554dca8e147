"""Colours of the report and the app: text stands out enough to be read, in light, in the dark and on paper."""

import re

import pytest

from mixpo.report.page import TEMPLATES

CSS = (TEMPLATES / "report.css").read_text(encoding="utf-8")
SCHEMES = dict(zip(("light", "dark", "print"), re.findall(r":root \{(.*?)\}", CSS, re.DOTALL)))


def colours(scheme):
    return dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", SCHEMES[scheme]))


def luminance(colour):
    """WCAG 2.2, relative luminance of an sRGB colour."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one, other):
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_the_formula():
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#767676", "#ffffff") == pytest.approx(4.54, abs=0.01)


@pytest.mark.parametrize("scheme", ["light", "dark", "print"])
def test_text_has_a_contrast_of_at_least_4_5(scheme):
    found = colours(scheme)
    for text in ("ink", "soft", "accent", "good", "bad"):
        for ground in ("ground", "panel"):
            assert contrast(found[text], found[ground]) >= 4.5, (text, ground)
    for mark in ("good-mark", "bad-mark"):
        assert contrast(found["ink"], found[mark]) >= 4.5, mark


@pytest.mark.parametrize("scheme", ["light", "dark", "print"])
def test_bars_and_lines_stand_out_from_the_ground(scheme):
    """WCAG 2.2, 1.4.11: 3 for what a figure says; the bars of the model before are named and numbered besides."""
    found = colours(scheme)
    for drawn in ("accent", "second", "third", "good", "bad"):
        assert contrast(found[drawn], found["ground"]) >= 3, drawn


def test_on_paper_colours_are_those_of_the_light_page():
    assert colours("print") == colours("light")
