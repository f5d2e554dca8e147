"""Memory that the plan says beside what torch's caching allocator says, at real sizes, on a GPU that computes nothing.

python benchmarks/plan_memory.py     about 3 minutes, gcc and nvidia-cuda-runtime's headers needed; no GPU

Whole optimizer steps of published models (`published.py`, no weights), a question with 8 tiles (2,048 image tokens) and
4 pairs of 300 and 350 tokens a micro-batch unless a row says otherwise. Writes results/plan_memory.json and prints the
table of benchmarks/results/plan_memory.md. On several devices it is one of them, under FSDP2.
"""

import json
import sys
import tempfile
from itertools import product
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from devices import null_gpu
from devices.cases import prompts_of, setup_from, shape_named
from mixpo.training.memory import device_bytes

RESULTS = Path(__file__).parent / "results" / "plan_memory.json"
MODELS = ("internvl3-1b", "internvl3-8b", "qwen2.5-vl-7b", "internvl2-76b")
MEMORY = 8e12
"""Of the null GPU: what does not fit a card is measured, too."""
MORE: list[tuple[str, dict[str, Any], dict[str, int]]] = [
    ("internvl3-1b", {"precision": "float32", "lora": 16}, {}),
    ("internvl3-1b", {"lora": 16, "gradient_checkpointing": True}, {}),
    ("internvl3-8b", {"lora": 16}, {}),
    ("internvl3-8b", {"lora": 16, "gradient_checkpointing": True}, {}),
    ("internvl3-8b", {"lora": 16, "gradient_checkpointing": True, "frozen_bytes": 2}, {}),
    ("internvl3-8b", {"lora": 16, "frozen_bytes": 2}, {}),
    ("internvl3-1b", {"reference": "live"}, {}),
    ("internvl3-8b", {"reference": "live", "gradient_checkpointing": True}, {}),
    ("internvl3-8b", {"reference": "live", "gradient_checkpointing": True, "reference_bytes": 2}, {}),
    ("internvl3-8b", {"reference": "live", "gradient_checkpointing": True, "shard": "fsdp2", "devices": 8,
                      "reference_sharded": True}, {}),
    ("internvl2-76b", {"reference": "live", "gradient_checkpointing": True, "shard": "fsdp2", "devices": 64,
                       "reference_sharded": True}, {}),
    ("internvl3-8b", {"freeze": ["vision"]}, {}),
    ("internvl3-8b", {"freeze": ["vision"], "gradient_checkpointing": True}, {}),
    ("internvl3-8b", {"freeze": ["language"]}, {}),
    ("internvl3-8b", {"freeze": ["language"], "gradient_checkpointing": True}, {}),
    ("internvl3-1b", {"layout": "paired"}, {}),
    ("internvl3-1b", {"layout": "paired", "gradient_checkpointing": True}, {}),
    ("internvl3-8b", {"optimizer": "sgd", "gradient_checkpointing": True}, {}),
    ("internvl3-1b", {"optimizer": "adamw_torch", "gradient_checkpointing": True}, {"pairs": 1, "tiles": 1}),
    ("internvl3-8b", {"accumulates": False}, {}),
    ("internvl3-8b", {"accumulates": False, "gradient_checkpointing": True}, {}),
    ("internvl3-8b", {}, {"questions": 4}),
    ("internvl3-8b", {"gradient_checkpointing": True}, {"questions": 4}),
    ("internvl3-2b", {}, {"questions": 4, "pairs": 1, "tiles": 4}),
    ("internvl3-2b", {"gradient_checkpointing": True}, {"questions": 4, "pairs": 1, "tiles": 4}),
    ("internvl3-1b", {"shard": "fsdp2", "devices": 8}, {}),
    ("internvl3-1b", {"gradient_checkpointing": True, "shard": "fsdp2", "devices": 8}, {}),
    ("internvl3-1b", {"gradient_checkpointing": True}, {"pairs": 1, "tiles": 1}),
    ("internvl3-1b", {}, {"pairs": 1, "tiles": 1}),
]  # fmt: skip


def cases() -> list[dict[str, Any]]:
    found = []
    for model, devices in product(MODELS, (1, 8, 64)):
        for precision, checkpointed in product(("float32", "bf16"), (False, True)):
            setup = {"precision": precision, "gradient_checkpointing": checkpointed}
            if devices > 1 and model != "internvl3-1b":
                setup |= {"shard": "fsdp2", "devices": devices}
            if devices == 1 or model != "internvl3-1b":
                found.append({"model": model, "setup": setup, "pairs": {}})
    return found + [
        {"model": name, "setup": {"precision": "bf16", **given}, "pairs": pairs} for name, given, pairs in MORE
    ]


def compared(cases: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each case with `measured` and `planned` bytes, their `ratio`, and the plan's parts."""
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        file.write(json.dumps(cases))
        file.flush()
        peaks = null_gpu.run(null_gpu.SCRIPTS / "step_memory.py", file.name, timeout=3600, memory=MEMORY)
    rows = []
    for case, found in zip(cases, peaks, strict=True):
        prompts = prompts_of(case["model"], **case["pairs"])
        planned = device_bytes(shape_named(case["model"]), prompts, setup_from(case["setup"]))
        parts = {name: size for name, size in vars(planned).items() if size}
        rows.append(
            {**case, "measured": found["peak"], "planned": planned.total, "ratio": planned.total / found["peak"],
             "parts": parts, "phases": found}
        )  # fmt: skip
    return rows


def table(rows: list[dict[str, Any]]) -> str:
    lines = [
        "| model | devices | precision | checkpointing | and | measured, GiB | planned | ratio |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    shown = ("devices", "shard", "precision", "gradient_checkpointing")
    for row in rows:
        setup = row["setup"]
        rest = {**{name: value for name, value in setup.items() if name not in shown}, **row["pairs"]}
        also = ", ".join(
            f"{name} {'+'.join(value) if isinstance(value, list) else value}" for name, value in rest.items()
        )
        sizes = f"{row['measured'] / 2**30:,.1f} | {row['planned'] / 2**30:,.1f} | {row['ratio']:.3f}"
        yes = "yes" if setup.get("gradient_checkpointing") else "no"
        lines.append(
            f"| {row['model']} | {setup.get('devices', 1)} | {setup['precision']} | {yes} | {also} | {sizes} |"
        )
    return "\n".join(lines)


def main() -> None:
    if reason := null_gpu.missing():
        sys.exit(reason)
    rows = compared(cases())
    RESULTS.write_text(json.dumps(rows, indent=1) + "\n")
    print(table(rows))
    far = [row for row in rows if not 0.9 < row["ratio"] < 1.1]
    worst = max(rows, key=lambda row: abs(row["ratio"] - 1))
    print(f"{len(rows)} rows, {len(far)} of them off by more than 10 %; the furthest is {worst['ratio']:.3f}")


if __name__ == "__main__":
    main()
