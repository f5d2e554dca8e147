import random
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixpo.config import build
from mixpo.errors import RecipeError
from mixpo.pairs.correctness import PairLimits, correctness_pairs, spread
from mixpo.records import (
    Dropped,
    DropReason,
    FinishReason,
    Origin,
    Outcome,
    PreferencePair,
    Question,
    Response,
    Verdict,
)

QUESTION = Question(id="q", text="How many?", answer="3")


def judge(rows):
    """(outcome, text, prompt) -> responses with their verdicts."""
    judged = []
    for sample, (outcome, text, prompt) in enumerate(rows):
        response = Response(
            id=f"q/{sample}", question_id="q", sample=sample, text=text, prompt=prompt, finish_reason=FinishReason.STOP
        )
        judged.append((response, Verdict(id=response.id, question_id="q", outcome=outcome)))
    return judged


def split(records):
    records = list(records)
    return [r for r in records if isinstance(r, PreferencePair)], [r for r in records if isinstance(r, Dropped)]


def make(question, judged, **limits):
    seed = limits.pop("seed", 0)
    return split(correctness_pairs(question, judged, PairLimits(**limits), seed))


def reasons(dropped):
    return {record.reason: record.count for record in dropped}


def cut(one):
    response, verdict = one
    return replace(response, finish_reason=FinishReason.LENGTH), verdict


def test_a_right_response_that_the_limit_cut_is_not_chosen(question, judged):
    """It gave its answer and went on: chosen and scored with an end token, it would teach to end anywhere."""
    first, *others = judged("ccii")
    pairs, dropped = make(question(), [cut(first), *others])
    assert {pair.chosen_id for pair in pairs} == {"q/1"}
    assert len(pairs) == 2
    assert reasons(dropped) == {DropReason.TRUNCATED: 1}
    pairs, dropped = make(question(), [cut(first), *others[1:]])
    assert not pairs
    assert reasons(dropped) == {DropReason.TRUNCATED: 1, DropReason.NONE_CORRECT: 1}


def test_of_two_that_say_the_same_the_one_that_ended_is_kept(question, judged):
    first, *others = judged("cci", texts=["the same", "the same", "other"])
    pairs, dropped = make(question(), [cut(first), *others])
    assert [pair.id for pair in pairs] == ["q/1>2"]
    assert reasons(dropped) == {DropReason.SAME_TEXT: 1}


def test_tokens_are_carried_only_where_the_text_does_not_say_them(question, judged):
    (right, verdict), *others = judged("ci")
    right = replace(right, token_ids=(5, 6))
    ((pair,), _) = make(question(), [(right, verdict), *others])
    assert (pair.chosen_token_ids, pair.rejected_token_ids) == ((), ())
    ((pair,), _) = make(question(), [(replace(right, canonical=False), verdict), *others])
    assert (pair.chosen_token_ids, pair.rejected_token_ids) == ((5, 6), ())


def test_right_is_preferred_to_wrong_and_format_failures_are_kept_apart(question, judged):
    pairs, dropped = make(question(), judged("ciut?"))
    assert {(pair.id, pair.origin) for pair in pairs} == {
        ("q/0>1", Origin.CORRECTNESS), ("q/0>2", Origin.FORMAT), ("q/0>3", Origin.FORMAT),
    }  # fmt: skip
    assert not dropped
    pair = next(pair for pair in pairs if pair.id == "q/0>2")
    assert pair == PreferencePair(
        id="q/0>2", question_id="q", prompt="How many? Think.", chosen="text 0", rejected="text 2",
        origin=Origin.FORMAT, images=("scenes/1.png",), chosen_id="q/0", rejected_id="q/2",
    )  # fmt: skip


def test_a_completion_that_the_limit_cut_is_marked(question, judged):
    """Its end-of-turn token was never written: training must not score one."""
    pairs = [pair for pair in correctness_pairs(question(), judged("ciut"), PairLimits(), seed=0) if pair.chosen_id]
    ended = {pair.rejected_id: pair.rejected_ended for pair in pairs}
    assert ended == {"q/1": True, "q/2": True, "q/3": False}


