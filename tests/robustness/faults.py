"""What a command on damaged files must not do, whatever the damage."""

import base64
import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path

from robustness.forked import Ended
from robustness.subjects import KEY, WORD, Command, Subject

FRAME = re.compile(r'File "([^"]+)", line (\d+),? in (\S+)')
ERROR = re.compile(r"[\w.]+(Error|Exception|Interrupt|Exit|Warning)\b")
CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\udc80-\udcff]")
LONGEST = 4000
"""Characters of a line that is printed."""
SEARCHED = 16 * 2**20
"""Bytes of a file that may be searched for what must not be in it."""
ANYWHERE = ("home/", "tmp/", "out/")


@dataclass(frozen=True)
class Fault:
    """One thing that happened and must not."""

    command: str
    kind: str
    where: str
    """Of a traceback and a hang the innermost line of mixpo; else what was shown, changed, left."""
    last: str
    """The last line that was printed."""

    @property
    def key(self) -> tuple[str, str]:
        """Faults with the same are one: what a page or a command makes of the same line is not another."""
        of = self.command.split()[0] if self.kind not in ("traceback", "time") else ""
        return f"{of} {self.kind}".strip(), self.where


Tree = dict[str, tuple]


def tree(case: Path) -> Tree:
    """Every file below, by kind, size and the time of its last change."""
    found: Tree = {}
    for folder, folders, files in os.walk(case):
        for name in (*files, *folders):
            path = os.path.join(folder, name)
            about = os.lstat(path)
            mode = stat.S_IFMT(about.st_mode)
            found[os.path.relpath(path, case)] = (
                (mode,) if stat.S_ISDIR(mode) else (mode, about.st_size, about.st_mtime_ns, about.st_ino)
            )
    return found


def judged(ended: Ended, command: Command, subject: Subject, case: Path, before: Tree) -> list[Fault]:
    """All faults of one command on one case. `before`: the files as they were."""
    lines = [line for line in ended.output.splitlines() if line.strip()]
    last = lines[-1][:200] if lines else ""
    said: list[tuple[str, str]] = []
    if ended.over:
        said.append((ended.over, _innermost(ended.output, first=True)))
        last = f"{ended.seconds:.1f} s of a processor, {ended.peak / 2**20:,.0f} MB"
    elif "Traceback" in ended.output or "was not foreseen" in ended.output:
        error = next(
            (line for line in reversed(lines) if re.match(r"[\w.]+(Error|Exception|Interrupt|Exit)\b", line)), ""
        )
        last = error[:200] or last
        said.append(("traceback", f"{error.partition(':')[0]} in {_innermost(ended.output)}"))
    elif ended.status not in (0, 2):
        said.append(("status", f"{ended.status}"))
    if ended.left and not ended.over:
        said.append(("processes left", f"{ended.left}"))
    if not ended.over and "traceback" not in {kind for kind, _ in said}:
        if found := CONTROL.search(ended.output):
            line = next(line for line in ended.output.splitlines() if found[0] in line)
            said.append(("control character", f"{found[0]!r}"))
            last = ascii(line[:200])
        if not command.name.startswith("view") and any(len(line) > LONGEST for line in lines):
            said.append(("long line", ""))
    after = tree(case)
    for name, kind in _changed(before, after, command, subject):
        said.append((kind, re.sub(r"\d+", "N", name)))
    for name in _shown(ended.output, case, after, before):
        said.append(("shown", name))
    return [Fault(command.name, kind, where, last) for kind, where in said]


def _innermost(output: str, first: bool = False) -> str:
    """The innermost line of mixpo in a traceback; `first`: of one that begins with the innermost."""
    frames = [(file, name) for file, _, name in FRAME.findall(output) if "/mixpo/" in file]
    frames = [(file.rpartition("/mixpo/")[2], name) for file, name in frames if not file.endswith("/cli.py")]
    if not frames:
        return "?"
    file, name = frames[0 if first else -1]
    return f"{file}:{name}"


def _changed(before: Tree, after: Tree, command: Command, subject: Subject) -> list[tuple[str, str]]:
    found = []
    for name in sorted(before.keys() | after.keys()):
        was, now = before.get(name), after.get(name)
        if was == now or name in ("home", "tmp", "out") or name.endswith(".lock"):
            continue
        if name not in subject.mine and any(f"{name}/".startswith(each) for each in (*ANYWHERE, *command.writes)):
            continue
        kind = "made" if was is None else "removed" if now is None else "changed"
        found.append((name, kind))
    return found


def _secrets() -> dict[str, bytes]:
    word = WORD.encode()
    # As it stands in base64, whatever number of bytes is before it.
    in_base64 = {f"{WORD} {skip}": base64.b64encode(word[skip:])[: 4 * ((len(word) - skip) // 3)] for skip in (0, 1, 2)}
    return {**in_base64, WORD: word, KEY: KEY.encode()}


SECRETS = _secrets()


def _shown(output: str, case: Path, after: Tree, before: Tree) -> list[str]:
    """What of outside stands in the output, or in a file that the command has made."""
    found = ["the word in the output"] if WORD in output else []
    found += ["the key in the output"] if KEY in output else []
    for name, about in after.items():
        if before.get(name) == about or not stat.S_ISREG(about[0]) or about[1] > SEARCHED:
            continue
        try:
            content = (case / name).read_bytes()
        except OSError:
            continue
        found += [f"{'the key' if each == KEY else 'the word'} in {re.sub(r'[0-9]+', 'N', name)}"
                  for each, secret in SECRETS.items() if secret in content]  # fmt: skip
    return sorted(set(found))
