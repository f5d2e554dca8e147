"""A model's output embedding, and what the model makes of its logits afterwards."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from mixpo.errors import UserError

SHRINK = 2.0**-32
"""Log-probabilities that pass through a model's softcap are made so small that tanh leaves them as they are: at 1e5
nats, a cap of 2 changes them by 1e-10 of their value. A power of two loses no bit."""
PROBE = (2.0**-20, 1.0, -3.0, 40.0, 1e30)


@dataclass(frozen=True)
class Head:
    """Logits are cap tanh(scale z / cap), with z what `module` gives; scale z without a cap."""

    module: nn.Module
    scale: float = 1.0
    softcap: float | None = None

    def logits(self, raw: Tensor) -> Tensor:
        """The model's logits from the module's output."""
        scaled = raw if self.scale == 1.0 else raw * self.scale
        return scaled if self.softcap is None else self.softcap * torch.tanh(scaled / self.softcap)

    @property
    def passing(self) -> float:
        """Factor under which values in place of the module's output pass the model's softcap unharmed."""
        return 1.0 if self.softcap is None else SHRINK

    def passed(self, values: Tensor) -> Tensor:
        """Values that were multiplied by `passing`, as the model gave them back."""
        factor = self.scale * self.passing
        return values if factor == 1.0 else values / factor

    @contextmanager
    def replaced(self, forward: Callable[[Tensor], Tensor]) -> Iterator[None]:
        """While the model runs, `forward` stands in for the module."""
        plain = self.module.forward
        self.module.forward = forward
        try:
            yield
        finally:
            # Not deleted: peft and accelerate may have set a forward of their own on the module.
            self.module.forward = plain


def output_head(model: Any) -> Head:
    """The head of a model that generates text. Raises UserError when it has none, or changes logits in another way.

    Where the config says that logits are scaled or capped (Gemma 2, PaliGemma, Granite, Cohere), the model is asked
    what it does: it gets known values in place of logits. Some divide where others multiply by a field of the same
    name, and some ignore it.
    """
    module = model.get_output_embeddings()
    if module is None:
        raise UserError(
            f"{type(model).__name__} has no output embeddings; only models that generate text can be trained"
        )
    changes = {
        name: value
        for config in (model.config, model.config.get_text_config())
        for name, value in config.to_dict().items()
        if "logit" in name and isinstance(value, int | float) and value not in (0, 1)
    }
    return _measured(model, Head(module), ", ".join(changes)) if changes else Head(module)


@torch.no_grad()
def _measured(model: Any, head: Head, fields: str) -> Head:
    """The head with the scale and the softcap that the model applies."""
    probe = torch.tensor(PROBE, dtype=torch.float64, device=model.device)
    with head.replaced(lambda _: probe):
        given = model(input_ids=torch.zeros(1, 1, dtype=torch.long, device=model.device), use_cache=False).logits
    scale, bound = (given[0] / probe[0]).item(), given[-1].item()
    found = Head(head.module, scale, None if abs(bound) > 1e20 else bound)
    if not torch.allclose(found.logits(probe), given.to(probe), rtol=1e-5):
        raise UserError(
            f"{type(model).__name__} changes its logits ({fields}) in a way that scoring does not know; "
            "choose another model"
        )
    return found
