import json

import pytest

from mixpo.errors import ImageError
from mixpo.images import ImageRoots
from mixpo.pairs.formats.trl import rows, write_jsonl
from mixpo.records import Origin, PreferencePair

PAIR = PreferencePair(
    id="q/0>1", question_id="q", prompt="How many?", chosen="Drei: 3", rejected="Zwölf", origin=Origin.CORRECTNESS,
    images=("scenes/1.png", "scenes/2.png"),
)  # fmt: skip


def test_a_row_has_one_placeholder_an_image_and_then_the_text():
    (row,) = rows([PAIR])
    assert row == {
        "images": ["scenes/1.png", "scenes/2.png"],
        "prompt": [
            {"role": "user", "content": [{"type": "image"}, {"type": "image"}, {"type": "text", "text": "How many?"}]}
        ],
        "chosen": [{"role": "assistant", "content": [{"type": "text", "text": "Drei: 3"}]}],
        "rejected": [{"role": "assistant", "content": [{"type": "text", "text": "Zwölf"}]}],
    }


def test_written_rows_name_the_image_files(tmp_path):
    roots = ImageRoots({"scenes": tmp_path / "pictures"})
    assert write_jsonl([PAIR, PAIR], tmp_path / "pairs.jsonl", roots) == 2
    first, second = map(json.loads, (tmp_path / "pairs.jsonl").read_text(encoding="utf-8").splitlines())
    assert first == second
    assert first["images"] == [str(tmp_path / "pictures" / name) for name in ("1.png", "2.png")]
    assert [path.name for path in tmp_path.iterdir()] == ["pairs.jsonl"]


def test_an_image_outside_its_root_is_refused_and_nothing_is_written(tmp_path):
    with pytest.raises(ImageError, match="no image root named 'scenes'"):
        write_jsonl([PAIR], tmp_path / "pairs.jsonl", ImageRoots({}))
    assert not (tmp_path / "pairs.jsonl").exists()
