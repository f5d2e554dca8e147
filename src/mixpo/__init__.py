"""mixpo: Mixed Preference Optimization (arXiv 2411.10442) for vision-language models, end to end."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mixpo.training.config import MPOConfig
    from mixpo.training.trainer import MPOTrainer

__version__ = "0.1.0"
__all__ = ["MPOConfig", "MPOTrainer", "__version__"]
PLACES = {"MPOConfig": "mixpo.training.config", "MPOTrainer": "mixpo.training.trainer"}
"""What is imported when it is asked for: torch and transformers take seconds."""


def __getattr__(name: str) -> Any:
    if name not in PLACES:
        raise AttributeError(f"module 'mixpo' has no attribute {name!r}")
    return getattr(import_module(PLACES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *PLACES})
