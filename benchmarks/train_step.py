"""Pairs a second of mixpo's MPOTrainer and of TRL's DPOTrainer: same pairs, same model, in turns in one run.

    python benchmarks/train_step.py [--pairs 1 4] [--repeats 5] [--cores 2]

One repetition is one optimizer step: collating (images included), forward, backward, AdamW. Each trainer has a process
of its own, as its user would have it: mixpo tells malloc to keep freed memory, for the whole process. What that alone
does for TRL is measured, too, at one pair a question (`trl_kept_memory`). Also printed: the loss and the largest
difference of gradients with TRL's variants of the losses (no reward shift, token mean), and what share of the machine's
own float32 matrix product the step reaches, counting only necessary operations: of `torch.matmul`, and of the faster
one of oneDNN, where the processor has it.
"""

import argparse
import copy
import json
import multiprocessing
import platform
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from mixpo.models.cpu_memory import keep_freed_memory
from mixpo.models.cpu_products import product
from mixpo.models.shape import shape_of
from mixpo.plan.cost import step_flops
from mixpo.training.config import MPOConfig
from mixpo.training.trainer import MPOTrainer
from mmpr_shaped import make_model, make_processor, make_rows, prompt_of

KINDS = ("mixpo", "mixpo_cached", "mixpo_all_kept", "mixpo_cached_all_kept")
COMMON = {
    "use_cpu": True, "report_to": "none", "disable_tqdm": True, "save_strategy": "no", "learning_rate": 1e-6,
    "gradient_accumulation_steps": 1, "max_grad_norm": 0, "optim": "adamw_torch_fused",
}  # fmt: skip


def ours(folder: str, rows: list, pairs: int, model: Any, processor: Any, **given: Any) -> MPOTrainer:
    # TRL's variants of the losses, so that both do the same arithmetic.
    args = MPOConfig(
        output_dir=folder, per_device_train_batch_size=pairs, reward_shift="none", generation="sft_token_mean",
        **{"layout": "shared", **COMMON, **given},
    )  # fmt: skip
    return MPOTrainer(model, args=args, train_dataset=rows, processing_class=processor)