@pytest.mark.parametrize(
    ("outcomes", "reason"),
    [
        ("ccc", DropReason.ALL_CORRECT),
        ("cc?", DropReason.ALL_CORRECT),
        ("iut", DropReason.NONE_CORRECT),
        ("i?", DropReason.NONE_CORRECT),
        ("???", DropReason.UNDECIDED),
        ("", DropReason.UNDECIDED),
    ],
)
def test_a_question_without_pairs_says_why(question, judged, outcomes, reason):
    pairs, dropped = make(question(), judged(outcomes))
    assert not pairs
    assert [(record.id, record.step, record.reason, record.count) for record in dropped] == [("q", "pair", reason, 1)]


def test_a_question_without_ground_truth_gives_no_pairs(question, judged):
    pairs, dropped = make(question(answer=None), judged("ci"))
    assert not pairs
    assert reasons(dropped) == {DropReason.NO_GROUND_TRUTH: 1}


def test_the_cap_counts_what_it_leaves_out(question, judged):
    """4 correct and 8 wrong: 32 possible pairs, 15 taken; 17 are left out. Chosen 4, 4, 4, 3 times; rejected 2 or 1."""
    pairs, dropped = make(question(), judged("cccc" + "i" * 8))
    assert len(pairs) == 15
    assert reasons(dropped) == {DropReason.OVER_CAP: 17}
    assert sorted(Counter(pair.chosen_id for pair in pairs).values()) == [3, 4, 4, 4]
    assert sorted(Counter(pair.rejected_id for pair in pairs).values()) == [1, 2, 2, 2, 2, 2, 2, 2]


def test_correctness_pairs_come_before_format_pairs(question, judged):
    """2 x 3 correctness pairs leave room for 9 of the 2 x 10 format pairs: 11 are left out."""
    pairs, dropped = make(question(), judged("cc" + "iii" + "u" * 10))
    assert Counter(pair.origin for pair in pairs) == {Origin.CORRECTNESS: 6, Origin.FORMAT: 9}
    assert reasons(dropped) == {DropReason.OVER_CAP: 11}
    assert sorted(Counter(pair.chosen_id for pair in pairs).values()) == [7, 8], "evenly over both origins"


def test_the_share_of_format_pairs(question, judged):
    """A fifth of 15 is 3: 17 of 20 are left out. Without format pairs nothing is: there were none to make."""
    pairs, dropped = make(question(), judged("cc" + "u" * 10), max_format_share=0.2)
    assert (len(pairs), reasons(dropped)) == (3, {DropReason.OVER_CAP: 17})
    pairs, dropped = make(question(), judged("cc" + "u" * 10), format_pairs=False)
    assert (pairs, reasons(dropped)) == ([], {DropReason.ALL_CORRECT: 1})


def test_a_text_counts_once(question, judged):
    """Three say "a" and two say "b" (white space aside): one pair, three repeats."""
    pairs, dropped = make(question(), judged("cccii", texts=["a", "a\n", "a", "b", " b"]))
    assert [(pair.id, pair.chosen, pair.rejected) for pair in pairs] == [("q/0>3", "a", "b")]
    assert reasons(dropped) == {DropReason.SAME_TEXT: 3}


def test_a_text_judged_both_ways_is_never_paired_with_itself(question, judged):
    pairs, dropped = make(question(), judged("ct", texts=["a", "a"]))
    assert not pairs
    assert reasons(dropped) == {DropReason.SAME_TEXT: 1, DropReason.ALL_CORRECT: 1}


def test_a_response_without_text_is_left_out(question, judged):
    pairs, dropped = make(question(), judged("ciu", texts=["a", "b", " \n"]))
    assert [pair.id for pair in pairs] == ["q/0>1"]
    assert reasons(dropped) == {DropReason.EMPTY: 1}


def test_responses_to_different_prompts_never_meet(question, judged):
    pairs, dropped = make(question(), judged("cici", prompts=["P", "P", "Q", "Q"]))
    assert {(pair.id, pair.prompt) for pair in pairs} == {("q/0>1", "P"), ("q/2>3", "Q")}
    pairs, dropped = make(question(), judged("ci", prompts=["P", "Q"]))
    assert (pairs, reasons(dropped)) == ([], {DropReason.ALL_CORRECT: 1})


def test_the_seed_and_the_question_decide_which_meet(question, judged):
    many = judged("c" * 10 + "i" * 10)
    chosen = {seed: {pair.id for pair in make(question(), many, seed=seed)[0]} for seed in (0, 1)}
    assert chosen[0] != chosen[1]
    assert chosen[0] == {pair.id for pair in make(question(), many, seed=0)[0]}
    other = {pair.id.replace("p/", "q/") for pair in make(question("p"), judged("c" * 10 + "i" * 10, "p"), seed=0)[0]}
    assert other != chosen[0]


