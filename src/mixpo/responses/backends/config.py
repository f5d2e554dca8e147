"""What a backend is told: which one, and what it may use."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import ClassVar, Literal

from mixpo.responses.backends.server.openai_server import ServerConfig
from mixpo.responses.backends.vllm import VLLMConfig


class BackendName(StrEnum):
    """What completes prompts."""

    TRANSFORMERS = "transformers"
    """Embedded: any image-text-to-text checkpoint that transformers loads."""
    VLLM = "vllm"
    """Embedded: vLLM's engine in this process."""
    OPENAI_SERVER = "openai_server"
    """Any OpenAI-compatible server: vLLM, SGLang, LMDeploy, `transformers serve`, commercial ones."""
    SCRIPTED = "scripted"
    """Answers read from a file; for tests and for responses written elsewhere."""


@dataclass(frozen=True, kw_only=True)
class BackendConfig:
    """Which backend, and what it may use."""

    RUNTIME: ClassVar[tuple[str, ...]] = ("token_budget", "cuda_graphs", "device", "canaries")

    name: BackendName = BackendName.TRANSFORMERS
    """What completes prompts; the fields below say which of them they are for."""
    token_budget: int | Literal["auto"] = "auto"
    """transformers: tokens whose keys and values are kept at once, over all rows; bounds the memory. "auto": what a
    GPU has room for beside the weights; 65,536 on a CPU."""
    cuda_graphs: bool = True
    """transformers: on a GPU, record decode steps as CUDA graphs; a model that cannot have them does without."""
    device: str = "auto"
    """transformers: "cpu", "cuda", "cuda:1" …; "auto": the accelerator if there is one."""
    dtype: str = "auto"
    """transformers, vllm: "float32", "bfloat16", "float16"; "auto": float32 on CPU, else the checkpoint's own."""
    canaries: bool = True
    """All but scripted: check at start that images are seen, answers end, prefixes are continued."""
    script: str = ""
    """scripted: path of a JSON-lines file with `id` (of the request), `sample` and `text`."""
    server: ServerConfig | None = None
    """openai_server: where it is and how it is asked; at least `base_url`."""
    vllm: VLLMConfig = field(default_factory=VLLMConfig)
    """vllm: how the engine is set up."""

    def __post_init__(self) -> None:
        if self.token_budget != "auto" and self.token_budget < 1:
            raise ValueError("token_budget must be at least 1")
        if self.name == BackendName.SCRIPTED and not self.script:
            raise ValueError("the scripted backend needs `script`, the path of a JSON-lines file")
        if self.name == BackendName.OPENAI_SERVER and self.server is None:
            raise ValueError("the openai_server backend needs `server: {base_url: http://host:port/v1}`")

    @property
    def redoes_blocks(self) -> bool:
        """Whether an unfinished block of work is done again as a whole, so that batches, and with them the rounding
        of logits, are those of an uninterrupted run; a server's answers are not worth that: they are paid for."""
        return self.name != BackendName.OPENAI_SERVER