def trls(folder: str, rows: list, pairs: int, model: Any, processor: Any, **given: Any) -> Any:
    from datasets import Dataset
    from trl import DPOConfig, DPOTrainer

    args = DPOConfig(
        output_dir=folder, per_device_train_batch_size=pairs, loss_type=["sigmoid", "bco_pair", "sft"],
        loss_weights=[0.8, 0.2, 1.0], beta=0.1, max_length=None,
        **{"gradient_checkpointing": False, "bf16": False, **COMMON, **given},
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


def settings(kind: str, folder: str) -> dict[str, Any]:
    """What a kind of ours sets: a cached reference; all activations kept instead of the cheap ones computed again."""
    given: dict[str, Any] = {}
    if "cached" in kind:
        given["reference_cache"] = f"{folder}/{kind}-reference"
    if "all_kept" in kind:
        given["recompute"] = "none"
    return given


def work(kind: str, pairs: int, cores: int, folder: str, orders: Any) -> None:
    """A process of its own: makes a trainer, then does one thing for each order and answers."""
    torch.set_num_threads(cores)
    processor = make_processor()
    rows, model = make_rows(questions=1, pairs=pairs), make_model(processor)
    if kind.startswith("trl"):
        trainer = trls(f"{folder}/{kind}", rows, pairs, model, processor)
    else:
        trainer = ours(f"{folder}/{kind}", rows, pairs, model, processor, **settings(kind, folder))
    if kind == "trl_kept_memory":
        keep_freed_memory()
    prepare(trainer)
    orders.send(None)
    while (order := orders.recv()) is not None:
        if order == "step":
            begin = time.perf_counter()
            step(trainer, rows)
            orders.send(time.perf_counter() - begin)
        else:
            loss = step(trainer, rows, update=False)
            torch.save({name: weight.grad for name, weight in trainer.model.named_parameters()}, order)
            trainer.model.zero_grad()
            orders.send(loss)


@contextmanager
def workers(kinds: tuple[str, ...], pairs: int, cores: int, folder: str) -> Iterator[dict[str, Callable[[str], Any]]]:
    """By kind, what gives an order and returns the answer; only the one that works uses the processor."""
    context = multiprocessing.get_context("spawn")
    given, processes = {}, []
    for kind in kinds:
        mine, theirs = context.Pipe()
        process = context.Process(target=work, args=(kind, pairs, cores, folder, theirs), daemon=True)
        process.start()
        theirs.close()
        mine.recv()  # the trainer stands
        given[kind] = mine
        processes.append(process)

    def ask(kind: str, order: str) -> Any:
        given[kind].send(order)
        return given[kind].recv()

    yield {kind: (lambda order, kind=kind: ask(kind, order)) for kind in kinds}
    for pipe in given.values():
        pipe.send(None)
    for process in processes:
        process.join()


def agreement(ask: dict[str, Callable[[str], Any]], folder: str) -> dict[str, float]:
    """Relative differences of loss and gradients on the same rows, weights and reference."""
    losses = {kind: ask[kind](f"{folder}/{kind}.pt") for kind in ("mixpo", "trl")}
    gradients = [torch.load(f"{folder}/{kind}.pt") for kind in losses]
    scale = max(gradient.abs().max().item() for gradient in gradients[1].values())
    worst = max((gradients[0][name] - other).abs().max().item() for name, other in gradients[1].items()) / scale
    return {
        "loss": losses["mixpo"],
        "loss_trl": losses["trl"],
        "loss_difference": abs(losses["mixpo"] - losses["trl"]) / abs(losses["trl"]),
        "gradient_difference": worst,
    }


def gflops(multiply: Callable[[torch.Tensor, torch.Tensor], torch.Tensor], size: int = 2048, repeats: int = 7) -> float:
    """Of a float32 matrix product, GFLOP/s: the median of several."""
    left, right = torch.randn(size, size), torch.randn(size, size)
    seconds = []
    for _ in range(repeats):
        begin = time.perf_counter()
        multiply(left, right)
        seconds.append(time.perf_counter() - begin)
    return 2 * size**3 / statistics.median(seconds) / 1e9


def timed(ask: dict[str, Callable[[str], Any]], repeats: int) -> dict[str, Any]:
    """Seconds of each step, in turns after one that does not count, and the machine's matrix product in between."""
    seconds: dict[str, list[float]] = {kind: [] for kind in ask}
    peak: dict[str, list[float]] = {"matmul": [], "onednn": []}
    for repeat in range(repeats + 1):
        for kind, order in ask.items():
            taken = order("step")
            if repeat:
                seconds[kind].append(taken)
        for name, multiply in (("matmul", torch.matmul), ("onednn", product)):
            peak[name].append(gflops(multiply))
    medians = {kind: statistics.median(values) for kind, values in seconds.items()}
    trl = next(value for kind, value in medians.items() if kind.startswith("trl"))
    return {
        "seconds": seconds,
        "medians": medians,
        "times_trl": {kind: trl / value for kind, value in medians.items() if not kind.startswith("trl")},
        "gflops": {name: statistics.median(values) for name, values in peak.items()},
    }


def measure(kinds: tuple[str, ...], pairs: int, repeats: int, cores: int, kept_memory: bool) -> dict[str, Any]:
    found: dict[str, Any] = {
        "pairs": pairs, "when": datetime.now(UTC).isoformat(timespec="seconds"), "machine": platform.machine(),
        "cores": cores, "torch": torch.__version__,
    }  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        with workers((*kinds, "trl"), pairs, cores, folder) as ask:
            found |= agreement(ask, folder) | timed(ask, repeats)
        processor = make_processor()
        shape, prompt = shape_of(make_model(processor)), prompt_of(processor, make_rows(questions=1, pairs=pairs))
        found |= {"prompt_tokens": prompt.tokens, "completion_tokens": prompt.completions}
        for kind in kinds:
            reached = step_flops(shape, [prompt], "cached" not in kind) / found["medians"][kind] / 1e9
            found[f"share_{kind}"] = {name: reached / value for name, value in found["gflops"].items()}
        if kept_memory:
            with workers(("mixpo", "trl_kept_memory"), pairs, cores, folder) as ask:
                found["with_kept_memory"] = timed(ask, repeats)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, nargs="+", default=[1, 4], help="pairs a question")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=KINDS, help="fewer need less memory at a time")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "train_step.json")
    given = parser.parse_args()
    torch.set_num_threads(given.cores)
    runs = json.loads(given.out.read_text())["runs"] if given.out.exists() else []
    for pairs in given.pairs:
        found = measure(tuple(given.kinds), pairs, given.repeats, given.cores, pairs == 1)
        print(json.dumps(found, indent=1), flush=True)
        # What was measured before for other numbers of pairs stays.
        runs = sorted([*(run for run in runs if run["pairs"] != pairs), found], key=lambda run: run["pairs"])
        given.out.parent.mkdir(exist_ok=True)
        given.out.write_text(json.dumps({"runs": runs}, indent=1) + "\n")


if __name__ == "__main__":
    main()
