"""Checksums of the lines of a shard, in a small file beside it: a value that has changed is noticed, not used.

`part-00000.crc32` has a line of JSON for every `GROUP` lines of `part-00000.jsonl`, and one for the rest: how many
lines and bytes, and their CRC-32. It depends on the shard's content alone, so that a run that was killed and one that
was not have the same. It is written after the lines that it covers, so a shard may be ahead of it, never behind, unless
lines were lost. A shard without one (of an older mixpo, of the user's own making) is read unchecked.
"""

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from mixpo.errors import DataError
from mixpo.json_lines import from_json, to_json
from mixpo.text_files import cut_torn_line, opened, read_bytes, write_text

GROUP = 1000
"""Lines that one checksum covers; as many are read at once."""


@dataclass(frozen=True, slots=True)
class Group:
    """Lines in succession, whole ones, and their checksum."""

    lines: int
    bytes: int
    crc32: int


def beside(shard: Path) -> Path:
    """The file with a shard's checksums."""
    return shard.with_suffix(".crc32")


def groups_of(shard: Path) -> list[Group]:
    """The checksums kept for a shard; none where there is no such file. Raises DataError for a damaged one."""
    place = beside(shard)
    try:
        return [from_json(Group, line) for line in read_bytes(place).splitlines()]
    except FileNotFoundError:
        return []
    except (OSError, ValueError) as error:
        raise DataError(
            f"{place} cannot be read ({error}); delete it, and {shard.name} is read as it is, unchecked"
        ) from error


def seal(shard: Path) -> int:
    """Cuts a torn last line and has the checksums cover what is there; returns how many lines that is."""
    cut_torn_line(shard)
    size = shard.stat().st_size
    before = groups_of(shard)
    groups = list(before)
    while sum(group.bytes for group in groups) > size:
        groups.pop()  # lines were lost: what is left is covered anew
    with opened(shard) as file:
        file.seek(sum(group.bytes for group in groups))
        last = groups.pop() if groups and groups[-1].lines < GROUP else Group(0, 0, 0)
        lines, covered, crc = last.lines, last.bytes, last.crc32
        for line in file:
            lines, covered, crc = lines + 1, covered + len(line), zlib.crc32(line, crc)
            if lines == GROUP:
                groups.append(Group(lines, covered, crc))
                lines = covered = crc = 0
        if lines:
            groups.append(Group(lines, covered, crc))
    if groups != before:
        write_text(beside(shard), "".join(f"{to_json(group)}\n" for group in groups))
    return sum(group.lines for group in groups)


def whole_lines(shard: Path) -> Iterator[tuple[int, bytes]]:
    """The lines that end and hold anything, with their numbers from 1, without their ends.

    Raises DataError before the first line of a group that is not what was written. Where the file ends early lines are
    lost, and their records are made again.
    """
    groups = groups_of(shard)
    try:
        with opened(shard) as file:
            before = 0
            for group in groups:
                content = file.read(group.bytes)
                if len(content) == group.bytes and zlib.crc32(content) != group.crc32:
                    raise DataError(changed(shard, [(before + 1, before + group.lines)]))
                for number, line in enumerate(content.split(b"\n")[:-1], before + 1):
                    if line.strip():
                        yield number, line
                before += group.lines
            for number, line in enumerate(file, before + 1):
                if line.endswith(b"\n") and line.strip():  # torn, even if it happens to parse: `seal` cuts it off
                    yield number, line
    except OSError as error:
        raise DataError(f"{shard} cannot be read ({error.strerror}); check the path") from error


@dataclass(frozen=True, slots=True)
class Checked:
    """What a look at a whole shard has found."""

    lines: int
    unchecked: int
    """Lines that no checksum covers."""
    damaged: tuple[tuple[int, int], ...]
    """First and last line of the groups that are not what was written, and of lines that are not there any more."""


def check(shard: Path) -> Checked:
    """Reads a shard and compares it with its checksums. Raises DataError where either cannot be read."""
    lines, damaged = 0, []
    try:
        groups = groups_of(shard)
        with opened(shard) as file:
            for group in groups:
                content = file.read(group.bytes)
                if zlib.crc32(content) != group.crc32 or len(content) != group.bytes:
                    damaged.append((lines + 1, lines + group.lines))
                lines += group.lines
            unchecked = sum(1 for _ in file)
    except OSError as error:
        raise DataError(f"{shard} cannot be read ({error.strerror}); check the path") from error
    return Checked(lines + unchecked, unchecked, tuple(damaged))


def changed(shard: Path, damaged: Sequence[tuple[int, int]]) -> str:
    """The sentence on lines (first and last of each group) that are not those that were written."""
    lines = ", ".join(f"{first}-{last}" for first, last in damaged)
    return (
        f"{shard}, lines {lines}: this is not what mixpo wrote there (a damaged disk, a bad copy, an edit); "
        f"put back a copy of the file, or make it anew with `--redo {section_of(shard)}`; to go on with it as it is, "
        f"delete {beside(shard)}"
    )


def section_of(shard: Path) -> str:
    """The section of the recipe that wrote a shard: its folder's name, or the name of the evaluation that it is of."""
    parts = shard.parts
    if parts[-2] == "scores":  # evaluation/<section>/scores/part-…
        return parts[-3]
    if parts[-5:-4] == ("evaluation",):  # evaluation/<section>/<kind>/<its part>/part-…
        return parts[-4]
    return parts[-2]
