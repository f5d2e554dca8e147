from dataclasses import replace

import pytest

from mixpo.pairs.dropout_ntp import dropout_pair
from mixpo.records import Continuation, DropReason, FinishReason, Origin, PreferencePair, Question, Response

QUESTION = Question(id="q", text="Describe the picture.", images=("scenes/1.png",))


def records(text="A red circle.", continued="A red square.", finish_reason=FinishReason.STOP):
    response = Response(
        id="q/3", question_id="q", sample=3, text=text, finish_reason=finish_reason, prompt="Describe the picture."
    )
    continuation = Continuation(
        id="q/3/half", question_id="q", response_id="q/3", ratio=0.5, with_image=False, kept="A red", text=continued,
        finish_reason=FinishReason.STOP, kept_tokens=2, completion_tokens=3,
    )  # fmt: skip
    return response, continuation


def test_the_response_is_preferred_to_its_continuation_without_the_image():
    assert dropout_pair(QUESTION, *records()) == PreferencePair(
        id="q/3>half", question_id="q", prompt="Describe the picture.",
        chosen="A red circle.", rejected="A red square.",
        origin=Origin.DROPOUT_NTP, images=("scenes/1.png",), chosen_id="q/3", rejected_id="q/3/half",
    )  # fmt: skip


def test_tokens_are_carried_only_where_the_texts_do_not_say_them():
    response, continuation = records()
    response, continuation = replace(response, token_ids=(5, 6)), replace(continuation, token_ids=(5, 7, 8))
    pair = dropout_pair(QUESTION, response, continuation)
    assert (pair.chosen_token_ids, pair.rejected_token_ids) == ((), (5, 7, 8))
    assert dropout_pair(QUESTION, replace(response, canonical=False), continuation).chosen_token_ids == (5, 6)


def test_a_question_without_a_picture_gives_no_pair():
    dropped = dropout_pair(replace(QUESTION, images=()), *records())
    assert (dropped.id, dropped.reason) == ("q/3/half", DropReason.NO_IMAGE)


@pytest.mark.parametrize("reason", [FinishReason.STOP, FinishReason.LENGTH])
def test_a_continuation_that_the_limit_cut_did_not_end(reason):
    """No end-of-turn token is scored for it: that would teach the model not to stop."""
    response, continuation = records()
    pair = dropout_pair(QUESTION, response, replace(continuation, finish_reason=reason))
    assert pair.rejected_ended == (reason is FinishReason.STOP)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"continued": "A red circle. \n"}, DropReason.SAME_TEXT),
        ({"continued": " "}, DropReason.EMPTY),
        ({"text": ""}, DropReason.EMPTY),
        ({"finish_reason": FinishReason.LENGTH}, DropReason.TRUNCATED),
    ],
)
def test_what_gives_no_pair_says_why(changes, reason):
    dropped = dropout_pair(QUESTION, *records(**changes))
    assert (dropped.id, dropped.step, dropped.reason) == ("q/3/half", "pair", reason)
