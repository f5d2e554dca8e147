"""ms-swift: `load_dataset` with its preprocessors, then the template's `encode` as `swift rlhf` calls it for DPO.

A folder with a Parquet file is RLAIF-V's, read with the columns that ms-swift registers for that data set.
"""

import os
import sys
from pathlib import Path

from reading import colours, each, side, write
from swift import get_processor, get_template
from swift.dataset import load_dataset

FOLDER, CHECKPOINT = sys.argv[1:3]
RLAIF_V = {"question": "query", "chosen": "response", "rejected": "rejected_response"}


def main() -> None:
    os.chdir(FOLDER)  # where the paths of the images start
    parquet = Path("train.parquet").is_file()
    path, columns = ("train.parquet", RLAIF_V) if parquet else ("train.jsonl", None)
    rows, _ = load_dataset(path, columns=columns, strict=False)
    processor = get_processor(CHECKPOINT, model_type="qwen2_5_vl")
    template = get_template(processor, template_type="qwen2_5_vl", loss_scale="last_round")
    template.set_mode("rlhf")

    def read(row):
        encoded = template.encode(row)
        return {
            name: side(
                processor.tokenizer, encoded[f"{name}_input_ids"], encoded[f"{name}_labels"],
                colours(encoded.get(f"{name}_pixel_values"), encoded.get(f"{name}_image_grid_thw")),
            )
            for name in ("chosen", "rejected")
        }  # fmt: skip

    write(each(rows, read), f"{len(rows)} rows read", "ms-swift", "transformers", "datasets")


if __name__ == "__main__":
    main()
