"""Short checks of a backend before it is trusted with days of work; it is refused with the reason when one fails."""

import re
from collections.abc import Iterator

from mixpo.errors import UserError
from mixpo.records import Dropped
from mixpo.responses.backend import Backend, Completion, Request, SamplingParams

QUESTION = "What does the picture show? Answer in one sentence."
NEAR = 0.1
"""Nats by which the log-probability of the same tokens may differ (half precision, another order of sums)."""
ANSWER = 32
"""Tokens in which texts must show a difference that log-probabilities would show at once."""
LONG_ANSWER = 64
"""Tokens in which a model that does not stop begins another turn."""
NEW_TURN = re.compile(
    r"<\|(im_start|im_end|eot_id|end|endoftext)\|>|<(start|end)_of_turn>|</s>|^\s*(user|assistant|model)\s*$",
    re.MULTILINE,
)
"""What stands in a text when its model went on after the end of its turn."""


def check(backend: Backend, *, logps: bool = True, prefixes: bool = True) -> None:
    """Raises UserError when the model does not see its images, does not stop or does not go on from a prefix.

    `logps`: whether the backend gives log-probabilities, which tell more than texts; `prefixes`: whether it is
    asked to continue one.
    """
    sees_images(backend, logps=logps)
    stops(backend)
    if prefixes:
        continues_prefixes(backend, logps=logps)


def sees_images(backend: Backend, *, logps: bool = True) -> None:
    """Different images with the same text must not all give the same answer with the same log-probability."""
    answers = set()
    for request in _requests():
        completion = _complete(backend, request, 4 if logps else ANSWER, logps=logps)
        answers.add((completion.text, completion.logp))
        if len(answers) > 1:
            return
    raise UserError(
        "the model gives the same answer for a black and a striped picture, so it does not see images; "
        "check that the checkpoint's processor and chat template put the image into the prompt"
    )


def stops(backend: Backend) -> None:
    """An answer must not go on into another turn."""
    completion = _complete(backend, next(_requests()), LONG_ANSWER)
    if found := NEW_TURN.search(completion.text):
        raise UserError(
            f"the model goes on after its answer (with {found[0].strip()!r}), so its end-of-turn token does not stop "
            "it; check eos_token_id in its generation_config.json"
        )


def continues_prefixes(backend: Backend, *, logps: bool = True) -> None:
    """What the model writes after the first part of its own greedy answer must be the rest of that answer.

    With log-probabilities: log p(two tokens) must be log p(the first) + log p(the second, given the first as prefix).
    """
    request = next(_requests())
    whole = _complete(backend, request, 2 if logps else ANSWER, logps=logps)
    if logps:
        first = _complete(backend, request, 1, logps=True)
        kept = first.token_ids
    else:
        kept = whole.token_ids[: len(whole.token_ids) // 2]
    if not kept or whole.completion_tokens < 2:
        return
    prefixed = Request(id=request.id, prompt=QUESTION, images=request.images, prefix_token_ids=kept)
    rest = _complete(backend, prefixed, 1 if logps else ANSWER - len(kept), logps=logps)
    if logps:
        same = abs(_logp(whole) - _logp(first) - _logp(rest)) <= NEAR
    else:
        # Both are cut at a number of tokens that need not be the same number of characters.
        same = rest.text.startswith(whole.text) or whole.text.startswith(rest.text)
    if not same:
        raise UserError("the model does not go on where a prefix ends (it opens a new turn); DropoutNTP needs that")


def draws(backend: Backend, *, top_k: bool) -> None:
    """At a high temperature answers must differ, and with top-k 1 they must not: parameters are heeded, not ignored."""
    request = next(_requests())

    def texts(top_k: int, tokens: int) -> set[str]:
        params = SamplingParams(temperature=2.0, top_k=top_k, max_new_tokens=tokens)
        asked = Request(id=request.id, prompt=QUESTION, images=request.images, samples=(0, 1, 2, 3))
        return {completion.text for completion in _completions(backend, asked, params)}

    if len(texts(0, ANSWER)) == 1:
        raise UserError(
            "the model gives the same answer every time at temperature 2: sampling is off where it is served"
        )
    if top_k and len(texts(1, 4)) > 1:
        raise UserError("the server ignores top_k; set top_k: 0 to sample from all tokens")


def _requests() -> Iterator[Request]:
    """One question about pictures: black, striped, and others for models that tell little of what they see."""
    from PIL import Image

    black = Image.new("RGB", (64, 64))
    striped = black.copy()
    for column in range(0, 64, 16):
        striped.paste((255, 64, 0), (column, 0, column + 8, 64))
    pictures = {"black": black, "striped": striped}
    for colour in ("white", "blue"):
        pictures[colour] = Image.new("RGB", (64, 64), colour)
    for name, image in pictures.items():
        yield Request(id=f"canary-{name}", prompt=QUESTION, images=(image,))


def _complete(backend: Backend, request: Request, tokens: int, *, logps: bool = False) -> Completion:
    (completion,) = _completions(backend, request, SamplingParams(temperature=0, max_new_tokens=tokens, logps=logps))
    return completion


def _completions(backend: Backend, request: Request, params: SamplingParams) -> Iterator[Completion]:
    for completion in backend.complete([request], params):
        if isinstance(completion, Dropped):
            what = "continue the first words of an answer" if request.prefix_token_ids else "answer a short question"
            raise UserError(f"the model cannot {what} about a picture: {completion.detail}")
        yield completion


def agree(one: Backend, other: Backend, near: float) -> bool:
    """Whether two ways to decode give each of a mixed batch's completions the same log-probability."""
    requests = _requests()
    black, striped = next(requests), next(requests)
    both = [
        Request(id="a", prompt=QUESTION, images=black.images, samples=(0, 1)),
        Request(id="b", prompt=f"{QUESTION} {QUESTION}", images=striped.images, samples=(0, 1)),
    ]
    params = SamplingParams(temperature=0, max_new_tokens=6, logps=True)
    logps = [
        {(c.request_id, c.sample): _logp(c) for c in backend.complete(both, params) if isinstance(c, Completion)}
        for backend in (one, other)
    ]
    return all(abs(logps[0][key] - logps[1][key]) <= near for key in logps[0])


def _logp(completion: Completion) -> float:
    assert completion.logp is not None, "asked for"
    return completion.logp
