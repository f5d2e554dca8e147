"""Damages files of runs and inputs, one at a time, and runs every command that reads them.

    PYTHONPATH=tests python -m robustness.fuzz --seconds 60 --seed 1      # or: make fuzz
    PYTHONPATH=tests python -m robustness.fuzz --case .hypothesis/robustness/0f3a….json

Each command must end within 20 s and 2 GB, with status 0 or 2 and no traceback, show nothing from outside and change
nothing that it did not write (`faults`). A case in which one does not is saved, once for each distinct fault, with what
was printed; saved cases are tried again first, and deleted when they are mended.
"""

import argparse
import contextlib
import dataclasses
import hashlib
import json
import os
import shutil
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import seed as seeded
from hypothesis import strategies as st

from robustness import small_run, subjects
from robustness.damage import Damage, damages, do
from robustness.faults import Fault, judged, tree
from robustness.forked import forked, one_thread, place, prepare
from robustness.subjects import KEY, Subject

SAVED = Path(".hypothesis/robustness")
ROUND = 200
"""Cases that hypothesis chooses with one seed."""
OFTEN = {"run": 4, "pairs": 2, "questions": 2}
"""Subjects with more files, or more kinds of them."""
RARE = (".safetensors", "tokenizer.json")
"""Files whose every byte is like the others: chosen once where another is chosen several times."""


@dataclass(frozen=True)
class Case:
    """One damage to one file of one subject."""

    subject: str
    file: str
    damage: Damage

    def __str__(self) -> str:
        return f"{self.subject}: {self.file}: {self.damage}"


@dataclass
class Figures:
    """What was done, and what came of it."""

    cases: Counter[str] = field(default_factory=Counter)
    commands: Counter[str] = field(default_factory=Counter)
    statuses: Counter[int] = field(default_factory=Counter)
    faults: dict[tuple[str, str], tuple[Case, Fault]] = field(default_factory=dict)
    times: Counter[tuple[str, str]] = field(default_factory=Counter)
    """How often each fault was seen."""
    slowest: float = 0.0
    largest: int = 0


