"""What `mixpo plan` predicts beside what was measured: seconds of a step, and memory above the libraries' own.

python benchmarks/plan.py        after train_step.py and memory.py, whose results it reads
"""

import json
from pathlib import Path

from mixpo.models.shape import shape_of
from mixpo.plan.cost import step_flops
from mixpo.plan.machines import CPU_EFFICIENCY
from mixpo.training.activations import FLOAT
from mixpo.training.memory import Setup, device_bytes
from mmpr_shaped import make_model, make_processor, make_rows, prompt_of

RESULTS = Path(__file__).parent / "results"


def main() -> None:
    processor = make_processor()
    shape = shape_of(make_model(processor))
    weights = FLOAT * shape.parameters / 2**30
    memory = json.loads((RESULTS / "memory.json").read_text())
    for found in json.loads((RESULTS / "train_step.json").read_text())["runs"]:
        pairs = found["pairs"]
        prompt = prompt_of(processor, make_rows(questions=1, pairs=pairs))
        for kind, live in (("mixpo", True), ("mixpo_cached", False)):
            setup = Setup(cpu=True, reference="live" if live else "none")
            resident = memory[f"pairs_{pairs}"][kind]
            # `before` has the libraries and the model's weights, which the plan counts.
            measured = {
                "s": found["medians"][kind],
                "GiB": resident["peak"] - resident["before"] + weights,
            }
            planned = {
                "s": step_flops(shape, [prompt], live) / (found["gflops"]["onednn"] * 1e9 * CPU_EFFICIENCY),
                "GiB": device_bytes(shape, [prompt], setup).total / 2**30,
            }
            for unit, value in planned.items():
                off = value / measured[unit] - 1
                print(f"{kind}, {pairs} pairs: {value:.2f} {unit} planned, {measured[unit]:.2f} measured, {off:+.0%}")


if __name__ == "__main__":
    main()
