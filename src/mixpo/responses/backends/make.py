"""A backend by name; its module, and the library behind it, is imported here and only then."""

from dataclasses import dataclass
from enum import StrEnum

from mixpo.responses.backend import Backend


class BackendName(StrEnum):
    """What completes prompts."""

    TRANSFORMERS = "transformers"
    """Embedded: any image-text-to-text checkpoint that transformers loads."""
    SCRIPTED = "scripted"
    """Answers read from a file; for tests and for responses written elsewhere."""


@dataclass(frozen=True, kw_only=True)
class BackendConfig:
    """Which backend, and what it may use."""

    name: BackendName = BackendName.TRANSFORMERS
    token_budget: int = 65_536
    """transformers: tokens whose keys and values are kept at once, over all rows; bounds the memory."""
    device: str = "auto"
    """transformers: "cpu", "cuda", "cuda:1" …; "auto": the accelerator if there is one."""
    dtype: str = "auto"
    """transformers: "float32", "bfloat16", "float16"; "auto": float32 on CPU, else the checkpoint's own."""
    canaries: bool = True
    """transformers: check at start that images are seen, prefixes continued and end-of-turn tokens stop."""
    script: str = ""
    """scripted: path of a JSON-lines file with `id` (of the request), `sample` and `text`."""

    def __post_init__(self) -> None:
        if self.token_budget < 1:
            raise ValueError("token_budget must be at least 1")
        if self.name == BackendName.SCRIPTED and not self.script:
            raise ValueError("the scripted backend needs `script`, the path of a JSON-lines file")


def make_backend(config: BackendConfig, model: str) -> Backend:
    """The backend serving `model` (a folder or hub name). Raises UserError when it cannot serve."""
    if config.name == BackendName.SCRIPTED:
        from mixpo.responses.backends.scripted import ScriptedBackend

        return ScriptedBackend.load(config.script)
    from mixpo.responses.backends.transformers import TransformersBackend

    return TransformersBackend.load(model, config)