class Fuzzer:
    """The subjects, whole, in `place`; each is copied to `case`, damaged, and read."""

    def __init__(self, place: Path):
        self.place, self.case, self.masters = place, place / "case", place / "masters"
        self.figures = Figures()
        # Made where it will lie in every case: a run's own recipe says its place.
        self.case.mkdir()
        prepare(place, lambda: self._small())
        self._move("run")
        environment = {"PYTHONPATH": os.pathsep.join(sys.path)}
        ended = forked(lambda: subjects.make(self.masters), place / "made.txt", patience=6)
        assert ended.status == 0, ended.output
        subjects.precious(self.place / "precious")
        self._begun()
        self.subjects: dict[str, Subject] = {}
        for name in sorted(path.name for path in self.masters.iterdir()):
            self.restore(name)
            self.subjects[name] = subjects.subjects(self.case)[name]
        self.files = {name: sorted(self._files(name)) for name in self.subjects}
        self.environment = {
            **{name: os.environ[name] for name in ("PATH", "LANG", "OMP_NUM_THREADS") if name in os.environ},
            **environment, "HOME": str(self.case / "home"), "TMPDIR": str(self.case / "tmp"), "HF_HUB_OFFLINE": "1",
            "OPENAI_API_KEY": KEY, "HF_TOKEN": KEY, "COLUMNS": "120",
        }  # fmt: skip

    def _small(self) -> None:
        small_run.make(self.case)

    def _move(self, name: str) -> None:
        (self.masters / name).mkdir(parents=True)
        (self.case / "run").rename(self.masters / name / "run")

    def _begun(self) -> None:
        """A run that ends without a word when its second checkpoint is whole."""

        def work() -> None:
            os.replace, real = lambda *given, **more: stop(*given, **more), os.replace

            def stop(*given, **more):
                real(*given, **more)
                if list((self.case / "run" / "checkpoints").rglob("checkpoint-2/mpo_state.json")):
                    os._exit(0)

            small_run.make(self.case)

        forked(work, self.place / "begun.txt", patience=6)
        mine = ("run/notes.txt", "run/pairs/notes/mine.txt")
        self._move("begun")
        for name in mine:
            (self.masters / "begun" / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(self.masters / "run" / name, self.masters / "begun" / name)

    def _files(self, name: str) -> Iterator[str]:
        """The files to choose from, those that differ more from each other more often."""
        mine = self.subjects[name].mine
        for path in (self.masters / name).rglob("*"):
            file = str(path.relative_to(self.masters / name))
            if path.is_file() and file not in mine and not file.endswith((".lock", ".DS_Store")):
                yield from [file] * (1 if file.endswith((*RARE, ".png")) else 3)

    def restore(self, name: str) -> None:
        """The case's folder as it is before a damage."""
        shutil.rmtree(self.case, ignore_errors=True)
        shutil.copytree(self.masters / name, self.case, symlinks=True)
        for folder in ("home", "tmp", "out"):
            (self.case / folder).mkdir()
        shutil.copytree(self.place / "precious", self.case / "precious")

    def strategy(self) -> st.SearchStrategy[Case]:
        def of(name: str) -> st.SearchStrategy[Case]:
            return st.sampled_from(self.files[name]).flatmap(
                lambda file: st.builds(Case, st.just(name), st.just(file), damages(file))
            )

        return st.sampled_from([name for name in sorted(self.subjects) for _ in range(OFTEN.get(name, 1))]).flatmap(of)

    def attack(self, case: Case) -> list[Fault]:
        """The faults of one case; of one that is new, what is needed to do it again is saved."""
        subject = self.subjects[case.subject]
        self.restore(case.subject)
        others = sorted({self.case / name for name in self.files[case.subject]} - {self.case / case.file})
        do(case.damage, self.case / case.file, others, self.case / "precious")
        self.figures.cases[case.subject] += 1
        found = []
        for command in subject.commands:
            if not case.file.startswith(command.reads):
                continue
            before = tree(self.case)
            ended = forked(command.work, self.place / "output.txt", folder=self.case, environment=self.environment)
            self.figures.commands[command.name] += 1
            self.figures.statuses[ended.status] += 1
            self.figures.slowest = max(self.figures.slowest, ended.seconds)
            self.figures.largest = max(self.figures.largest, ended.peak)
            for fault in judged(ended, command, subject, self.case, before):
                if fault.kind == "shown" and case.file.endswith(subject.named or ("recipe.yaml",)):
                    continue
                found.append(fault)
                if not self.figures.times[fault.key]:
                    self.figures.faults[fault.key] = (case, fault)
                    save(case, fault, ended.output)
                    say(f"{fault.kind}: {fault.where}; mixpo {fault.command}; {case}: {fault.last}")
                self.figures.times[fault.key] += 1
            if ended.over == "time":
                break  # the others would wait for the same
        return found


def say(text: str) -> None:
    print(text.encode("utf-8", "backslashreplace").decode(), flush=True)  # noqa: T201


def save(case: Case, fault: Fault, output: str) -> Path:
    name = hashlib.sha256(" ".join(fault.key).encode()).hexdigest()[:12]
    SAVED.mkdir(parents=True, exist_ok=True)
    path = SAVED / f"{name}.json"
    path.write_text(json.dumps({**dataclasses.asdict(case), "fault": dataclasses.asdict(fault)}, indent=1) + "\n")
    (SAVED / f"{name}.txt").write_text(f"{case}\n{fault.command}\n\n{output}", encoding="utf-8", errors="replace")
    return path


def saved(path: Path) -> Case:
    told = json.loads(path.read_text())
    return Case(told["subject"], told["file"], Damage(**told["damage"]))


def search(fuzzer: Fuzzer, seconds: float, seed: int) -> None:
    """Attacks until the time is over: the same cases, in the same order, for the same seed."""
    end = time.monotonic() + seconds
    number = 0
    while time.monotonic() < end:

        @seeded(seed * 1_000_003 + number)
        @settings(max_examples=ROUND, phases=[Phase.generate], database=None, deadline=None,
                  suppress_health_check=list(HealthCheck), derandomize=False)  # fmt: skip
        @given(fuzzer.strategy())
        def round_(case: Case) -> None:
            if time.monotonic() > end:
                return
            fuzzer.attack(case)
            if (cases := fuzzer.figures.cases.total()) % 100 == 0:
                say(f"{cases:,} cases, {len(fuzzer.figures.faults)} distinct faults")

        round_()
        number += 1


def told(figures: Figures, seconds: float) -> str:
    cases, commands = figures.cases.total(), figures.commands.total()
    lines = [
        f"{cases:,} cases ({_counted(figures.cases)}) in {seconds:,.0f} s, {60 * cases / seconds:,.0f} a minute",
        f"{commands:,} commands: {_counted(figures.commands)}",
        f"status: {_counted(figures.statuses)}; slowest {figures.slowest:.1f} s of a processor, "
        f"largest {figures.largest / 2**20:,.0f} MB",
        f"{len(figures.faults)} distinct faults",
    ]
    for key, (case, fault) in sorted(figures.faults.items()):
        lines += [
            "", f"{figures.times[key]} x {fault.kind}: {fault.where}",
            f"    mixpo {fault.command}; {case}", f"    {fault.last}",
        ]  # fmt: skip
    return "\n".join(lines)


def _counted(counter: Counter) -> str:
    return ", ".join(f"{number:,} {name}" for name, number in counter.most_common())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--case", type=Path, help="A saved case: this one alone; its folder is kept and named.")
    parser.add_argument("--fresh", action="store_true", help="Leave saved cases alone.")
    asked = parser.parse_args()
    one_thread()
    with place("fuzz") as folder:
        fuzzer = Fuzzer(folder)
        begun = time.monotonic()
        if asked.case:
            faults = fuzzer.attack(saved(asked.case))
        else:
            with contextlib.suppress(KeyboardInterrupt):
                _again(fuzzer, asked.fresh)
                search(fuzzer, asked.seconds, asked.seed)
            faults = list(fuzzer.figures.faults.values())
        say(told(fuzzer.figures, time.monotonic() - begun))
    if faults and not asked.case:
        say(f"\nsaved in {SAVED}; again: python -m robustness.fuzz --case {SAVED}/NAME.json")
    sys.exit(1 if faults else 0)


def _again(fuzzer: Fuzzer, fresh: bool) -> None:
    for path in sorted(SAVED.glob("*.json")) if not fresh else ():
        if not fuzzer.attack(saved(path)):
            path.unlink()
            path.with_suffix(".txt").unlink(missing_ok=True)


if __name__ == "__main__":
    main()
