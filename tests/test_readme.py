import runpy
from pathlib import Path

ROOT = Path(__file__).parent.parent


def test_the_readme_lists_every_file():
    """If this fails: python docs/list_files.py."""
    script = runpy.run_path(str(ROOT / "docs" / "list_files.py"))
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert script["updated"](readme) == readme