@pytest.mark.parametrize("values", [{"max_pairs": 0}, {"max_format_share": 1.5}, {"max_format_share": -0.1}])
def test_senseless_limits_are_refused(values):
    with pytest.raises(RecipeError):
        build(PairLimits, values, "steps.pair")


@given(n=st.integers(1, 12), m=st.integers(1, 12))
def test_spread_gives_every_pair_once_and_every_beginning_is_even(n, m):
    chosen, rejected = list(range(n)), list(range(m))
    pairs = list(spread(chosen, rejected))
    assert sorted(pairs) == [(c, r) for c in chosen for r in rejected]
    uses_c, uses_r = Counter(dict.fromkeys(chosen, 0)), Counter(dict.fromkeys(rejected, 0))
    for c, r in pairs:
        uses_c[c] += 1
        uses_r[r] += 1
        assert max(uses_c.values()) - min(uses_c.values()) <= 1
        assert max(uses_r.values()) - min(uses_r.values()) <= 1


ROWS = st.lists(
    st.tuples(
        st.sampled_from(list(Outcome)), st.sampled_from(["", " ", *"abcdefghij", "a ", "b\n"]), st.sampled_from("PPPQ")
    ),
    max_size=40,
)


@given(rows=ROWS, order=st.randoms(use_true_random=False), max_pairs=st.integers(1, 20), share=st.floats(0, 1))
def test_any_question(rows, order, max_pairs, share):
    judged = judge(rows)
    limits = PairLimits(max_pairs=max_pairs, max_format_share=share)
    records = list(correctness_pairs(QUESTION, judged, limits, 7))
    shuffled = judged.copy()
    order.shuffle(shuffled)
    assert list(correctness_pairs(QUESTION, shuffled, limits, 7)) == records, "independent of the records' order"

    pairs, dropped = split(records)
    outcomes = {response.id: verdict.outcome for response, verdict in judged}
    prompts = {response.id: response.prompt for response, _ in judged}
    assert len(pairs) <= max_pairs
    assert len({pair.id for pair in pairs}) == len(pairs)
    assert len({(pair.prompt, pair.chosen.strip(), pair.rejected.strip()) for pair in pairs}) == len(pairs)
    for pair in pairs:
        assert pair.chosen.strip() != pair.rejected.strip()
        assert pair.rejected.strip()
        assert outcomes[pair.chosen_id] is Outcome.CORRECT
        wanted = {Origin.CORRECTNESS: {Outcome.INCORRECT}, Origin.FORMAT: {Outcome.UNPARSED, Outcome.TRUNCATED}}
        assert outcomes[pair.rejected_id] in wanted[pair.origin]
        assert prompts[pair.chosen_id] == prompts[pair.rejected_id] == pair.prompt
    assert sum(pair.origin is Origin.FORMAT for pair in pairs) <= round(share * max_pairs)
    if not pairs:
        assert len([record for record in dropped if record.reason not in (DropReason.EMPTY, DropReason.SAME_TEXT)]) == 1


@given(right=st.integers(1, 20), wrong=st.integers(0, 20), malformed=st.integers(0, 20), seed=st.integers(0, 3))
def test_every_pair_is_made_or_counted_and_uses_are_even(right, wrong, malformed, seed):
    letters = [Outcome.CORRECT] * right + [Outcome.INCORRECT] * wrong + [Outcome.UNPARSED] * malformed
    random.Random(seed).shuffle(letters)
    judged = judge([(outcome, f"text {number}", "P") for number, outcome in enumerate(letters)])
    pairs, dropped = make(QUESTION, judged, seed=seed)
    assert len(pairs) + reasons(dropped).get(DropReason.OVER_CAP, 0) == right * (wrong + malformed)
    assert len(pairs) == min(15, right * (wrong + malformed))
    for side, number in (("chosen_id", right), ("rejected_id", None)):
        for origin in Origin:
            uses = Counter(getattr(pair, side) for pair in pairs if pair.origin is origin)
            assert not uses or max(uses.values()) - min(uses.values()) <= 1
        if number and pairs:
            uses = Counter(getattr(pair, side) for pair in pairs)
            unused = number > len(uses)
            assert max(uses.values()) - (0 if unused else min(uses.values())) <= 1
