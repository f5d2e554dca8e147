"""Small files of a run that somebody damaged, or put something else in the place of: a sentence, at once."""

import json
import os
from pathlib import Path

import pytest

from fixtures.damage import NO_FILE, NO_JSON
from mixpo import notes
from mixpo.errors import DataError
from mixpo.files import RunFiles
from mixpo.images import ImageRoots
from mixpo.notes import Timing, TrainedOn
from mixpo.records import Question
from mixpo.tables import json_lines
from mixpo.text_files import LARGEST, count_lines, opened, read_json


@pytest.mark.parametrize(("damage", "said"), [*NO_FILE.values(), *NO_JSON.values()], ids=[*NO_FILE, *NO_JSON])
def test_a_damaged_note_is_a_sentence_with_its_line(damage, said, tmp_path):
    path = tmp_path / "sample.json"
    damage(path)
    with pytest.raises(DataError, match=said) as caught:
        notes.read(path, Timing)
    assert str(caught.value).startswith(str(path))
    assert str(caught.value).endswith("; delete it, then run again")


@pytest.mark.parametrize(("damage", "said"), NO_FILE.values(), ids=NO_FILE)
def test_what_is_no_file_is_never_waited_for(damage, said, tmp_path):
    """Every reader, not only that of notes."""
    shards = RunFiles(tmp_path).questions("questions")
    shards.append([Question(id="a", text="?", images=())])
    path = shards.paths()[0]
    damage(path)
    for read in (
        lambda: list(shards),
        lambda: list(json_lines(path)),
        lambda: count_lines(path),
        lambda: read_json(path),
    ):
        with pytest.raises(DataError, match=said):
            read()


def test_what_is_right_is_read_and_what_a_newer_version_added_is_read_over(tmp_path):
    path = tmp_path / "data.json"
    assert notes.read(path, TrainedOn) is None
    path.write_text('{"sha256": "x", "records": 3, "when": "then"}')
    assert notes.read(path, TrainedOn) == TrainedOn("x", 3)
    path.write_text(json.dumps({"stamp": 1_700_000_000_000_000_000, "low": -1e-300}))
    assert read_json(path) == {"stamp": 1_700_000_000_000_000_000, "low": -1e-300}


def test_a_file_is_read_up_to_a_size(tmp_path):
    path = tmp_path / "large.json"
    with path.open("wb") as file:
        file.truncate(LARGEST + 1)  # takes no room
    with pytest.raises(DataError, match="it has more than 67,108,864 bytes"):
        read_json(path)


def test_a_pipe_that_a_shell_made_is_read():
    """`mixpo run <(…)`: a path in /dev or /proc."""
    reading, writing = os.pipe()
    os.write(writing, b"name: x\n")
    os.close(writing)
    with opened(Path(f"/proc/self/fd/{reading}")) as file:
        assert file.read() == b"name: x\n"
    os.close(reading)


def test_lines_of_a_log_that_are_none_are_left_out_with_a_sentence(tmp_path):
    log = tmp_path / "log.jsonl"
    lines = ['{"step": 1, "loss": NaN}', "[]", '{"step": 2, "loss": 1e999}', '{"step": 3, "x": "y"}', "", '{"step": 4']
    log.write_text("\n".join(lines))
    said = []
    found = list(notes.logged(log, said.append))
    assert [row["step"] for row in found] == [1, 3]
    assert said == [
        f"{log}:2 is no line of a training's log (no mapping); it is left out",
        f"{log}:3 is no line of a training's log (a number that is too large); it is left out",
    ]


def test_roots_that_lead_nowhere(tmp_path):
    path = tmp_path / "image_roots.json"
    for text, said in {'{"a": 5}': "a: must be text, not 5", '{"a": "x\\u0000"}': "null"}.items():
        path.write_text(text)
        with pytest.raises(DataError, match=said):
            ImageRoots.load(path)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is no saved recipe"),
        ("- a", "is no saved recipe"),
        ("steps: [a]", "is no saved recipe"),
        ("steps: {sample: 5}", "is no saved recipe"),
        ("steps:\n  sample: {", "recipe.yaml:2: not valid YAML"),
        ("steps:\n  sample: !!python/name:os.system x", "recipe.yaml:2: not valid YAML"),
        ("a: &a [x, x]\nb: &b [*a, *a, *b]\nsteps: *b", "recipe.yaml:2: not valid YAML .an anchor that stands in"),
    ],
)
def test_a_saved_recipe_that_is_damaged(text, said, tmp_path):
    files = RunFiles(tmp_path)
    files.recipe.write_text(text)
    with pytest.raises(DataError, match=said):
        files.saved_recipe()
