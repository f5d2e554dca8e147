"""Runs that are killed while they write, again and again, and must end as one that nobody disturbed.

    PYTHONPATH=tests python -m robustness.kill --points 200 --seed 0                    # or: make kill
    PYTHONPATH=tests python -m robustness.kill --of study --replay 'pairs/*.jsonl:12:SIGKILL,…'
        does a case that was printed again

A point is a call that changes the run folder (`kill_points.c`). At a random one of a random file the command is sent
SIGKILL, SIGTERM or SIGINT, half of a write done, and the same command is run again: it may be ended again, at files
that come later, and the last one may not. Then every file must have the bytes of the undisturbed run's
(`small_run.contents`).
"""

import argparse
import contextlib
import ctypes
import json
import os
import random
import re
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from signal import Signals

from robustness.forked import Ended, forked, mixpo, one_thread, place, prepare
from robustness.small_run import contents, write_recipe

SIGNALS = (Signals.SIGKILL, Signals.SIGTERM, Signals.SIGINT)
PATIENCE = 10.0
SOURCE = Path(__file__).with_name("kill_points.c")
LIBRARY = "KILL_POINTS"
NUMBERS = re.compile(r"\d+|(?<=/\.tmp)\w+")
"""In which names of files of one kind differ; safetensors writes to names of its own."""
QUICKSTART = (
    "questions.sources.scenes.count=12", "questions.sources.pictures.count=3", "sample.n=4", "train.batch=4",
    "train.micro_batch=4", "train.save_steps=1", "train.max_records=12", "evaluate.benchmarks.scenes.count=4",
    "evaluate.benchmarks.longer.count=2", "evaluate.max_new_tokens=80", "sample.max_new_tokens=120",
)  # fmt: skip
"""The quickstart's own recipe, smaller still: some seconds, every step of it."""
STUDY = (
    "study.data.questions.sources.scenes.count=12", "study.data.questions.sources.pictures.count=4",
    "study.data.sample.n=4", "study.data.sample.max_new_tokens=100", "study.data.dropout.max_new_tokens=60",
    "study.train.batch=4", "study.train.micro_batch=4", "study.train.max_records=8", "study.only=[mpo, sft]",
    "study.train.save_steps=1", "study.evaluate.benchmarks.scenes.count=4",
    "study.evaluate.benchmarks.descriptions.count=2", "study.evaluate.max_new_tokens=80",
)  # fmt: skip


def commands(folder: Path) -> dict[str, Callable[[Path], tuple[str, ...]]]:
    """What can be killed, by name: the arguments that make the run folder given."""
    import mixpo

    quickstart = str(Path(mixpo.__file__).parent / "recipes" / "quickstart.yaml")
    study = str(Path(__file__).parents[2] / "recipes" / "ablation-small.yaml")
    small = str(write_recipe(folder / "small.yaml"))
    return {
        "small": lambda run: ("run", small, f"run={run}"),
        "quickstart": lambda run: ("run", quickstart, f"run={run}", *QUICKSTART),
        "study": lambda run: ("ablate", study, f"run={run}", *STUDY),
    }


@dataclass
class Figures:
    """What came of it."""

    points: int = 0
    """Of the undisturbed run."""
    kills: Counter[str] = field(default_factory=Counter)
    """By signal."""
    statuses: Counter[str] = field(default_factory=Counter)
    """With which a command ended that was sent a signal."""
    runs: int = 0
    """That ended, and were compared."""
    faults: list[str] = field(default_factory=list)
    seconds: float = 0.0


@dataclass(frozen=True)
class Point:
    """The n-th call that changes a file of this pattern, and the signal that is sent there; 0: none."""

    pattern: str = "*"
    number: int = 0
    signal: Signals = Signals.SIGKILL

    def __str__(self) -> str:
        return f"{self.pattern}:{self.number}:{self.signal.name}"


