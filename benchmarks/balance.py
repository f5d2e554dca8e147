"""What adaptive sampling saves: tokens for the same pairs, on drawn scenes with the base model that ships with mixpo.

    python benchmarks/balance.py [--questions 200] [--n 32] [--round 8]

The same questions are sampled twice, n responses each and with `stop_when_balanced`; both are judged and paired with
the paper's cap of 15 pairs a question. A sample is the same in both runs, and 4 x 4 responses give 16 pairs, so the
number of pairs is the same and only the tokens differ. Counts, not times: any machine will do, in any state.
"""

import argparse
import json
import math
import tempfile
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path

import yaml

from mixpo.files import RunFiles
from mixpo.pipeline import run_recipe
from mixpo.recipe import load_recipe

RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True)
class Counted:
    """What one way of sampling took and gave."""

    responses: int
    written: int
    """Tokens that the model wrote."""
    read: int
    """Prompt tokens that it read: once a round."""
    pairs: int
    paired: int
    """Questions that gave pairs."""


def counted(files: RunFiles, n: int, size: int) -> Counted:
    """`size`: responses drawn in a round."""
    drawn: Counter[str] = Counter()
    prompts: dict[str, int] = {}
    written = 0
    for response in files.responses("sample"):
        drawn[response.question_id] += 1
        prompts[response.question_id] = response.prompt_tokens
        written += response.completion_tokens
    read = sum(prompts[question] * math.ceil(count / size) for question, count in drawn.items())
    pairs = [pair.question_id for pair in files.pairs("pair")]
    assert all(count <= n for count in drawn.values())
    return Counted(drawn.total(), written, read, len(pairs), len(set(pairs)))


def run(root: Path, options: argparse.Namespace, adaptive: bool) -> Counted:
    balance = {"correct": 4, "incorrect": 4, "round": options.round}
    recipe = {
        "run": str(root / ("adaptive" if adaptive else "all")),
        "steps": {
            "questions": {"sources": {"scenes": {"loader": "scenes", "split": "train", "count": options.questions}}},
            "sample": {
                "n": options.n, "style": "cot", "temperature": 1.0, "max_new_tokens": 220,
                "stop_when_balanced": balance if adaptive else None,
            },
            "verify": {},
            "pair": {"format_pairs": False},
        },
    }  # fmt: skip
    path = root / "recipe.yaml"
    path.write_text(yaml.safe_dump(recipe, sort_keys=False))
    return counted(run_recipe(load_recipe(path)), options.n, options.round if adaptive else options.n)


def main() -> None:
    """Prints both counts and writes them to benchmarks/results/balance.json."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--questions", type=int, default=200)
    parser.add_argument("--n", type=int, default=32)
    parser.add_argument("--round", type=int, default=8)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        ways = {name: run(Path(folder), options, name == "adaptive") for name in ("all", "adaptive")}
    print(f"{'':10}{'responses':>10}{'written':>10}{'read':>10}{'pairs':>8}{'questions with pairs':>22}")
    for name, way in ways.items():
        print(f"{name:10}{way.responses:>10,}{way.written:>10,}{way.read:>10,}{way.pairs:>8,}{way.paired:>22,}")
    saved = 1 - ways["adaptive"].written / ways["all"].written
    print(f"{100 * saved:.1f} % of the written tokens saved, {ways['adaptive'].pairs - ways['all'].pairs:+} pairs")
    RESULTS.mkdir(exist_ok=True)
    result = {**vars(options), "saved": saved, **{name: asdict(way) for name, way in ways.items()}}
    (RESULTS / "balance.json").write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
