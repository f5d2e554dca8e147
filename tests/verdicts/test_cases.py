"""Agreement with cases of our own, in `cases/`: each file was written without looking at the judge, and measured once
before anything was mended for it (benchmarks/results/judge.md has both figures). `attack` holds what was found by
attacking it, faults that are still open among them. Labels may be corrected only where they are wrong; figures may only
get better.
"""

import re
from pathlib import Path

import pytest

from mixpo.verdicts.agreement import judge_check

CASES = Path(__file__).parent / "cases"
LEAST = {
    "held-out-responses": (98.5, 0),
    "held-out-equivalence": (99.3, 0),
    "responses-1": (98.0, 0),
    "responses-2": (97.5, 0),
    "responses-3": (99.5, 0),
    "responses-4": (98.4, 0),
    "responses-5": (85.5, 0),
    "responses-6": (97.0, 0),
    "responses-7": (97.0, 0),
    "responses-8": (98.3, 0),
    "responses-9": (92.5, 1),
    "responses-10": (94.6, 2),
    "equivalence-1": (98.4, 0),
    "equivalence-2": (98.8, 0),
    "equivalence-3": (99.4, 0),
    "equivalence-4": (98.8, 0),
    "attack": (64.5, 122),
}
"""Per cent of agreement on the rows not marked hard, and the most false CORRECT among them."""


def test_every_file_has_its_figures():
    assert {path.name.removesuffix(".jsonl.gz") for path in CASES.iterdir()} == set(LEAST)


@pytest.mark.parametrize(("name", "agreement", "false"), [(name, *least) for name, least in LEAST.items()])
def test_agreement(name, agreement, false):
    lines = judge_check(CASES / f"{name}.jsonl.gz")[1].splitlines()
    firm = next((line for line in lines if line.startswith("not hard, not soft")), lines[0])
    found = re.search(r"agreement ([\d.]+)%.*false correct (\d+)", firm)
    assert found, firm
    assert float(found[1]) >= agreement, firm
    assert int(found[2]) <= false, firm
