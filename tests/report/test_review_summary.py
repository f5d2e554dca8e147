"""Arithmetic that a reader can redo."""

import pytest

from mixpo.report.review_summary import kappa, majority, summaries
from mixpo.report.reviews import Answer, Preference

FIRST, SECOND, TIE, BAD = Preference.FIRST, Preference.SECOND, Preference.TIE, Preference.BOTH_BAD


def answers(reviewer, choices, preferred="first", left=True):
    return [
        Answer(item_id=f"i{n}", contest="c", reviewer=reviewer, choice=choice, preferred=preferred, first_was_left=left)
        for n, choice in enumerate(choices)
    ]


def test_kappa():
    """Cohen: 8 items, the same on 6: agreement 0.75. Ann says 5 first, 3 second; Bob 5 first, 3 second: chance
    (5*5 + 3*3) / 64 = 0.53125. kappa = (0.75 - 0.53125) / 0.46875 = 0.466667."""
    ann = answers("ann", [FIRST] * 5 + [SECOND] * 3)
    bob = answers("bob", [FIRST] * 4 + [SECOND] + [FIRST] + [SECOND] * 2)
    found = kappa([*ann, *bob], "ann", "bob")
    assert (found.agreement, found.n) == (0.75, 8)
    assert found.value == pytest.approx(0.466667, abs=1e-6)


def test_kappa_counts_only_shared_items_and_is_undefined_without_variety():
    found = kappa([*answers("ann", [FIRST] * 3), *answers("bob", [FIRST] * 2)], "ann", "bob")
    assert (found.n, found.agreement, found.value) == (2, 1.0, None)
    assert kappa(answers("ann", [FIRST]), "ann", "bob").n == 0


def test_majority():
    one = answers("ann", [FIRST])
    assert majority(one) is FIRST
    assert majority([*one, *answers("bob", [TIE])]) is FIRST
    assert majority([*one, *answers("bob", [SECOND])]) is None
    assert majority(answers("ann", [BAD])) is None


def test_win_rate_and_agreement_with_the_verifier():
    """6 wins, 2 losses, 1 tie, 1 both bad: of 8 decided 75 %, Wilson 40.9 to 92.9 %; the verifier says first of all."""
    (found,) = summaries(answers("ann", [FIRST] * 6 + [SECOND] * 2 + [TIE, BAD]))
    assert (found.items, found.wins.n, found.wins.value) == (10, 8, 0.75)
    assert (found.wins.low, found.wins.high) == pytest.approx((0.40927, 0.92852), abs=1e-4)
    assert (found.verifier.value, found.verifier.n) == (0.75, 8)
    assert found.choices == {FIRST: 6, SECOND: 2, TIE: 1, BAD: 1}
    # The first text always stood left here: whoever chose it chose left.
    assert found.left.value == 0.75


def test_where_the_verifier_says_nothing_there_is_no_agreement_to_tell():
    (found,) = summaries(answers("ann", [FIRST, SECOND], preferred=""))
    assert found.verifier is None
    assert found.wins.value == 0.5
    assert summaries([]) == []
