"""LLaMA-Factory: `get_dataset` (parser, converter, plugin of the template), then its collator for pairs.

One row that it refuses stops the whole reading: then it is asked for each row alone.
"""

import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from llamafactory.data import PairwiseDataCollatorWithPadding, get_dataset, get_template_and_fix_tokenizer
from llamafactory.hparams import get_train_args
from llamafactory.model import load_tokenizer
from reading import colours, each, side, write

FOLDER, CHECKPOINT = sys.argv[1:3]
FILE = "mixpo_pairs.jsonl"


def main() -> None:
    try:
        rows, collate, tokenizer = load(FOLDER)
        said = f"{len(rows)} rows read"
    except Exception as error:
        rows, collate, tokenizer, said = alone(), None, None, f"{type(error).__name__}: {error}"

    def read(row):
        nonlocal collate, tokenizer
        if isinstance(row, str):
            (row,), collate, tokenizer = load(row)
        batch = collate([dict(row)])
        grid = batch.get("image_grid_thw")
        half = 0 if grid is None else len(grid) // 2
        pictures = colours(batch.get("pixel_values"), grid)
        return {
            name: side(
                tokenizer, row[f"{name}_input_ids"], row[f"{name}_labels"],
                pictures[number * half : (number + 1) * half],
            )
            for number, name in enumerate(("chosen", "rejected"))
        }  # fmt: skip

    write(each(rows, read), said, "llamafactory", "transformers", "datasets")


def load(folder: str):
    """The rows as it tokenizes them, its collator, the tokenizer."""
    model_args, data_args, training_args, _, _ = get_train_args(
        {
            "stage": "dpo", "do_train": True, "model_name_or_path": CHECKPOINT, "dataset_dir": folder,
            "media_dir": FOLDER, "dataset": "mixpo_pairs", "template": "qwen2_vl", "finetuning_type": "lora",
            "cutoff_len": 4096, "output_dir": tempfile.mkdtemp(), "overwrite_cache": True,
            "preprocessing_num_workers": 1,
        }
    )  # fmt: skip
    loaded = load_tokenizer(model_args)
    template = get_template_and_fix_tokenizer(loaded["tokenizer"], data_args)
    rows = get_dataset(template, model_args, data_args, training_args, stage="rm", **loaded)["train_dataset"]
    return rows, PairwiseDataCollatorWithPadding(template=template, model=None, **loaded), loaded["tokenizer"]


def alone() -> Iterator[str]:
    """A folder for each row."""
    for line in (Path(FOLDER) / FILE).read_text(encoding="utf-8").splitlines():
        folder = Path(tempfile.mkdtemp())
        shutil.copy(Path(FOLDER) / "dataset_info.json", folder)
        (folder / FILE).write_text(line + "\n", encoding="utf-8")
        yield str(folder)


if __name__ == "__main__":
    main()
