"""`mixpo quickstart`: the recipe that ships with mixpo, from the small base model to a report."""

from pathlib import Path

from mixpo.output import tell
from mixpo.pipeline import run_recipe
from mixpo.recipe import load_recipe

RECIPE = Path(__file__).parent / "recipes" / "quickstart.yaml"
SHORT = (
    "questions.sources.scenes.count=300",
    "questions.sources.pictures.count=40",
    "evaluate.benchmarks.scenes.count=120",
    "evaluate.benchmarks.longer.count=30",
)
"""What `--short` changes: every step runs, on fewer questions."""


def quickstart(*, short: bool, seed: int, out: Path | None) -> None:
    """Runs the recipe; interrupted at any moment, the same command goes on where it stopped."""
    folder = out or Path("runs") / ("quickstart-short" if short else "quickstart")
    files = run_recipe(load_recipe(RECIPE, [f"seed={seed}", *(SHORT if short else ()), f"run={folder}"]))
    tell(f"report: {files.report} (open it in a browser; `mixpo view {files.root}` shows every record)")
