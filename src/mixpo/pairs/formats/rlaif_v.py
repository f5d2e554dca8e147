"""RLAIF-V (arXiv 2405.17220), as `openbmb/RLAIF-V-Dataset` has it: Parquet, one image a row.

{"ds_name", "image": {"bytes", "path"}, "question", "chosen", "rejected", "origin_dataset", "origin_split", "idx",
 "image_path"}
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from mixpo.errors import Unsupported
from mixpo.pairs.formats.pictures import ExportPictures
from mixpo.pairs.formats.row import Content, own_fields
from mixpo.pairs.formats.trl import TEXT, own_columns, own_features
from mixpo.records import PreferencePair
from mixpo.tables import write_parquet

FILE = "train.parquet"
TEXTS = ("ds_name", "question", "chosen", "rejected", "origin_dataset", "origin_split", "idx", "image_path")


def row(pair: PreferencePair, answer: str | None, pictures: ExportPictures) -> dict[str, Any]:
    """Raises Unsupported for a pair that has not exactly one image, ImageError when it is not there."""
    if len(pair.images) != 1:
        raise Unsupported(f"it has {len(pair.images)} images; a row of RLAIF-V has one")
    image = pictures.embedded(pair.images[0])
    return {
        "ds_name": "mixpo",
        "image": image,
        "question": pair.prompt,
        "chosen": pair.chosen,
        "rejected": pair.rejected,
        "origin_dataset": pair.images[0].partition("/")[0],
        "origin_split": str(pair.origin),
        "idx": pair.id,
        "image_path": pair.images[0],
        **own_fields(pair, answer),
    }


def write(rows: Iterable[dict[str, Any]], out: Path) -> int:
    """Writes `train.parquet`, which `load_dataset(folder)` reads with its images decoded."""
    import pyarrow as pa

    columns = {name: pa.string() for name in TEXTS}
    image = pa.struct({"bytes": pa.binary(), "path": pa.string()})
    schema = pa.schema({**columns, "image": image, **own_columns()})
    features = {**dict.fromkeys(TEXTS, TEXT), "image": {"_type": "Image"}, **own_features()}
    return write_parquet(rows, out / FILE, schema, features)


def content(row: Mapping[str, Any]) -> Content:
    """What a row says."""
    image = row.get("image")
    return Content(
        prompt=row.get("question"),  # type: ignore[arg-type]
        chosen=row.get("chosen"),
        rejected=row.get("rejected"),
        images=[] if image is None else [image],
    )
