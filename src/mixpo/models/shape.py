"""What cost and memory of a vision-language model depend on, read off the model, and the lengths of its prompts."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

SHORT = 256
"""Terms of a sum: a product with fewer takes about as long as reading its result from memory."""
NAMED_POSITIONS = ("pos", "class", "cls", "pre_", "ln_pre")
"""Parameters of a tower that are added before its first layer, or norm it: they make its states their own type."""


@dataclass(frozen=True, kw_only=True)
class Layer:
    """One layer of a stack: what its backward pass keeps follows from it (`mixpo.training.activations`)."""

    hidden: int
    """Width of the states between layers."""
    key_width: int
    """Key heads times the width of a head: less than `Transformer.width` where queries share keys."""
    inner: int
    """Width within the MLP."""
    gated: bool
    """The MLP multiplies two products of its input."""
    readers: int
    """Matrices that read the attention's input: 3, or 1 where queries, keys and values come from one."""
    norms: int
    """Norms of states, and not of queries and keys."""
    rms: bool
    """They are written out in Python (LlamaRMSNorm and its like), which keeps float32 copies."""
    normed_heads: int
    """Numbers of a token's queries and keys that a norm of their own passes."""
    scaled: bool
    """What attention and MLP add is scaled by parameters."""
    parameters: int
    matrices: int

    @property
    def fused(self) -> bool:
        return self.readers == 1


@dataclass(frozen=True, kw_only=True)
class Transformer:
    """A stack of layers."""

    layers: int
    width: int
    """Heads times the width of a head: what attention's two products run over."""
    heads: int
    weights: int
    """In the matrices that every token passes; embeddings, norms and biases do not count."""
    kept: int
    """Numbers of a token that go into and come out of all matrices."""
    kept_lean: int
    """What of them is kept if the rest is computed again (`training.recompute`)."""
    parameters: int
    wide: bool
    """States between layers are of the parameters' type, also where matrices compute in 16 bits (autocast)."""
    layer: Layer

    def flops(self, tokens: int, visible: int) -> int:
        """Of a forward pass; `visible` sums, over the tokens, how many tokens each attends to."""
        return 2 * self.weights * tokens + 4 * self.width * visible * self.layers


@dataclass(frozen=True, kw_only=True)
class Shape:
    """A vision-language model: tower, projector, language model, output embedding."""

    language: Transformer
    vision: Transformer
    projector: int
    """Weights in the matrices between the two, which every image token of the prompt passes."""
    projector_kept: int
    """Numbers that go into and come out of those matrices, for an image token."""
    hidden: int
    """Width of the hidden states that the output embedding turns into logits."""
    vocabulary: int
    tied: bool
    """The output embedding is the input embedding."""
    parameters: int
    patch: int
    """Numbers of an image that one token of the vision tower is made of (3 colours x 14 x 14 pixels)."""

    @property
    def embedding(self) -> int:
        """Parameters of the output embedding."""
        return self.hidden * self.vocabulary

    @property
    def between(self) -> int:
        """Parameters of the projector: what is in neither stack nor in an embedding of its own."""
        head = 0 if self.tied else self.embedding
        return self.parameters - self.language.parameters - self.vision.parameters - head


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


def paired(prompts: Iterable[Prompt]) -> list[Prompt]:
    """The same in rows of one completion each; the vision tower still sees each prompt's images once."""
    return [
        Prompt(tokens=prompt.tokens, completions=(length,), images=prompt.images if first else (),
               image_tokens=prompt.image_tokens if first else 0)
        for prompt in prompts
        for first, length in zip([True, *[False] * (len(prompt.completions) - 1)], prompt.completions, strict=True)
    ]  # fmt: skip


