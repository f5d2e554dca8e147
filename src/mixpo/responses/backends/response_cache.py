"""In front of a backend whose answers are paid for: samples that lie on disk already are not asked for again."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from queue import SimpleQueue

from mixpo.records import Dropped, Response
from mixpo.responses.backend import Backend, Completion, Request, SamplingParams


class Remembered:
    """Answers from `responses` where they hold the sample, else from `backend`."""

    def __init__(self, backend: Backend, responses: Iterable[Response]):
        self.backend = backend
        self.known = {(response.question_id, response.sample): response for response in responses}

    def complete(self, requests: Iterable[Request], params: SamplingParams) -> Iterator[Completion | Dropped]:
        """Known samples as soon as their request comes, the others as they finish."""
        found: SimpleQueue[Completion] = SimpleQueue()

        def unknown() -> Iterator[Request]:
            for request in requests:
                keys = [(request.id, sample) for sample in request.samples]
                for key in keys:
                    if key in self.known:
                        found.put(completion_of(self.known[key]))
                missing = tuple(sample for id, sample in keys if (id, sample) not in self.known)
                if missing:
                    yield replace(request, samples=missing)

        for completion in self.backend.complete(unknown(), params):
            while not found.empty():
                yield found.get()
            yield completion
        while not found.empty():
            yield found.get()

    def decode(self, token_ids: Sequence[int]) -> str:
        """As the backend says it."""
        return self.backend.decode(token_ids)


def completion_of(response: Response) -> Completion:
    """What a response was made of."""
    return Completion(
        request_id=response.question_id,
        sample=response.sample,
        text=response.text,
        token_ids=response.token_ids,
        finish_reason=response.finish_reason,
        prompt_tokens=response.prompt_tokens,
        completion_tokens=response.completion_tokens,
        logp=response.logp,
        thought_open=response.thought_open,
        canonical=response.canonical,
    )
