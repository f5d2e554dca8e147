"""FLOPs of a training step, from a model's shape and the lengths of its data.

Only what is necessary is counted: each prompt, image and distinct completion once, logits for completion tokens, no
padding; computed again only where whole layers are (gradient checkpointing). A multiply-add is 2 FLOPs; norms,
activations and softmax are left out (Kaplan et al. 2020, arXiv 2001.08361, section 2.1).
"""

from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass

from mixpo.models.shape import Prompt, Shape

BACKWARD = 2
"""The backward pass takes two products where the forward pass takes one: for the inputs, and for the weights."""


@dataclass(frozen=True)
class Flops:
    """Of one forward pass, by part."""

    vision: int = 0
    language: int = 0
    """All matrices of the language model but the head."""
    attention: int = 0
    """Of the language model; the vision tower's is in `vision`."""
    head: int = 0

    @property
    def forward(self) -> int:
        return sum(astuple(self))

    def __add__(self, other: "Flops") -> "Flops":
        return Flops(*(mine + theirs for mine, theirs in zip(astuple(self), astuple(other), strict=True)))


def forward_flops(shape: Shape, prompts: Iterable[Prompt]) -> Flops:
    """A forward pass over shared-prefix rows: completions attend to their prompt and themselves."""
    total = Flops()
    for prompt in prompts:
        vision = sum(shape.vision.flops(tile, tile**2) for tile in prompt.images)
        total += Flops(
            vision=vision + 2 * shape.projector * prompt.image_tokens,
            language=shape.language.flops(prompt.length, 0),
            attention=shape.language.flops(0, visible(prompt)),
            head=2 * shape.hidden * shape.vocabulary * sum(prompt.completions),
        )
    return total


def visible(prompt: Prompt) -> int:
    """Summed over the tokens of a prompt and its completions, how many tokens each attends to."""
    own = sum(length * (length + 1) // 2 for length in prompt.completions)
    return prompt.tokens * (prompt.tokens + 1) // 2 + prompt.tokens * sum(prompt.completions) + own


def step_flops(
    shape: Shape, prompts: Sequence[Prompt], live_reference: bool, backward: int = BACKWARD, checkpointed: bool = False
) -> int:
    """Forward and backward of the policy, and the forward of a reference that is not cached.

    `checkpointed`: the layers' forward pass, without the head's, is done again.
    """
    once = forward_flops(shape, prompts)
    return once.forward * (1 + backward + live_reference) + (once.forward - once.head) * checkpointed