def shape_of(model: Any) -> Shape:
    """Read off a transformers model; one on the meta device will do.

    Dense models only: of a mixture of experts, experts in fused parameters are not seen.
    """
    decoder, tower = model.get_decoder(), model.get_encoder(modality="image")
    text, vision = model.config.get_text_config(), model.config.vision_config
    head = model.get_output_embeddings()
    width = text.num_attention_heads * (getattr(text, "head_dim", None) or text.hidden_size // text.num_attention_heads)
    within = {id(module) for part in (decoder, tower, head) for module in part.modules()}
    between = [module.weight for module in _matrices(model) if id(module) not in within]
    first = next(module for module in tower.modules() if isinstance(module, nn.Conv2d | nn.Conv3d))
    depth = getattr(vision, "num_hidden_layers", None) or vision.depth
    heads = getattr(vision, "num_attention_heads", None) or vision.num_heads
    return Shape(
        language=_stack(decoder, (text.num_hidden_layers, text.num_attention_heads), width, text.hidden_size),
        vision=_stack(tower, (depth, heads), vision.hidden_size, vision.hidden_size),
        projector=sum(weight.numel() for weight in between),
        projector_kept=sum(map(_sides, between)),
        hidden=head.weight.shape[1],
        vocabulary=head.weight.shape[0],
        tied=head.weight is model.get_input_embeddings().weight,
        parameters=_count(model),
        patch=first.weight[0].numel(),
    )


def tower_tokens(image_inputs: dict[str, Tensor], patch: int) -> tuple[int, ...]:
    """Tokens of the vision tower for each tile of a prompt's images, from what the processor made of them."""
    if (filmed := image_inputs.get("video_grid_thw")) is not None:
        rest = {name: value for name, value in image_inputs.items() if "video" not in name}
        # Frames are looked at two by two, and attended to within a pair.
        return *(int(high * wide) for time, high, wide in filmed for _ in range(time)), *tower_tokens(rest, patch)
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


def _sides(weight: Tensor) -> int:
    return weight.shape[0] + weight[0].numel()


def _count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def _stack(module: nn.Module, counts: tuple[int, int], width: int, hidden: int) -> Transformer:
    """`counts`: layers and heads."""
    layers, heads = counts
    weights = [part.weight for part in _matrices(module)]
    squares = [len(weight) for weight in weights if len(weight) == weight[0].numel() >= SHORT]
    stack = next(part for part in module.modules() if isinstance(part, nn.ModuleList) and len(part) == layers)
    inside = {id(parameter) for parameter in stack.parameters()}
    outside = [name for name, parameter in module.named_parameters() if id(parameter) not in inside]
    language = any("embed_tokens" in name for name in outside)
    return Transformer(
        layers=layers,
        width=width,
        heads=heads,
        weights=sum(weight.numel() for weight in weights),
        kept=sum(map(_sides, weights)),
        kept_lean=sum(squares) + layers * (hidden + width),  # a layer's input, and what attention made
        parameters=_count(module),
        wide=language or any(part in name for name in outside for part in NAMED_POSITIONS),
        layer=_layer(stack[0], width, hidden),
    )


def _layer(layer: nn.Module, width: int, hidden: int) -> Layer:
    attention = [child for name, child in layer.named_children() if "att" in name and _matrices(child)]
    within = {id(part) for child in attention for part in child.modules()}
    reading = [part for child in attention for part in _matrices(child) if part.weight.shape[1] == hidden][:3]
    after = [part.weight.shape for part in _matrices(layer) if id(part) not in within]
    inner = after[-1][1] if after else 0
    norms = [part for part in layer.modules() if "Norm" in type(part).__name__ and _count(part)]
    of_heads = [part for part in norms if id(part) in within]
    readers = 1 if reading and len(reading[0].weight) >= 2 * width else 3
    key_width = (len(reading[0].weight) - width) // 2 if readers == 1 else len(reading[1].weight)
    return Layer(
        hidden=hidden,
        key_width=key_width,
        inner=inner,
        gated=sum(shape[0] for shape in after[:-1]) >= 2 * inner > 0,
        readers=readers,
        norms=len(norms) - len(of_heads),
        rms=not any(isinstance(part, nn.LayerNorm | nn.RMSNorm) for part in norms),
        normed_heads=width + key_width if of_heads else 0,
        scaled=bool([*layer.parameters(recurse=False)])
        or any("Scale" in type(part).__name__ for part in layer.modules()),
        parameters=_count(layer),
        matrices=len(_matrices(layer)),
    )
