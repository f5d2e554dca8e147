"""Writes every source file in one line, its docstring's first, between the markers of README.md."""

import ast
from pathlib import Path

ROOT = Path(__file__).parent.parent
BEGIN, END = "<!-- files -->\n", "<!-- end of files -->"


def file_lines() -> str:
    """The list as Markdown: a heading per folder, a line per file."""
    lines: list[str] = []
    folder = None
    source = ROOT / "src" / "mixpo"
    for path in sorted(source.rglob("*.py"), key=lambda path: (str(path.parent), path.name)):
        text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
        if not text:
            continue
        if path.parent != folder:
            folder = path.parent
            lines.append(f"\n`src/{folder.relative_to(source.parent)}/`\n")
        first = " ".join(text.split("\n\n")[0].split())
        lines.append(f"- `{path.name}`: {first}")
    return "\n".join(lines).strip() + "\n"


def updated(readme: str) -> str:
    """README's text with the list as it is now."""
    before, rest = readme.split(BEGIN)
    return before + BEGIN + file_lines() + END + rest.split(END)[1]


if __name__ == "__main__":
    target = ROOT / "README.md"
    target.write_text(updated(target.read_text(encoding="utf-8")), encoding="utf-8")
