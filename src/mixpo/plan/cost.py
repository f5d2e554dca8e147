"""FLOPs and bytes of a training step, from a model's shape and the lengths of its data.

Only what is necessary is counted: each prompt, image and distinct completion once, logits for completion tokens, no
padding, nothing computed again (gradient checkpointing, a head's second pass). A multiply-add is 2 FLOPs; norms,
activations and softmax are left out (Kaplan et al. 2020, arXiv 2001.08361, section 2.1).
"""

from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass
from typing import Any

from torch import Tensor, nn

from mixpo.training.recompute import SHORT

BACKWARD = 2
"""The backward pass takes two products where the forward pass takes one: for the inputs, and for the weights."""
FLOAT = 4
"""Bytes of a float32 number."""


@dataclass(frozen=True, kw_only=True)
class Transformer:
    """A stack of layers."""

    layers: int
    width: int
    """Heads times the width of a head: what attention's two products run over."""
    weights: int
    """In the matrices that every token passes; embeddings, norms and biases do not count."""
    kept: int
    """Numbers that the backward pass needs of each token: the inputs and outputs of the matrices."""
    kept_lean: int
    """What of them is kept if the rest is computed again (`training.recompute`)."""

    def bytes_kept(self, tokens: int, recompute: bool) -> int:
        """For the backward pass; computed again, it is all there for one layer at a time."""
        numbers = self.kept_lean + self.kept // self.layers if recompute else self.kept
        return FLOAT * numbers * tokens

    def flops(self, tokens: int, visible: int) -> int:
        """Of a forward pass; `visible` sums, over the tokens, how many tokens each attends to."""
        return 2 * self.weights * tokens + 4 * self.width * visible * self.layers


@dataclass(frozen=True, kw_only=True)
class Shape:
    """What the cost of a vision-language model depends on."""

    language: Transformer
    vision: Transformer
    projector: int
    """Weights in the matrices between the two, which every image token of the prompt passes."""
    hidden: int
    """Width of the hidden states that the output embedding turns into logits."""
    vocabulary: int
    parameters: int
    trainable: int
    patch: int
    """Numbers of an image that one token of the vision tower is made of (3 colours x 14 x 14 pixels)."""


@dataclass(frozen=True, kw_only=True)
class Prompt:
    """Lengths of a prompt with its distinct completions."""

    tokens: int
    """Image tokens included."""
    completions: tuple[int, ...]
    images: tuple[int, ...] = ()
    """Tokens of the vision tower, for each tile (or image, where a tower takes whole images)."""
    image_tokens: int = 0
    """Of the prompt's tokens, those that stand for images."""

    @property
    def length(self) -> int:
        return self.tokens + sum(self.completions)


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


def paired(prompts: Iterable[Prompt]) -> list[Prompt]:
    """The same in rows of one completion each; the vision tower still sees each prompt's images once."""
    return [
        Prompt(tokens=prompt.tokens, completions=(length,), images=prompt.images if first else (),
               image_tokens=prompt.image_tokens if first else 0)
        for prompt in prompts
        for first, length in zip([True, *[False] * (len(prompt.completions) - 1)], prompt.completions, strict=True)
    ]  # fmt: skip


def step_flops(shape: Shape, prompts: Sequence[Prompt], live_reference: bool) -> int:
    """Forward and backward of the policy, and the forward of a reference that is not cached."""
    return forward_flops(shape, prompts).forward * (1 + BACKWARD + live_reference)


def step_bytes(
    shape: Shape, prompts: Sequence[Prompt], copy: bool, recompute: bool, chunk: int = 1024, devices: int = 1
) -> int:
    """Memory of one device in training with AdamW in float32; `prompts` are those of its micro-batch.

    Weights, and for trained ones gradient and two moments, divided by `devices` that share them (FSDP, ZeRO-3); a
    reference's whole copy; what the backward pass keeps; one chunk of the head's logits and their gradient.
    """
    state = FLOAT * (shape.parameters + 3 * shape.trainable) // devices
    tokens = sum(prompt.length for prompt in prompts)
    patches = sum(sum(prompt.images) for prompt in prompts)
    kept = shape.language.bytes_kept(tokens, recompute) + shape.vision.bytes_kept(patches, recompute)
    scored = sum(sum(prompt.completions) for prompt in prompts)
    logits = 2 * FLOAT * min(scored, chunk) * shape.vocabulary
    return state + FLOAT * shape.parameters * copy + kept + logits


def shape_of(model: Any) -> Shape:
    """Read off a transformers model; one on the meta device will do.

    Dense models only: of a mixture of experts, experts in fused parameters are not seen.
    """
    decoder, tower = model.get_decoder(), model.get_encoder(modality="image")
    text, vision = model.config.get_text_config(), model.config.vision_config
    head = model.get_output_embeddings()
    width = text.num_attention_heads * (getattr(text, "head_dim", None) or text.hidden_size // text.num_attention_heads)
    within = {id(module) for part in (decoder, tower, head) for module in part.modules()}
    between = [module for module in _matrices(model) if id(module) not in within]
    first = next(module for module in tower.modules() if isinstance(module, nn.Conv2d | nn.Conv3d))
    return Shape(
        language=_stack(decoder, text.num_hidden_layers, width, text.hidden_size),
        vision=_stack(
            tower, getattr(vision, "num_hidden_layers", None) or vision.depth, vision.hidden_size, vision.hidden_size
        ),
        projector=sum(module.weight.numel() for module in between),
        hidden=head.weight.shape[1],
        vocabulary=head.weight.shape[0],
        parameters=sum(parameter.numel() for parameter in model.parameters()),
        trainable=sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad),
        patch=first.weight[0].numel(),
    )


def tower_tokens(image_inputs: dict[str, Tensor], patch: int) -> tuple[int, ...]:
    """Tokens of the vision tower for each tile of a prompt's images, from what the processor made of them."""
    pixels = image_inputs.get("pixel_values")
    if pixels is None:
        return ()
    if pixels.ndim == 2:  # a list of patches, and a grid for each image (Qwen-VL)
        grids = next(value for name, value in image_inputs.items() if "grid" in name)
        return tuple(int(grid.prod()) for grid in grids)
    tile = pixels.shape[-3:].numel()
    return (tile // patch,) * (pixels.numel() // tile)


def _matrices(module: nn.Module) -> list[Any]:
    return [part for part in module.modules() if isinstance(part, nn.Linear | nn.Conv2d | nn.Conv3d)]


def _stack(module: nn.Module, layers: int, width: int, hidden: int) -> Transformer:
    weights = [part.weight for part in _matrices(module)]
    squares = [len(weight) for weight in weights if len(weight) == weight[0].numel() >= SHORT]
    return Transformer(
        layers=layers,
        width=width,
        weights=sum(weight.numel() for weight in weights),
        kept=sum(weight.shape[0] + weight[0].numel() for weight in weights),
        kept_lean=sum(squares) + layers * (hidden + width),  # a layer's input, and what attention made
    )
