"""Rows of several sources in one import: equal names that mean other things are told apart by their content.

Exports of two runs may lie in one folder, and both have a picture `scenes/17.png`, a question `scenes-17` and a pair
`scenes-17/3>5`. What is met first keeps its name; what has the name and is another thing gets a digest behind it.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

from mixpo.errors import DataError
from mixpo.ids import Ids
from mixpo.json_lines import to_json
from mixpo.pairs.formats.row import Entry, Left
from mixpo.pictures import place_in, store
from mixpo.records import DropReason, PreferencePair


class Met:
    """What an import has met so far, by name and by content."""

    def __init__(self, folder: Path):
        """`folder`: where pictures that come as bytes are stored."""
        self.folder = folder
        self.roots: dict[str, Path] = {}
        """Where the images of the pairs lie, by the names that their paths begin with."""
        self._questions, self._pairs = Ids(), Ids()
        self._known: set[str] = set()
        """Digests of questions with their names, and of pairs whose names are not ours."""

    def add(self, entry: Entry) -> tuple[Entry, bool]:
        """The entry under names that mean nothing else, its pictures stored; and whether its question is new.

        Raises Left for a pair that was met before, ImageError for a picture that cannot be had.
        """
        entry = self._pictured(entry)
        pair = self._asked(entry)
        own = _digest("pair", to_json(pair)) if entry.own or pair.id in self._pairs else ""
        if own in self._known:
            raise Left(DropReason.DUPLICATE_ID, "an earlier pair has this id")
        if not self._pairs.add(pair.id):
            pair = replace(pair, id=f"{pair.id}~{own}")
            self._pairs.add(pair.id)
        if own:
            self._known.add(own)
        entry = replace(entry, pair=pair)
        store(entry.pictures, self.folder)
        new = self._questions.add(pair.question_id)
        if new:  # whoever says no truth agrees with the one that is said first, and with none all do
            self._known |= {_question(pair, truths) for truths in (entry.answers, () if entry.answers else ANY)}
        return entry, new

    def add_roots(self, roots: Iterable[tuple[str, Path]], source: str) -> None:
        """Raises DataError for a name that means another folder already."""
        for name, folder in roots:
            if self.roots.setdefault(name, folder) != folder:
                raise DataError(f"{source}: images under {name!r} lie in two different folders; import each alone")

    def _pictured(self, entry: Entry) -> Entry:
        """With names of their own for pictures under whose names others are stored."""
        names = {}
        for path, given in entry.pictures.items():
            file = place_in(self.folder, path)
            if isinstance(given, bytes) and file.is_file() and file.read_bytes() != given:
                place = PurePosixPath(path)
                digest = hashlib.sha256(given).hexdigest()[:20]
                names[path] = place.with_name(f"{place.stem}-{digest}{place.suffix}").as_posix()
        if not names:
            return entry
        images = tuple(names.get(image, image) for image in entry.pair.images)
        pictures = {names.get(path, path): given for path, given in entry.pictures.items()}
        return replace(entry, pair=replace(entry.pair, images=images), pictures=pictures)

    def _asked(self, entry: Entry) -> PreferencePair:
        """The pair, of another question where the one of this name asks something else or has another truth."""
        pair, old = entry.pair, entry.pair.question_id
        if old not in self._questions or {_question(pair, entry.answers), _question(pair, ANY)} & self._known:
            return pair
        new = f"{old}~{_question(pair, entry.answers)}"
        ids = (pair.id, pair.chosen_id, pair.rejected_id)
        named = [f"{new}{id.removeprefix(old)}" if id.startswith(f"{old}/") else id for id in ids]
        return replace(pair, question_id=new, id=named[0], chosen_id=named[1], rejected_id=named[2])


ANY = ("", "any")
"""In the place of a question's truths: whatever they are."""


def _question(pair: PreferencePair, truths: tuple[str, ...]) -> str:
    turns = [[turn.role, turn.text] for turn in pair.turns]
    return _digest(pair.question_id, pair.prompt, pair.system, turns, pair.images, truths)


def _digest(*parts: Any) -> str:
    return hashlib.blake2b(repr(parts).encode("utf-8", "replace"), digest_size=8).hexdigest()
