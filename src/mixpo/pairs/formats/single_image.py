"""RLAIF-V (arXiv 2405.17220), RLHF-V (arXiv 2312.00849) and SPA-VL (arXiv 2406.12030): Parquet, one image a row.

openbmb/RLAIF-V-Dataset   {"ds_name", "image": {"bytes", "path"}, "question", "chosen", "rejected", "origin_dataset",
                           "origin_split", "idx", "image_path"}
openbmb/RLHF-V-Dataset    the same with `text`, JSON text of {"question", "chosen", "rejected"}, instead of these three
sqrti/SPA-VL              {"image", "question", "chosen", "rejected"}; in its repository's JSON `image` is a path

All show the image before the question. One reader for all, whichever of them a file says to be.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from mixpo.conversations import Conversation, refuse_more
from mixpo.errors import BadRow, Unsupported
from mixpo.messages import IMAGE, PICTURE
from mixpo.pairs.formats.export_pictures import ExportPictures
from mixpo.pairs.formats.row import ONE_QUESTION, Content, own_fields, refuse_beside, refuse_marks
from mixpo.pairs.formats.trl import TEXT, own_columns, own_features
from mixpo.pictures import images_in
from mixpo.records import PreferencePair
from mixpo.tables import write_parquet
from mixpo.values import parsed, short

FILE = "train.parquet"
ASKED = ("question", "chosen", "rejected")
RLAIF_V = ("ds_name", *ASKED, "origin_dataset", "origin_split", "idx", "image_path")
RLHF_V = ("ds_name", "text", "origin_dataset", "origin_split", "idx", "image_path")
SPA_VL = ASKED


class SingleImage:
    """Reader and writer of one of these formats: its columns of text besides `image`."""

    def __init__(self, texts: Sequence[str]):
        self.texts = texts

    def row(self, pair: PreferencePair, answers: Sequence[str], pictures: ExportPictures) -> dict[str, Any]:
        """Raises Unsupported for what such a row cannot hold, ImageError when the image is not there."""
        if len(pair.images) != 1:
            raise Unsupported(f"it has {len(pair.images)} images; a row of this format has one")
        if pair.system or pair.turns:
            raise Unsupported("it has a system prompt or earlier turns; a row of this format has one question")
        if PICTURE in pair.prompt:
            raise Unsupported("its image stands within the question, which this format shows behind it")
        refuse_marks((pair.prompt, pair.chosen, pair.rejected), re.compile(IMAGE))
        image = pair.images[0]
        asked = {"question": pair.prompt, "chosen": pair.chosen, "rejected": pair.rejected}
        values = {
            **asked,
            "text": json.dumps(asked, ensure_ascii=False),
            "ds_name": "mixpo",
            "origin_dataset": image.partition("/")[0],
            "origin_split": str(pair.origin),
            "idx": pair.id,
            "image_path": image,
        }
        row = {name: values[name] for name in self.texts}
        return {**row, "image": pictures.embedded(image), **own_fields(pair, answers)}

    def write(self, rows: Iterable[dict[str, Any]], out: Path) -> int:
        """Writes `train.parquet`, which `load_dataset(folder)` reads with its images decoded."""
        import pyarrow as pa

        columns = {name: pa.string() for name in self.texts}
        image = pa.struct({"bytes": pa.binary(), "path": pa.string()})
        schema = pa.schema({**columns, "image": image, **own_columns()})
        features = {**dict.fromkeys(self.texts, TEXT), "image": {"_type": "Image"}, **own_features()}
        return write_parquet(rows, out / FILE, schema, features)

    def contents(self, row: Mapping[str, Any]) -> Iterator[Content]:
        """What a row says. Raises BadRow or Unsupported."""
        refuse_more(row)
        refuse_beside(row, ONE_QUESTION)
        said = row
        if row.get("text") is not None and row.get("question") is None:
            said = parsed(row["text"])
            if not isinstance(said, Mapping):
                raise BadRow(f"text must be JSON of question, chosen and rejected, not {short(row['text'])}")
        if not isinstance(said.get("question"), str):
            raise BadRow(f"question must be text, not {short(said.get('question'))}")
        yield Content(
            asked=Conversation(text=said["question"]), chosen=said.get("chosen"), rejected=said.get("rejected"),
            images=images_in(row, ("image", "image_path")), after="\n",
        )  # fmt: skip
