"""Which section's output a section reads."""


def trained_by(model: str) -> str | None:
    """The section whose result a recipe's `model` means (`step:<section>`); None for a model from elsewhere."""
    return model.removeprefix("step:") if model.startswith("step:") else None
