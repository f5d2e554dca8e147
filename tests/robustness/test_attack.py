"""The attack as a table: what is damaged, how, which command reads it, and what must be said."""

import re
import shutil
import sys

import pytest

from mixpo.cli import main
from mixpo.progress import speak
from robustness.damage import Damage, do
from robustness.faults import CONTROL, SECRETS
from robustness.pages import view
from robustness.subjects import WORD, precious

PART = "part-00000.jsonl"
ROOTS = "run/questions/questions/image_roots.json"
ROWS = (
    # file | damage | commands | what must be said, by one of them; empty: nothing must
    # What a section says of itself.
    ("run/sections/train.json", Damage("cut", 100), "status", r"train\.json"),
    ("run/sections/train.json", Damage("place", what="folder"), "status", r"train\.json"),
    ("run/sections/sample.json", Damage("place", what="JSON null"), "status", r"sample"),
    ("run/recipe.yaml", Damage("place", what="empty"), "status", r"recipe\.yaml"),
    ("run/recipe.yaml", Damage("insert", 0, what="anchor"), "status", r"recipe\.yaml"),
    ("run/recipe.yaml", Damage("insert", 30, what="NUL"), "status", r"recipe\.yaml"),
    ("run/recipe.yaml", Damage("field", key="seed", what="deep"), "status", r"recipe\.yaml"),
    ("run/recipe.yaml", Damage("field", key="n", what="5000 digits"), "status", r"recipe\.yaml"),
    # Records.
    (f"run/pairs/pair/{PART}", Damage("flip", 2, 5), "export", r"part-00000\.jsonl"),
    (f"run/pairs/pair/{PART}", Damage("field", key="chosen", what="surrogate"), "export publish-data", ""),
    (f"run/pairs/pair/{PART}", Damage("field", key="chosen", what="deep"), "export", r"part-00000\.jsonl"),
    (f"run/pairs/pair/{PART}", Damage("insert", 20, what="latin-1"), "export", r"part-00000\.jsonl"),
    (f"run/questions/questions/{PART}", Damage("place", what="empty"), "view report", ""),
    (f"run/questions/questions/{PART}", Damage("place", what="folder"), "export", r"part-00000\.jsonl"),
    (f"run/responses/sample/{PART}", Damage("field", key="prompt_tokens", what="1e999"), "report", ""),
    (f"run/pass_rates/pair/{PART}", Damage("field", key="correct", what="word"), "pass-rates", r"part-00000\.jsonl"),
    (f"run/verdicts/verify/{PART}", Damage("field", key="outcome", what="list"), "report view", r"part-00000\.jsonl"),
    (f"run/pairs/pair/{PART}", Damage("place", what="empty"), "export", "no pair could be written"),
    # Files beside the records.
    ("run/funnel/pair.json", Damage("cut", 50), "report", r"pair\.json"),
    ("run/funnel/pair.json", Damage("field", 1, what="400 digits"), "report", ""),
    ("run/timings/sample.json", Damage("place", what="empty"), "status", ""),
    ("run/timings/sample.json", Damage("field", key="seconds", what="word"), "status report", ""),
    ("run/questions/questions/image_roots.json", Damage("field", what="list"), "report export", r"image_roots\.json"),
    ("run/checkpoints/train/log.jsonl", Damage("field", key="loss", what="1e999"), "report view", ""),
    ("run/checkpoints/train/log.jsonl", Damage("field", key="step", what="5000 digits"), "report", ""),
    ("run/checkpoints/train/log.jsonl", Damage("insert", 9, what="0xff"), "report", r"log\.jsonl"),
    ("run/checkpoints/train/data.json", Damage("field", what="list"), "report", ""),
    ("run/evaluation/evaluate/comparisons.json", Damage("cut", 500), "report", r"comparisons\.json"),
    ("run/evaluation/evaluate/comparisons.json", Damage("place", what="JSON null"), "report", ""),
    (f"run/evaluation/evaluate/scores/{PART}", Damage("field", key="accuracy", what="NaN"), "report", ""),
    ("run/report.html", Damage("place", what="folder"), "report", r"report\.html"),
    # Nothing outside is shown or given away.
    (ROOTS, Damage("field", key="scenes", what="outside folder"), "report export publish-data", ""),
    (f"run/pairs/pair/{PART}", Damage("field", 1, key="images", what="outside list"), "export publish-data view", ""),
    ("run/questions/questions/images/scenes/0.png", Damage("place", what="canary"), "report export publish-data", ""),
    ("run/questions/questions/images/scenes/1.png", Damage("place", what="FIFO"), "report export", ""),
    ("run/questions/questions/images/scenes/2.png", Damage("cut", 40), "report export", ""),
    # Preference files of others.
    ("inputs/mmpr/meta.json", Damage("field", key="root", what="root"), "import export-imported", ""),
    ("inputs/mmpr/meta.json", Damage("field", key="root", what="outside folder"), "import export-imported", ""),
    ("inputs/mmpr/meta.json", Damage("field", key="annotation", what="outside"), "import", r"meta\.json|secret\.txt"),
    ("inputs/mmpr/meta.json", Damage("field", key="repeat_time", what="1e999"), "import", r"meta\.json"),
    ("inputs/mmpr/meta.json", Damage("field", what="deep"), "import", r"meta\.json"),
    ("inputs/mmpr/annotations/mixpo.jsonl", Damage("field", key="image", what="outside"), "import export-imported", ""),
    ("inputs/mmpr/annotations/mixpo.jsonl", Damage("field", key="image", what="long name"), "import", ""),
    ("inputs/mmpr/annotations/mixpo.jsonl", Damage("field", key="chosen", what="surrogate"), "import", ""),
)  # fmt: skip


