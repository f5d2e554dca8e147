"""What was paid for before its block is whole: on disk as it comes, so that no kill loses it."""

from pathlib import Path
from typing import IO, Any, Generic, TypeVar

from mixpo.json_lines import to_json
from mixpo.shards import read_records
from mixpo.text_files import appended, cut_torn_line, writing

T = TypeVar("T")


class Journal(Generic[T]):
    """Records of blocks that are not whole, beside the shards that get them when they are; then the file is gone."""

    def __init__(self, folder: Path, record_type: type[T]):
        self.path, self.record_type = folder / "begun.jsonl", record_type
        self._file: IO[bytes] | None = None

    def read(self) -> list[T]:
        """What an earlier call has kept, in the order it came. Raises DataError as `Shards` do."""
        return list(read_records(self.path, self.record_type)) if self.path.exists() else []

    def keep(self, record: T) -> None:
        """Raises UserError when it cannot be written: nothing more is paid for that cannot be kept."""
        with writing(self.path):
            if self._file is None:
                self._file = appended(self.path)
                cut_torn_line(self.path)
            self._file.write(f"{to_json(record)}\n".encode())
            self._file.flush()

    def clear(self) -> None:
        """Its records lie in the shards."""
        self.close()
        with writing(self.path):
            self.path.unlink(missing_ok=True)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def __enter__(self) -> "Journal[T]":
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()
