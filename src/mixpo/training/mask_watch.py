"""Which tokens a model lets see which, read off the masks that its layers get."""

from typing import Any

import torch
from torch import Tensor, nn

from mixpo.models.attention import decoder


class MaskWatch:
    """Within it, whether any layer of the language model is told to let a token see a later one.

    It looks at the masks, not at what comes of them: with small weights, that an image's tokens see each other
    (Gemma 3), or a prompt's (PaliGemma), changes log-probabilities by less than rounding does.
    """

    def __init__(self, model: Any):
        self.causal = True
        self._model = model
        self._seen: list[Any] = []

    def __enter__(self) -> "MaskWatch":
        modules = decoder(self._model).modules()
        self._handles = [module.register_forward_pre_hook(self._look, with_kwargs=True) for module in modules]
        return self

    def __exit__(self, *_: Any) -> None:
        for handle in self._handles:
            handle.remove()
        self._seen.clear()

    def _look(self, module: nn.Module, _given: Any, named: dict[str, Any]) -> None:
        mask = named.get("attention_mask")
        if mask is None:
            told = named.get("is_causal")
            self.causal &= bool(getattr(module, "is_causal", True) if told is None else told)
        elif not any(mask is one for one in self._seen):
            self._seen.append(mask)
            self.causal &= not shows_later_tokens(mask)


def shows_later_tokens(mask: Any) -> bool:
    """Whether a mask of four dimensions lets a token see a later one; others say only which tokens are padding."""
    if isinstance(mask, Tensor):
        if mask.dim() != 4 or mask.shape[-1] != mask.shape[-2]:
            return False
        sees = mask > torch.finfo(mask.dtype).min / 2 if mask.is_floating_point() else mask.bool()
        return bool(sees.triu(1).any())
    if not hasattr(mask, "mask_mod"):
        return False
    rows, _, tokens, _ = mask.shape
    places = torch.arange(max(rows, tokens), device=mask.kv_num_blocks.device)
    given = places[:rows, None, None], places[:1], places[:tokens, None], places[None, :tokens]
    return bool(mask.mask_mod(*given).expand(rows, tokens, tokens).triu(1).any())
