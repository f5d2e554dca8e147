"""One `mixpo` at a time in a run folder: a lock that the kernel gives free however its holder ends."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mixpo.errors import UserError


@contextmanager
def held(path: Path) -> Iterator[None]:
    """Holds the lock file `path`: two that write the same shards would tear each other's lines.

    flock(2): gone with the process, also after SIGKILL. Raises UserError when another process holds it. Windows has
    none: there nothing is held.
    """
    try:
        import fcntl
    except ImportError:
        yield
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("ab")
    except OSError as error:
        raise UserError(f"{path.parent} cannot be written ({error.strerror}); choose another run folder") from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(
                f"another mixpo is writing to {path.parent}; wait until it is done, or choose another run folder "
                "(`run=...`)"
            ) from None
        yield
