"""Rows in progress: which response each belongs to, what it has written, when it ends."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mixpo.records import FinishReason
from mixpo.responses.backend import Request
from mixpo.responses.backends.embedded.draw import noise_key
from mixpo.responses.backends.embedded.prefill import Prefilled


@dataclass(frozen=True, slots=True)
class Written:
    """The tokens of one finished row, end-of-turn excluded."""

    request: Request
    sample: int
    token_ids: tuple[int, ...]
    finish_reason: FinishReason
    prompt_tokens: int
    logp: float | None


@dataclass(frozen=True, slots=True)
class StoppingCriteria:
    """When a row ends."""

    end_ids: Tensor
    """Tokens that end a turn, (number of them,)."""
    max_new_tokens: int
    context: int
    """Longest prompt and completion together that the model takes."""

    def of(self, prompt_tokens: int) -> int:
        """Tokens that may follow a prompt."""
        return min(self.max_new_tokens, self.context - prompt_tokens)


TENSORS = ("keys", "counts", "limits", "positions", "logps", "tokens", "finished")


@dataclass(slots=True)
class DecodingRows:
    """What is known of each row in progress: one tensor per property, first dimension the rows."""

    owners: list[tuple[Request, int, int]]
    """(request, sample, prompt tokens)"""
    keys: Tensor
    """Noise keys, (rows,)."""
    counts: Tensor
    """Tokens written so far, (rows,)."""
    limits: Tensor
    """Tokens that may be written, (rows,)."""
    positions: Tensor
    """Rotary position of the newest token, (rows, axes)."""
    logps: Tensor
    """Summed log-probabilities of what was written, (rows,)."""
    tokens: Tensor
    """What was written, (rows, most tokens + 1); behind a row's count nothing that matters."""
    finished: Tensor
    """Which rows have ended: from then on they take part in steps and stay as they are, (rows,)."""

    def __len__(self) -> int:
        return len(self.owners)

    def newest(self) -> Tensor:
        """The last token of each row, (rows, 1)."""
        return self.tokens.gather(1, self.counts[:, None] - 1)

    def write(self, tokens: Tensor, end_ids: Tensor) -> None:
        """Adds a token to each row that has not finished."""
        self.tokens.scatter_(1, self.counts[:, None], tokens[:, None])
        self.counts += ~self.finished
        # Not `torch.isin`: for few rows that sorts, and the host waits for the device.
        self.finished |= (tokens[:, None] == end_ids).any(-1) | (self.counts >= self.limits)

    def progress(self) -> tuple[Tensor, Tensor]:
        """`finished` and `counts`, fetched to the host at once."""
        finished, counts = torch.stack([self.finished.long(), self.counts]).cpu()
        return finished.bool(), counts

    def join(self, other: "DecodingRows") -> "DecodingRows":
        """These rows, then the others."""
        tensors = {name: torch.cat([getattr(self, name), getattr(other, name)]) for name in TENSORS}
        return DecodingRows(owners=self.owners + other.owners, **tensors)

    def select(self, order: Tensor) -> "DecodingRows":
        """The rows numbered in `order`, which is on the host, in that order."""
        index = order.to(self.counts.device, non_blocking=True)
        tensors = {name: getattr(self, name)[index] for name in TENSORS}
        return DecodingRows(owners=[self.owners[number] for number in order.tolist()], **tensors)

    def written(self, end_ids: Tensor, with_logp: bool) -> Iterator[Written]:
        """What the rows hold, all of them finished."""
        ends = set(end_ids.tolist())
        rows = zip(self.owners, self.tokens.tolist(), self.counts.tolist(), self.logps.tolist(), strict=True)
        for (request, sample, prompt_tokens), tokens, count, logp in rows:
            stops = tokens[count - 1] in ends
            yield Written(
                request=request,
                sample=sample,
                token_ids=tuple(tokens[: count - 1 if stops else count]),
                finish_reason=FinishReason.STOP if stops else FinishReason.LENGTH,
                prompt_tokens=prompt_tokens,
                logp=logp if with_logp else None,
            )


def begin(
    prefilled: Prefilled, samples: Sequence[tuple[int, int]], limits: StoppingCriteria, seed: int
) -> DecodingRows:
    """New rows for (prompt, sample) pairs of a prefilled batch, nothing written yet."""
    device = prefilled.logits.device
    lengths = prefilled.lengths.tolist()
    owners = [(prefilled.requests[prompt], sample, lengths[prompt]) for prompt, sample in samples]
    keys = [noise_key(seed, request.id, sample) for request, sample, _ in owners]
    most = [limits.of(length) for _, _, length in owners]
    known = torch.tensor([keys, most, [prompt for prompt, _ in samples]]).to(device, non_blocking=True)
    return DecodingRows(
        owners=owners,
        keys=known[0],
        counts=torch.zeros(len(samples), dtype=torch.long, device=device),
        limits=known[1],
        positions=prefilled.positions[known[2]],
        logps=torch.zeros(len(samples), device=device),
        # One column more, for what rows write that have finished.
        tokens=torch.zeros((len(samples), limits.max_new_tokens + 1), dtype=torch.long, device=device),
        finished=torch.zeros(len(samples), dtype=torch.bool, device=device),
    )
