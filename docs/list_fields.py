"""Writes docs/reference.md: every field of every step, loader, benchmark and part of them, from `mixpo.fields`."""

from pathlib import Path

from mixpo.fields import Field, Topic, topics

PAGE = Path(__file__).parent / "reference.md"
HEAD = """# Every field of a recipe

Written by `python docs/list_fields.py` from the docstrings in the code; `mixpo fields train` prints one of these
tables. A section of a recipe is named after its step, or says which it `uses`; `seed`, `model`, `images` and
`chat_template` at a recipe's top fill those of every section that does not state its own. An unknown key or a value
of another type is refused with its file and line.
"""


def page() -> str:
    """The page as it should be now. Topics with the same fields (published benchmarks) share a table."""
    tables: dict[tuple[Field, ...], list[Topic]] = {}
    for topic in topics():
        tables.setdefault(topic.fields, []).append(topic)
    places = {}
    for alike in tables.values():
        for field in alike[0].fields:
            if field.holds is not None:
                places.setdefault(field.holds, f"{alike[0].name}.{field.name}")
    parts = [HEAD]
    for fields, alike in tables.items():
        for topic in alike:
            depth = "##" if "." not in topic.name else "###"
            parts.append(f"{depth} {topic.name}\n\n{topic.meaning}\n")
        rows = [_row(field, places) for field in fields]
        parts.append("\n".join(["| field | type | default | meaning |", "| --- | --- | --- | --- |", *rows]) + "\n")
    return "\n".join(parts)


def _row(field: Field, places: dict[type, str]) -> str:
    kind = field.kind
    if field.holds is not None:
        place = places[field.holds]
        kind = f"{kind}: [{place}](#{place.replace('.', '')})"
    default = field.default if field.default == "required" else f"`{field.default}`"
    return f"| `{field.name}` | {kind} | {default} | {_escaped(field.text)} |"


def _escaped(text: str) -> str:
    """For a cell; within backticks `<` stands for itself."""
    parts = text.replace("|", r"\|").split("`")
    return "`".join(part if number % 2 else part.replace("<", "&lt;") for number, part in enumerate(parts))


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
