"""One `mixpo` at a time in a run folder, or at a file: a lock that the kernel gives free however its holder ends."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mixpo.errors import UserError

log = logging.getLogger(__name__)


@contextmanager
def held(path: Path) -> Iterator[None]:
    """Holds the lock file `path` of a run folder: two that write the same shards would tear each other's lines.

    flock(2): gone with the process, also after SIGKILL. Raises UserError when another process holds it. Windows has
    none: there nothing is held. Where the file system has none (some NFS mounts), a warning says so, and work goes on.
    """
    with _locked(path, path.parent, "another run folder (`run=...`)"):
        yield


@contextmanager
def held_beside(out: Path) -> Iterator[None]:
    """As `held`, for a file or a folder that is to be written: by an empty `.<name>.lock` beside it, then gone."""
    real = Path(os.path.realpath(out))  # of links in a circle: the link
    path = real.with_name(f".{real.name}.lock") if real.name else real
    with _locked(path, out, "another place"):
        try:
            yield
        finally:
            if path.is_file() and not path.stat().st_size:  # nothing but a lock
                path.unlink(missing_ok=True)


@contextmanager
def _locked(path: Path, what: Path, instead: str) -> Iterator[None]:
    try:
        import fcntl  # noqa: F401
    except ImportError:
        yield
        return
    descriptor = _taken(path, what, instead)
    try:
        yield
    finally:
        os.close(descriptor)


def _taken(path: Path, what: Path, instead: str) -> int:
    """The open lock file, locked where its file system can."""
    import fcntl

    while True:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            # No link is followed, and no pipe waited for.
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK, 0o666)
        except OSError as error:
            raise UserError(f"{path.parent} cannot be written ({error.strerror}); choose {instead}") from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            said = f"another mixpo is writing to {what}; wait until it is done, or choose {instead}"
            raise UserError(said) from None
        except OSError as error:  # ENOLCK, EOPNOTSUPP, EIO: to refuse would shut out all who work on such a disk
            said = "%s cannot be locked (%s): its file system has no locks; see that no other mixpo writes there"
            log.warning(said, what, error.strerror)
            return descriptor
        if _stands(descriptor, path):
            return descriptor
        os.close(descriptor)  # who held it has removed it meanwhile


def _stands(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.lstat())
    except FileNotFoundError:
        return False
