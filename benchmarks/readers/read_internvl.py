"""InternVL: the data set class of its MPO training, out of a checkout's own files, in mixpo's environment.

This runs code of the checkout that the user names. Its other files want DeepSpeed and TRL 0.10, so the class is taken
out of its file; libraries of videos are stand-ins.
Where InternVL cannot read a row it takes another at random: here that is the row's error.
"""

import ast
import json
import logging
import os
import random
import sys
import traceback
from copy import deepcopy
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import MagicMock

from PIL import Image, UnidentifiedImageError
from reading import COLOURS, IGNORED, each, side, write
from torch.utils.data import Dataset
from transformers import AutoTokenizer

FOLDER, CHECKPOINT = sys.argv[1:3]
CHECKOUT = Path(os.environ["INTERNVL"])
SPECIAL = ["<img>", "</img>", "<IMG_CONTEXT>"]


def main() -> None:
    tokenizer = AutoTokenizer.from_pretrained(CHECKPOINT)
    tokenizer.add_special_tokens({"additional_special_tokens": SPECIAL})
    tokenizer.model_max_length = 4096
    os.chdir(FOLDER)  # where the paths of meta.json start
    (meta,) = json.loads(Path("meta.json").read_text()).values()
    data = reader()(
        "internvl2_5", meta, tokenizer, None, "mixpo", 2, image_size=56, repeat_time=meta["repeat_time"],
        group_by_length=False,
    )  # fmt: skip
    lines = Path(meta["annotation"]).read_text(encoding="utf-8").splitlines()
    shuffled = [line.rstrip("\n") for line in data.raw_data]

    def read(line):
        row = data[shuffled.index(line)]
        shown = row["pixel_values"][row["image_flags"].bool()]
        pictures = [COLOURS[int(picture.mean((1, 2)).argmax())] for picture in shown]
        sides = {}
        for name in ("chosen", "rejected"):
            seen = row[f"{name}_attention_mask"]
            labels = row[f"{name}_labels"].masked_fill(~seen, IGNORED)
            sides[name] = side(tokenizer, row[f"{name}_input_ids"][seen], labels, pictures)
        return sides

    write(each(lines, read), f"{len(data)} rows read", "transformers")


def reader() -> type:
    for name in ("cv2", "imageio", "decord", "petrel_client", "petrel_client.client"):
        sys.modules[name] = MagicMock()
    sys.path.insert(0, str(CHECKOUT))
    from internvl.train import dataset

    source = ast.parse((CHECKOUT / "internvl/train/internvl_chat_mpo.py").read_text(encoding="utf-8"))
    name = "LazySupervisedDataset"
    (found,) = [node for node in source.body if isinstance(node, ast.ClassDef) and node.name == name]
    names = {
        **vars(dataset), "Dataset": Dataset, "Dict": dict, "Image": Image, "json": json, "deepcopy": deepcopy,
        "UnidentifiedImageError": UnidentifiedImageError, "traceback": traceback, "logger": logging.getLogger(),
        "random": SimpleNamespace(sample=random.sample, randint=another),
    }  # fmt: skip
    exec(compile(ast.Module([found], []), name, "exec"), names)
    return names[name]


def another(first: int, last: int) -> int:
    raise RuntimeError(f"takes another row at random, because of {sys.exc_info()[1]!r}")


if __name__ == "__main__":
    main()