@dataclass
class Attack:
    """One command, in a folder of its own."""

    folder: Path
    command: Callable[[Path], tuple[str, ...]]
    rng: random.Random
    figures: Figures = field(default_factory=Figures)

    def __post_init__(self) -> None:
        self.library = ctypes.CDLL(os.environ[LIBRARY])
        (self.folder / "tmp").mkdir()
        listed = self.folder / "listed"
        ended = self._run("whole", Point(), str(listed))
        assert ended.status == 0, ended.output
        self.expected = contents(self.folder / "whole")
        # In the order in which a run comes to them: of those before the last one nothing may be left to do.
        self.patterns = Counter(NUMBERS.sub("*", line) for line in listed.read_text().splitlines())
        self.figures.points = self.patterns.total()

    def kill(self, points: int) -> None:
        """So many kills; after one to eight of them the run may end, and is compared."""
        order = list(self.patterns)
        while self.figures.kills.total() < points:
            chosen = sorted(self.rng.sample(range(len(order)), min(len(order), self.rng.randint(1, 8))))
            case = [Point(order[at], self._number(order[at]), self.rng.choice(SIGNALS)) for at in chosen]
            self.replay(case)

    def _number(self, pattern: str) -> int:
        return self.rng.randint(1, self.patterns[pattern])

    def replay(self, case: list[Point]) -> None:
        """Ends the command at each point, and lets it come to its end."""
        done: list[Point] = []
        for point in [*case, Point()]:
            if not self._goes_on(point, done):
                return

    def _goes_on(self, point: Point, done: list[Point]) -> bool:
        """Runs the command; False when it came to its end, and was compared."""
        ended = self._run("killed", point)
        counted = self.folder / "points"
        reached = not counted.exists() or 0 < point.number <= int(counted.read_text())
        if reached:
            done.append(point)
            self.figures.kills[point.signal.name] += 1
            self.figures.statuses[f"{point.signal.name} {ended.status}"] += 1
        fault = self._fault(ended, reached, point.signal)
        if not fault and ended.status:
            return True
        if not fault:
            self.figures.runs += 1
            fault = difference(self.expected, contents(self.folder / "killed"))
        if fault:
            self.figures.faults.append(f"--replay '{','.join(map(str, done))}': {fault}")
        shutil.rmtree(self.folder / "killed", ignore_errors=True)
        return False

    def _fault(self, ended: Ended, reached: bool, number: Signals) -> str:
        if ended.over:
            return f"over its {ended.over}: {ended.output[-1000:]}"
        if ended.status == 0 or (reached and ended.status in (-number, 128 + number)):
            return ""
        return f"status {ended.status}: {ended.output[-1000:]}"

    def _run(self, name: str, point: Point, listed: str = "") -> Ended:
        run, points = self.folder / name, self.folder / "points"
        points.unlink(missing_ok=True)

        def work() -> None:
            below, only, place = map(os.fsencode, (run, point.pattern, listed))
            self.library.kill_points_arm(below, only, ctypes.c_long(point.number), int(point.signal), place)
            try:
                mixpo(*self.command(run))()
            finally:
                points.write_text(str(self.library.kill_points_seen()))

        environment = {**os.environ, "TMPDIR": str(self.folder / "tmp")}
        return forked(work, self.folder / "output", environment=environment, patience=PATIENCE)


def read_case(text: str) -> list[Point]:
    parts = (each.rsplit(":", 2) for each in text.split(",") if each)
    return [Point(pattern, int(number), Signals[name]) for pattern, number, name in parts]


def difference(expected: dict[str, str], found: dict[str, str]) -> str:
    """In which files two runs differ; empty: in none."""
    missing, more = sorted(expected.keys() - found.keys()), sorted(found.keys() - expected.keys())
    other = sorted(name for name in expected.keys() & found.keys() if expected[name] != found[name])
    said = (("missing", missing), ("too many", more), ("different", other))
    return "; ".join(f"{word}: {', '.join(names)}" for word, names in said if names)


def missing() -> str:
    """Why nothing can be killed here; empty when it can."""
    if sys.platform != "linux" or shutil.which("gcc") is None:
        return "the library that counts write points is for Linux, and built with gcc"
    return ""


@contextlib.contextmanager
def preloaded() -> Iterator[None]:
    """In a process that has the library: this one, begun anew with it."""
    if LIBRARY not in os.environ:
        with place("points") as folder:
            made = str(folder / "kill_points.so")
            subprocess.run(["gcc", "-shared", "-fPIC", "-O1", "-Wall", "-o", made, str(SOURCE), "-ldl"], check=True)
            environment = {**os.environ, "LD_PRELOAD": made, LIBRARY: made}
            sys.exit(subprocess.run(sys.orig_argv, env=environment, check=False).returncode)
    yield


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--points", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--of", nargs="+", default=["quickstart", "study"], help="small, quickstart, study")
    parser.add_argument("--replay", default="", help="FILE:POINT:SIGNAL,…: this case alone")
    parser.add_argument("--expected", type=Path, help="Where the undisturbed run of the (one) command is copied to.")
    given = parser.parse_args()
    if reason := missing():
        sys.exit(reason)
    one_thread()
    with preloaded(), place("kill") as folder:
        found = _all(given, folder)
    print(json.dumps(found, indent=1))  # noqa: T201
    sys.exit(1 if any(each["faults"] for each in found.values()) else 0)


def _all(given: argparse.Namespace, folder: Path) -> dict[str, dict]:
    found: dict[str, dict] = {}
    ready = commands(folder)
    for name in given.of:
        (folder / name).mkdir()
        if not found:
            prepare(folder, mixpo_of(ready[name](folder / "first")))
        begun = time.monotonic()
        attack = Attack(folder / name, ready[name], random.Random(given.seed))
        if given.expected:
            shutil.copytree(folder / name / "whole", given.expected)
        if given.replay:
            attack.replay(read_case(given.replay))
        else:
            attack.kill(given.points // len(given.of))
        attack.figures.seconds = round(time.monotonic() - begun, 1)
        found[name] = vars(attack.figures)
    return found


def mixpo_of(arguments: tuple[str, ...]) -> Callable[[], None]:
    def work() -> None:
        try:
            mixpo(*arguments)()
        except SystemExit as error:
            if error.code:
                raise

    return work


if __name__ == "__main__":
    main()
