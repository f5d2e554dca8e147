"""Pairs a second of mixpo's MPOTrainer and of TRL's DPOTrainer: same pairs, same model, in turns in one process.

    python benchmarks/train_step.py [--pairs 1 4] [--repeats 5] [--cores 2]

One repetition is one optimizer step: collating (images included), forward, backward, AdamW. Also printed: the loss and
the largest difference of gradients with TRL's variants of the losses (no reward shift, token mean), and what share of
the machine's own float32 matrix product the step reaches, counting only necessary operations.
"""

import argparse
import copy
import gc
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

from mixpo.training.config import MPOConfig
from mixpo.training.cost import Prompt, shape_of, step_flops
from mixpo.training.trainer import MPOTrainer
from mmpr_shaped import make_model, make_processor, make_rows

COMMON = {
    "use_cpu": True, "report_to": "none", "disable_tqdm": True, "save_strategy": "no", "learning_rate": 1e-6,
    "gradient_accumulation_steps": 1, "max_grad_norm": 0, "optim": "adamw_torch_fused",
}  # fmt: skip


def ours(folder: str, rows: list, pairs: int, model: Any, processor: Any, **given: Any) -> MPOTrainer:
    # TRL's variants of the losses, so that both do the same arithmetic.
    args = MPOConfig(
        output_dir=folder, per_device_train_batch_size=pairs, reward_shift="none", generation="sft_token_mean",
        layout="shared", **COMMON, **given,
    )  # fmt: skip
    return MPOTrainer(model, args, train_dataset=rows, processing_class=processor)


def trls(folder: str, rows: list, pairs: int, model: Any, processor: Any) -> Any:
    from datasets import Dataset
    from trl import DPOConfig, DPOTrainer

    args = DPOConfig(
        output_dir=folder, per_device_train_batch_size=pairs, loss_type=["sigmoid", "bco_pair", "sft"],
        loss_weights=[0.8, 0.2, 1.0], beta=0.1, max_length=None, gradient_checkpointing=False, bf16=False, **COMMON,
    )  # fmt: skip
    data = Dataset.from_list([{key: value for key, value in row.items() if key != "question_id"} for row in rows[:1]])
    return DPOTrainer(model, ref_model=copy.deepcopy(model), args=args, train_dataset=data, processing_class=processor)


def prepare(trainer: Any) -> None:
    trainer.create_optimizer()
    trainer.state.max_steps = 1_000_000
    trainer.current_gradient_accumulation_steps = 1
    trainer.model.train()
    trainer.accelerator.gradient_state._set_sync_gradients(True)


def step(trainer: Any, rows: list[dict], update: bool = True) -> float:
    """The loss of one optimizer step on the rows."""
    inputs = trainer.data_collator([dict(row) for row in rows])
    if isinstance(trainer, MPOTrainer):
        batches, count = trainer.get_batch_samples(iter([inputs]), 1, trainer.args.device)
        loss = trainer.training_step(trainer.model, batches[0], count)
    else:
        loss = trainer.training_step(trainer.model, inputs)
    if update:
        trainer.optimizer.step()
        trainer.model.zero_grad()
    return loss.item()


def agreement(left: Any, right: Any, rows: list[dict]) -> dict[str, float]:
    """Relative differences of loss and gradients on the same rows, weights and reference."""
    losses, gradients = [], []
    for trainer in (left, right):
        losses.append(step(trainer, rows, update=False))
        gradients.append([parameter.grad.clone() for parameter in trainer.model.parameters()])
        trainer.model.zero_grad()
    scale = max(gradient.abs().max().item() for gradient in gradients[1])
    worst = max((one - other).abs().max().item() for one, other in zip(*gradients, strict=True)) / scale
    return {
        "loss": losses[0],
        "loss_trl": losses[1],
        "loss_difference": abs(losses[0] - losses[1]) / abs(losses[1]),
        "gradient_difference": worst,
    }


def matmul_flops(size: int = 2048, repeats: int = 7) -> float:
    """The machine's float32 matrix product, FLOP/s: the median of several."""
    left, right = torch.randn(size, size), torch.randn(size, size)
    seconds = []
    for _ in range(repeats):
        begin = time.perf_counter()
        left @ right
        seconds.append(time.perf_counter() - begin)
    return 2 * size**3 / statistics.median(seconds)


def necessary_flops(model: Any, questions: int, pairs: int, reference: bool) -> float:
    """FLOPs of a step when each image, prompt and completion is computed once (`mixpo.training.cost`)."""
    prompt = Prompt(
        tokens=1024 + 60 + 10, completions=(301, 351) * pairs, images=(1025,) * 4, image_tokens=1024
    )  # a tile: 1,024 patches and a class token
    return step_flops(shape_of(model), [prompt] * questions, reference)


def measure(pairs: int, repeats: int, folder: str) -> dict[str, Any]:
    processor = make_processor()
    rows = make_rows(questions=1, pairs=pairs)
    model = make_model(processor)
    trainers = {
        "mixpo": ours(f"{folder}/ours", rows, pairs, copy.deepcopy(model), processor),
        "mixpo_cached": ours(
            f"{folder}/cached", rows, pairs, copy.deepcopy(model), processor, reference_cache=f"{folder}/ref{pairs}"
        ),
        "trl": trls(f"{folder}/trl", rows, pairs, model, processor),
    }
    for trainer in trainers.values():
        prepare(trainer)
    found: dict[str, Any] = {"pairs": pairs, **agreement(trainers["mixpo"], trainers["trl"], rows)}
    seconds: dict[str, list[float]] = {name: [] for name in trainers}
    peak = []
    for repeat in range(repeats + 1):
        for name, trainer in trainers.items():
            gc.collect()
            begin = time.perf_counter()
            step(trainer, rows)
            if repeat:  # the first is to warm up
                seconds[name].append(time.perf_counter() - begin)
        peak.append(matmul_flops())
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    found |= {
        "seconds": seconds,
        "pairs_per_second": {name: pairs / value for name, value in medians.items()},
        "times_trl": {name: medians["trl"] / value for name, value in medians.items() if name != "trl"},
        "matmul_gflops": statistics.median(peak) / 1e9,
    }
    for name, reference in (("mixpo", True), ("mixpo_cached", False)):
        reached = necessary_flops(model, 1, pairs, reference) / medians[name]
        found[f"share_of_matmul_{name}"] = reached / statistics.median(peak)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, nargs="+", default=[1, 4], help="pairs a question")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "train_step.json")
    given = parser.parse_args()
    torch.set_num_threads(given.cores)
    results = []
    for pairs in given.pairs:
        with tempfile.TemporaryDirectory() as folder:
            results.append(measure(pairs, given.repeats, folder))
        print(json.dumps(results[-1], indent=1))
        gc.collect()
    given.out.parent.mkdir(exist_ok=True)
    given.out.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
