"""What every step that lets a model write may be told: which model, how tokens are drawn, by which backend."""

from dataclasses import dataclass, field

from mixpo.model_inputs import ModelInputs
from mixpo.references import Model, Questions
from mixpo.responses.backend import SamplingParams
from mixpo.responses.backends.config import BackendConfig


@dataclass(frozen=True, kw_only=True)
class SamplingConfig(ModelInputs):
    """The fields that `sample` and `dropout` share. Temperature is the paper's, top-k common practice."""

    model: Model = "base"
    """`base`, `step:<section>`, a folder or a hub name."""
    seed: int = 0
    """Seed of the draws: with the question's id and the sample's number it fixes a response."""
    questions: Questions = "questions"
    """The questions section to read."""
    temperature: float = 0.7
    """0: the most probable token every time."""
    top_k: int = 50
    """Only the k most probable tokens; 0: all."""
    top_p: float = 1.0
    """Only the smallest set of tokens with this probability mass; 1: all."""
    max_new_tokens: int = 512
    """Longest completion in tokens; one that reaches it ends with `finish_reason` length."""
    backend: BackendConfig = field(default_factory=BackendConfig)
    """What runs the model, and how."""
    block: int = 1024
    """Records that are committed together: what a killed run does again at most."""

    def __post_init__(self) -> None:
        if self.block < 1:
            raise ValueError("block must be at least 1")
        self.sampling()

    def sampling(self, *, logps: bool = False) -> SamplingParams:
        """The part that the backend sees. Raises ValueError for what no backend can do."""
        return SamplingParams(
            temperature=self.temperature,
            top_k=self.top_k,
            top_p=self.top_p,
            max_new_tokens=self.max_new_tokens,
            seed=self.seed,
            logps=logps,
        )
