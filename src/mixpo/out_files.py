"""Files that a command writes where the user says: looked at before anything is done to them."""

from collections.abc import Callable
from pathlib import Path

from mixpo.errors import DataError, UserError
from mixpo.text_files import read_bytes
from mixpo.yaml_file import read_saved

IsOne = Callable[[bytes], object]
"""Raises ValueError for a line that is none of those that a file is to hold."""


MOST = 1 << 30
"""Bytes of a page."""
OF_A_RUN = {"report.html": b"mixpo report", "ablation.html": b": ablation</title>"}
"""What a run writes into its folder under a name that others use, too, and what stands in it."""


def refuse_others_in(root: Path) -> None:
    """Raises UserError when a run folder holds a file of others that the run would replace: it may be the folder in
    which people keep their recipe. Raises DataError for a recipe that cannot be read."""
    recipe = root / "recipe.yaml"
    others = [recipe] if recipe.exists() and "versions" not in read_saved(recipe) else []
    for name, mark in OF_A_RUN.items():
        path = root / name
        if path.is_file() and mark not in read_bytes(path, MOST):
            others.append(path)
    for path in others:
        raise UserError(f"{path} would be replaced, and is none of a run; choose another run folder (`run=...`)")


def refuse_inputs(out: Path, *inputs: Path | None) -> None:
    """Raises UserError when `out` is one of the files that are read, by whatever name (a link's, another folder's)."""
    for path in inputs:
        if path is not None and out.exists() and path.exists() and out.samefile(path):
            raise UserError(f"{out} is the same file as {path}, which is read; write to another one")


def refuse_other_lines(out: Path, what: str, is_one: IsOne) -> None:
    """Raises UserError when `out` is there and holds a line that is none of `what` (empty files are anybody's)."""
    rest = unended(out, what, is_one)
    if rest:
        _check(rest, f"{out}: its last line", what, is_one)


def unended(out: Path, what: str, is_one: IsOne) -> bytes:
    """What stands behind the last newline of `out`; the lines before it are checked as `refuse_other_lines` does."""
    if not out.exists():
        return b""
    if not out.is_file():
        raise UserError(f"{out} cannot be written (it is no file); name another place for the {what}")
    try:
        with out.open("rb") as file:
            for number, line in enumerate(file, 1):
                if not line.endswith(b"\n"):
                    return line
                _check(line, f"{out}:{number}", what, is_one)
    except OSError as error:
        raise UserError(f"{out} cannot be read ({error.strerror}); choose another file") from error
    return b""


def _check(line: bytes, where: str, what: str, is_one: IsOne) -> None:
    try:
        is_one(line)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{where}: not a file of {what} ({error}); choose another file for them") from None
