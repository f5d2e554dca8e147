"""Brings the records of each question together, whatever order they lie in, in flat memory and linear time.

Small runs are grouped in memory. Larger ones are first split by a checksum of the question's id into
temporary files of about `BUCKET_BYTES` each, which are then grouped one after the other.
"""

import json
import logging
import shutil
import zlib
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mixpo.checksums import whole_lines
from mixpo.files import Shards
from mixpo.records import Continuation, Question, Response, Verdict
from mixpo.removing import refuse_link
from mixpo.text_files import size_of

log = logging.getLogger(__name__)
BUCKET_BYTES = 32_000_000
"""Takes some 200 MB as Python objects."""
MOST_BUCKETS = 500
"""One open file each: most systems allow 1,024."""


@dataclass(slots=True)
class QuestionRecords:
    """All records of one question."""

    question_id: str
    question: Question | None = None
    """None: other records name a question that is not there."""
    responses: list[Response] = field(default_factory=list)
    verdicts: list[Verdict] = field(default_factory=list)
    continuations: list[Continuation] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True, slots=True)
class Inputs:
    """The records that pairs are made from."""

    questions: Shards[Question]
    responses: Shards[Response]
    verdicts: Shards[Verdict]
    continuations: Shards[Continuation]

    def all(self) -> dict[str, Shards[Any]]:
        return {name: getattr(self, name) for name in ("questions", "responses", "verdicts", "continuations")}


def groups(inputs: Inputs, folder: Path, bucket_bytes: int = BUCKET_BYTES) -> Iterator[QuestionRecords]:
    """One group a question; `folder` holds the temporary files and is removed at the end.

    The order depends on the records' order and number; what is in a group on neither.
    """
    size = sum(size_of(path) for shards in inputs.all().values() for path in shards.paths())
    buckets = min(MOST_BUCKETS, -(-size // bucket_bytes))
    if buckets <= 1:
        yield from _grouped(inputs)
        return
    refuse_link(folder)
    shutil.rmtree(folder, ignore_errors=True)
    try:
        for name, shards in inputs.all().items():
            _split(shards, "id" if name == "questions" else "question_id", folder, name, buckets)
        types = {name: shards.record_type for name, shards in inputs.all().items()}
        for bucket in range(buckets):
            yield from _grouped(Inputs(**{name: Shards(_place(folder, name, bucket), types[name]) for name in types}))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _place(folder: Path, name: str, bucket: int) -> Path:
    return folder / f"{name}-{bucket:03d}"


def _split(shards: Shards[Any], key: str, folder: Path, name: str, buckets: int) -> None:
    """Copies each line to the bucket of its question."""
    with ExitStack() as stack:
        files = []
        for bucket in range(buckets):
            place = _place(folder, name, bucket)
            place.mkdir(parents=True)
            files.append(stack.enter_context((place / "part-00000.jsonl").open("wb")))
        for path in shards.paths():
            for number, line in whole_lines(path):
                try:
                    question_id = json.loads(line)[key]
                except (ValueError, KeyError, TypeError):
                    log.warning("%s:%d cannot be read; it is left out", path, number)
                    continue
                files[zlib.crc32(str(question_id).encode()) % buckets].write(line + b"\n")


def _grouped(inputs: Inputs) -> Iterator[QuestionRecords]:
    found: dict[str, QuestionRecords] = {
        question.id: QuestionRecords(question.id, question) for question in inputs.questions
    }
    for name in ("responses", "verdicts", "continuations"):
        for record in getattr(inputs, name):
            group = found.setdefault(record.question_id, QuestionRecords(record.question_id))
            getattr(group, name).append(record)
    yield from found.values()
