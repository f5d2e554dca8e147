"""Short checks of a backend before it is trusted with days of work; it is refused with the reason when one fails."""

from collections.abc import Iterator

from mixpo.errors import UserError
from mixpo.records import Dropped
from mixpo.responses.backend import Backend, Completion, Request, SamplingParams

QUESTION = "What does the picture show? Answer in one sentence."
NEAR = 0.1
"""Nats by which the log-probability of the same tokens may differ (half precision, another order of sums)."""


def check(backend: Backend) -> None:
    """Raises UserError when the model does not see its images or does not go on from a prefix."""
    sees_images(backend)
    continues_prefixes(backend)


def sees_images(backend: Backend) -> None:
    """Two images with the same text must not give the same answer with the same log-probability."""
    first, second = (_complete(backend, request, 4) for request in _requests())
    if (first.token_ids, first.logp) == (second.token_ids, second.logp):
        raise UserError(
            "the model gives the same probabilities for a black and a striped picture, so it does not see images; "
            "check that the checkpoint's processor and chat template put the image into the prompt"
        )


def continues_prefixes(backend: Backend) -> None:
    """log p(two tokens) must be log p(the first) + log p(the second, given the first as prefix)."""
    request = next(_requests())
    both, first = _complete(backend, request, 2), _complete(backend, request, 1)
    if not first.token_ids or both.completion_tokens < 2:
        return
    prefixed = Request(id=request.id, prompt=QUESTION, images=request.images, prefix_token_ids=first.token_ids)
    second = _complete(backend, prefixed, 1)
    if abs(_logp(both) - _logp(first) - _logp(second)) > NEAR:
        raise UserError("the model does not go on where a prefix ends (it opens a new turn); DropoutNTP needs that")


def _requests() -> Iterator[Request]:
    from PIL import Image

    black = Image.new("RGB", (64, 64))
    striped = black.copy()
    for column in range(0, 64, 16):
        striped.paste((255, 64, 0), (column, 0, column + 8, 64))
    for name, image in (("black", black), ("striped", striped)):
        yield Request(id=f"canary-{name}", prompt=QUESTION, images=(image,))


def _complete(backend: Backend, request: Request, tokens: int) -> Completion:
    params = SamplingParams(temperature=0, max_new_tokens=tokens, logps=True)
    (completion,) = backend.complete([request], params)
    if isinstance(completion, Dropped):
        raise UserError(f"the model cannot take a short question about a picture: {completion.detail}")
    return completion


def agree(one: Backend, other: Backend, near: float) -> bool:
    """Whether two ways to decode give each of a mixed batch's completions the same log-probability."""
    black, striped = _requests()
    requests = [
        Request(id="a", prompt=QUESTION, images=black.images, samples=(0, 1)),
        Request(id="b", prompt=f"{QUESTION} {QUESTION}", images=striped.images, samples=(0, 1)),
    ]
    params = SamplingParams(temperature=0, max_new_tokens=6, logps=True)
    logps = [
        {(c.request_id, c.sample): _logp(c) for c in backend.complete(requests, params) if isinstance(c, Completion)}
        for backend in (one, other)
    ]
    return all(abs(logps[0][key] - logps[1][key]) <= near for key in logps[0])


def _logp(completion: Completion) -> float:
    assert completion.logp is not None, "asked for"
    return completion.logp
