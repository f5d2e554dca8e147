"""Peak resident memory of a training step, mixpo beside TRL, and over many steps.

    python benchmarks/memory.py [--pairs 1 4] [--flat 10000]       (TRL takes 15 GiB at 4 pairs)

Each figure is a process of its own: three optimizer steps on pairs of MMPR's shape, the process's largest resident
set. `--flat N` trains the small base model on N pairs and prints the resident set along the way.
"""

import argparse
import json
import multiprocessing
import resource
import tempfile
from pathlib import Path
from typing import Any


def peak(kind: str, pairs: int, folder: str) -> dict[str, float]:
    """GiB before training (libraries, the model) and at most."""
    import torch

    from mmpr_shaped import make_model, make_processor, make_rows
    from train_step import ours, prepare, settings, step, trls

    torch.set_num_threads(2)
    processor = make_processor()
    model, rows = make_model(processor), make_rows(questions=1, pairs=pairs)
    before = resident()
    if kind == "trl":
        trainer = trls(folder, rows, pairs, model, processor)
    else:
        trainer = ours(folder, rows, pairs, model, processor, **settings(kind, folder))
    prepare(trainer)
    for _ in range(3):
        step(trainer, rows)
    return {"before": before, "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20}


def resident() -> float:
    """GiB of this process now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**30


def flat(count: int, folder: str) -> list[dict[str, float]]:
    """Resident memory while the base model trains on `count` pairs."""
    import torch
    from PIL import Image
    from transformers import TrainerCallback

    from mixpo.files import BASE_MODEL
    from mixpo.models.load import load_model, load_processor
    from mixpo.training.config import MPOConfig
    from mixpo.training.trainer import MPOTrainer

    torch.set_num_threads(2)
    lines: list[dict[str, float]] = []

    class Watch(TrainerCallback):
        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            if state.global_step % max(state.max_steps // 20, 1) == 0:
                lines.append({"pairs": state.global_step * 32, "gib": round(resident(), 3)})

    class Rows(torch.utils.data.Dataset):
        def __len__(self) -> int:
            return count

        def __getitem__(self, index: int) -> dict[str, Any]:
            words = [f"{index % (number + 7)}" for number in range(10 + index % 40)]
            return {
                "images": [Image.new("RGB", (64, 64), (index % 256, index // 256 % 256, 0))],
                "prompt": [{"role": "user", "content": "How many?"}],
                "chosen": " ".join(words), "rejected": " ".join(reversed(words)),
            }  # fmt: skip

    args = MPOConfig(
        output_dir=folder, per_device_train_batch_size=16, gradient_accumulation_steps=2, use_cpu=True,
        report_to="none", disable_tqdm=True, save_strategy="no", logging_strategy="no", layout="shared",
    )  # fmt: skip
    MPOTrainer(
        load_model(str(BASE_MODEL)), args=args, train_dataset=Rows(), processing_class=load_processor(str(BASE_MODEL)),
        callbacks=[Watch()],
    ).train()  # fmt: skip
    return lines


def in_a_process(function: Any, *given: Any) -> Any:
    with multiprocessing.get_context("spawn").Pool(1) as pool, tempfile.TemporaryDirectory() as folder:
        return pool.apply(function, (*given, folder))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, nargs="*", default=[1, 4], help="pairs a question")
    parser.add_argument("--flat", type=int, default=0, help="pairs to train the base model on")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "memory.json")
    given = parser.parse_args()
    from train_step import KINDS

    # What was measured before of other things stays.
    results: dict[str, Any] = json.loads(given.out.read_text()) if given.out.exists() else {}
    for pairs in given.pairs:
        found = {kind: in_a_process(peak, kind, pairs) for kind in (*KINDS, "trl")}
        found["share_of_trl"] = {kind: found[kind]["peak"] / found["trl"]["peak"] for kind in KINDS}
        results[f"pairs_{pairs}"] = found
        print(json.dumps({f"pairs_{pairs}": found}, indent=1), flush=True)
    if given.flat:
        results["flat"] = in_a_process(flat, given.flat)
        print(json.dumps(results["flat"]))
    given.out.parent.mkdir(exist_ok=True)
    given.out.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
