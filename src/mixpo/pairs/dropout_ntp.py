"""DropoutNTP pairs: a response is preferred to its first part continued without the image.

For questions that have no ground truth (arXiv 2411.10442, section 3.2): what the model adds when it
cannot see is more often made up.
"""

from mixpo.pairs.correctness import STEP, sampled_tokens
from mixpo.records import Continuation, Dropped, DropReason, FinishReason, Origin, PreferencePair, Question, Response


def dropout_pair(question: Question, response: Response, continuation: Continuation) -> PreferencePair | Dropped:
    """Chosen the response's text, rejected the kept part with its continuation; or why there is no pair."""
    reason, detail = None, ""
    if not question.images:
        reason, detail = DropReason.NO_IMAGE, "the question has no picture: nothing was left out of the continuation"
    elif not response.text.strip() or not continuation.text.strip():
        reason, detail = DropReason.EMPTY, "the response or its continuation has no text"
    elif response.text.strip() == continuation.text.strip():
        reason, detail = DropReason.SAME_TEXT, "the continuation says the same as the response"
    elif response.finish_reason is FinishReason.LENGTH:
        reason, detail = DropReason.TRUNCATED, "the response was cut by the token limit: no text to prefer"
    if reason:
        return Dropped(id=continuation.id, step=STEP, reason=reason, detail=detail)
    return PreferencePair(
        id=f"{response.id}>{continuation.id.removeprefix(response.id + '/')}",
        question_id=question.id,
        prompt=response.prompt,
        chosen=response.text,
        rejected=continuation.text,
        origin=Origin.DROPOUT_NTP,
        images=question.images,
        videos=question.videos,
        system=response.system,
        turns=question.turns,
        chosen_id=response.id,
        rejected_id=continuation.id,
        rejected_ended=continuation.finish_reason is FinishReason.STOP,
        chosen_token_ids=sampled_tokens(response),
        rejected_token_ids=continuation.token_ids,
    )