def commands(case):
    """What is run, by its name in the table."""
    run = str(case / "run")
    return {
        "status": ("status", run),
        "dry-run": ("run", run, "--dry-run"),
        "report": ("report", run),
        "export": ("export", run, "--format", "mmpr", "--out", str(case / "out" / "mmpr")),
        "publish-data": ("publish", run, "--data", "--out", str(case / "out" / "data")),
        "import": ("import", "--format", "mmpr", "--path", str(case / "inputs/mmpr"), "--out", str(case / "out/run")),
        "export-imported": (
            *("export", str(case / "out/run"), "--format", "trl", "--pairs", "import", "--out", str(case / "out/trl")),
        ),
        "pass-rates": ("pass-rates", run, "--out", str(case / "out" / "rates.jsonl")),
    }


def ended(name, case, monkeypatch):
    """The exit status of a command, here in this process."""
    if name == "view":
        work = lambda: view(case / "run")  # noqa: E731
    else:
        monkeypatch.setattr(sys, "argv", ["mixpo", *commands(case)[name]])
        work = main
    try:
        work()
    except SystemExit as error:
        return error.code
    finally:
        speak(False, False)
    return 0


@pytest.fixture
def case(masters, tmp_path):
    """A folder with the run, and one beside it that nothing may read."""
    place = tmp_path / "case"
    shutil.copytree(masters, place)
    (place / "out").mkdir()
    precious(place / "precious")
    return place


def named(row):
    file, damage, reads, _ = row
    return f"{file} {damage} {reads}"


@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    ("file", "damage", "reads", "said"),
    [pytest.param(*row, id=named(row)) for row in ROWS],
)
def test_a_damaged_file_is_a_sentence(case, file, damage, reads, said, monkeypatch, capsys):
    path = case / file
    do(damage, path, [path], case / "precious")
    printed = ""
    for name in reads.split():
        status = ended(name, case, monkeypatch)
        out, err = capsys.readouterr()
        assert status in (0, 2), f"{name}: {err}"
        assert "Traceback" not in out + err
        assert not CONTROL.search(out + err), name
        printed += out + err
    assert re.search(said, printed)
    shown = {path for path in case.rglob("*") if path.is_file() and not path.is_symlink()}
    shown -= set((case / "precious").rglob("*"))
    for one in shown:
        content = one.read_bytes()
        assert not any(secret in content for secret in SECRETS.values()), one
    assert WORD not in printed
