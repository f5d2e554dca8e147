"""Private names of transformers and torch that mixpo uses stand in docs/design.md, where versions are moved by."""

import ast
import re
from pathlib import Path

import pytest
from transformers import Trainer

ROOT = Path(__file__).parent.parent
FOLDERS = ("models", "batches", "losses", "training", "plan", "convert", "responses/backends/embedded")
FILES = [path for folder in FOLDERS for path in sorted((ROOT / "src" / "mixpo" / folder).rglob("*.py"))]
TREES = {path: ast.parse(path.read_text(encoding="utf-8")) for path in FILES}
OWN = {
    node.name if isinstance(node, ast.FunctionDef) else node.attr
    for tree in TREES.values()
    for node in ast.walk(tree)
    if isinstance(node, ast.FunctionDef) or (isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store))
}
TEXT = (ROOT / "docs" / "design.md").read_text(encoding="utf-8")
SECTION = re.search(r"^## Hooks into .*?(?=^## )", TEXT, re.DOTALL | re.MULTILINE).group()


def private(name):
    return re.fullmatch(r"_[a-zA-Z]\w+", name) is not None


def names(tree):
    """Private names that are read of other objects, overridden, asked for as text or given as a keyword."""
    pieces = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            methods = [part.name for part in node.body if isinstance(part, ast.FunctionDef)]
            yield from (name for name in methods if hasattr(Trainer, name))
        elif isinstance(node, ast.Attribute):
            inherited = node.attr not in OWN or hasattr(Trainer, node.attr)
            if inherited or node.attr == "_attn_implementation":
                yield node.attr
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in pieces:
            yield node.value
        elif isinstance(node, ast.keyword):
            yield node.arg or ""


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT / "src" / "mixpo")))
def test_every_private_hook_is_listed(path):
    found = {name for name in names(TREES[path]) if private(name)}
    assert sorted(name for name in found if not re.search(rf"\b{name}\b", SECTION)) == []


def test_what_is_listed_is_used_and_where_it_says():
    rows = [row.split("|")[1:4] for row in SECTION.splitlines() if row.startswith("| ") and "`" in row]
    assert len(rows) > 15
    for hooks, places, _ in rows:
        named = [ROOT / "src" / "mixpo" / place for place in re.findall(r"`(\w+/[\w/.]+)`", places)]
        files = [file for place in named for file in ([place] if place.is_file() else place.glob("*.py"))]
        sources = "".join(file.read_text(encoding="utf-8") for file in files)
        for name in re.findall(r"(?<![a-z_])_[a-z]\w+", hooks):
            assert name in sources, f"{name} is not in {places}"
