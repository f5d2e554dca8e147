"""Visual tokens that can be read: a tower and a projector learn without the language model being run.

What a description says is taken as what the picture's visual tokens spell, by connectionist temporal classification
(Graves et al., ICML 2006): each visual token comes near the embedding that the language model has for one of the words,
or near the placeholder's own, the blank. To the language model a picture is then much like its description, and an
example costs what the tower costs.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import ctc_loss
from torch.nn.utils.rnn import pad_sequence
from transformers.modeling_outputs import BaseModelOutputWithPast

from mixpo.batches.layout import Batch
from mixpo.errors import UserError
from mixpo.left_out import counted
from mixpo.models.head import Head
from mixpo.training.scoring import passed_through, plain

COMMON = 0.5
"""A token that stands in a larger share of the descriptions says nothing about a picture (full stops, "is"): it is not
read off."""
SHARPNESS = 30.0
"""Nats between the probabilities of two words, at the embedding of one of them, where the two are as far apart as half
of all pairs are at most."""


def pictures_apart(model: str) -> str:
    return f"read: to {model} pictures are no tokens of the prompt; train it without `read`"


class Speller:
    """Scores descriptions by what the visual tokens of their pictures spell."""

    def __init__(self, descriptions: Iterable[Sequence[int]], picture: int):
        """`descriptions`: the token ids of each; `picture`: the token that stands for a part of a picture."""
        said = [set(ids) for ids in descriptions]
        found = Counter(token for tokens in said for token in tokens)
        self.words = [picture, *sorted(token for token, times in found.items() if times <= COMMON * len(said))]
        """The blank, then the tokens that are read."""
        self._read = set(self.words[1:])
        if len(self.words) == 1:
            raise UserError(
                f"read: of {counted(len(said), 'description')} each word stands in more than half, and none tells a "
                "picture from another; describe more pictures, each by what is there"
            )

    def tokens_needed(self, completion: Sequence[int]) -> int:
        """Fewest visual tokens that spell a description: one for each word read, a blank between two of the same."""
        read = [token for token in completion if token in self._read]
        return len(read) + sum(one == next_one for one, next_one in pairwise(read))

    def __call__(self, model: nn.Module, batch: Batch, head: Head) -> Tensor:
        """(C,) float32: log-probability that the visual tokens of each row of a paired batch spell its completion.

        Raises UserError where a picture has too few of them, or there is none.
        """

        def logps(hidden: Tensor) -> Tensor:
            words = torch.tensor(self.words, device=hidden.device)
            with torch.no_grad():
                known = plain(model).get_input_embeddings()(words).float()
            return self.spelled(known, hidden.float(), batch)

        with decoder_passed(plain(model)):
            found = passed_through(model, batch, head, logps)
        if torch.isinf(found).any():
            raise UserError(
                "read: a description has more words than its picture has visual tokens; describe less "
                "(max_completion_length drops long ones), or show larger pictures (images.max_tiles)"
            )
        return found

    def spelled(self, known: Tensor, hidden: Tensor, batch: Batch) -> Tensor:
        """As the call, from the words' embeddings (K, width) and what the language model is given, (R, T, width)."""
        typical = torch.pdist(known).square().median()
        ours = batch.inputs["input_ids"] == self.words[0]
        frames = pad_sequence(list(hidden[ours].split(ours.sum(1).tolist())))
        # -|h - e|^2 / typical, but for |h|^2, which is the same for all words
        logits = (frames @ known.T - known.square().sum(1) / 2) * (2 * SHARPNESS / typical)
        read, labels = (batch.targets[:, None] == torch.tensor(self.words, device=hidden.device)).long().max(1)
        read = read.bool()
        lengths = torch.bincount(batch.segments[read], minlength=len(batch.lengths))
        return -ctc_loss(logits.log_softmax(-1), labels[read], ours.sum(1), lengths, reduction="none")


@contextmanager
def decoder_passed(model: Any) -> Iterator[None]:
    """While the model runs, its language model gives back the embeddings that it is given, pictures' among them."""
    decoder = model.get_decoder()
    before = decoder.forward

    def forward(*_: Any, inputs_embeds: Tensor, **__: Any) -> BaseModelOutputWithPast:
        return BaseModelOutputWithPast(last_hidden_state=inputs_embeds)

    decoder.forward = forward
    try:
        yield
    finally:
        decoder.forward = before
