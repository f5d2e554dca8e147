import io
import json
import os
from pathlib import Path

import pytest
from PIL import Image


@pytest.fixture
def png():
    """Encoded bytes of a plain picture; another colour gives other bytes."""

    def make(colour="red", size=(4, 4)):
        buffer = io.BytesIO()
        Image.new("RGB", size, colour).save(buffer, "PNG")
        return buffer.getvalue()

    return make


@pytest.fixture
def write_lines():
    """Writes rows (objects, or lines as they stand) as a JSON-lines file."""

    def write(path, rows):
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return path

    return write


@pytest.fixture(scope="session")
def nlvr_folder():
    """The real NLVR Parquet files."""
    folder = Path(os.environ.get("MIXPO_DATA", "")) / "nlvr"
    if "MIXPO_DATA" not in os.environ or not folder.exists():
        pytest.skip(
            "needs real NLVR data: set MIXPO_DATA to a folder that holds nlvr/dev.parquet and nlvr/test.parquet"
        )
    return folder
