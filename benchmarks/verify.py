"""Speed and memory of `mixpo verify`, beside math-verify's own `verify(parse(gold), parse(answer))`.

    python benchmarks/verify.py [--cores 2] [--count 200000] [--million] [--out benchmarks/results/verify.json]

Run it on an idle machine. Measured from files to file, as `mixpo verify --questions Q --responses R --out V` does it:
start of the processes, reading, judging, writing. Responses are drawn here, 32 a question, in the ways in which models
write: chains of thought with a marked answer, boxes, bare values, last sentences. No text is repeated, so that no cache
of whole responses could help. `--million`: a million responses of all four kinds, and the memory of all processes.
"""

import argparse
import json
import os
import platform
import random
import tempfile
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.metadata import version
from itertools import chain
from pathlib import Path

from mixpo.json_lines import to_json
from mixpo.records import AnswerKind, FinishReason, Question, Response
from mixpo.verdicts.verify import verify
from mixpo.verdicts.verify_files import verify_files

SAMPLES = 32
KINDS = (AnswerKind.CHOICE, AnswerKind.INTEGER, AnswerKind.TEXT, AnswerKind.EXPRESSION)
THOUGHT = (
    "First I look at the left side of the picture and count what is there. ",
    "There are {a} red objects and {b} blue ones. ",
    "The larger one stands behind the cylinder. ",
    "Subtracting {a} from {c} leaves {b}. ",
)
ENDINGS = (
    "Final answer: {}",
    "So the answer is {}.",
    "Therefore, \\boxed{{{}}}.",
    "The correct answer is **{}**.",
    "{}",
)
COLOURS = ("red", "green", "blue", "yellow", "purple", "grey", "brown")


def thought(rng: random.Random) -> str:
    """A chain of thought of about 200 characters."""
    numbers = {name: rng.randint(1, 99) for name in "abc"}
    return "".join(line.format(**numbers) for line in rng.sample(THOUGHT, 3))


def answers(kind: AnswerKind, rng: random.Random) -> tuple[str, tuple[str, ...], list[str]]:
    """The truth, the options, and what models may answer (the first is right)."""
    if kind is AnswerKind.CHOICE:
        options = tuple(f"{rng.randint(1, 500)} cm" for _ in range(4))
        return "B", options, [f"(B) {options[1]}", f"(C) {options[2]}", "B", "A"]
    if kind is AnswerKind.TEXT:
        truth, other = (f"{rng.choice(COLOURS)} {shape}" for shape in ("circle", "square"))
        return truth, (), [truth, f"a {truth}", other, f"the {other}"]
    if kind is AnswerKind.EXPRESSION:
        a, b = rng.randint(2, 9), rng.randint(1, 9)
        forms = [
            f"{a}x+{a * b}",
            f"{a}(x+{b})",
            f"\\frac{{{2 * a}x+{2 * a * b}}}{{2}}",
            f"{a}x-{b}",
            f"\\frac{{{a}}}{{{b}}}",
        ]
        return forms[1], (), forms
    number = rng.randint(1, 9999)
    return str(number), (), [str(number), f"{number:,}", str(number + 1), f"{number} cm"]


def pairs(kind: AnswerKind, count: int, seed: int = 0) -> Iterator[tuple[Question, Response]]:
    """Questions with `SAMPLES` responses each."""
    rng = random.Random(seed)
    for index in range(count):
        if index % SAMPLES == 0:
            truth, options, said = answers(kind, rng)
            question = Question(
                id=f"{kind}-{index // SAMPLES}", text="How long?", answer=truth, kind=kind, choices=options
            )
        text = thought(rng) + rng.choice(ENDINGS).format(rng.choice(said))
        yield (
            question,
            Response(
                id=f"{question.id}/{index % SAMPLES}",
                question_id=question.id,
                sample=index % SAMPLES,
                text=text,
                finish_reason=FinishReason.STOP,
            ),
        )


def write(folder: Path, made: Iterator[tuple[Question, Response]]) -> tuple[Path, Path, Path]:
    """The two input files, and where the verdicts go."""
    questions, responses = folder / "questions.jsonl", folder / "responses.jsonl"
    last = None
    with questions.open("w") as asked, responses.open("w") as said:
        for question, response in made:
            if question is not last:
                asked.write(to_json(question) + "\n")
                last = question
            said.write(to_json(response) + "\n")
    return questions, responses, folder / "verdicts.jsonl"


def by_clock(made: Iterator[tuple[Question, Response]], count: int, memory: list[int] | None = None) -> float:
    """Verdicts a second, from files to file; `memory` gets the MiB of all processes, once a second."""
    with tempfile.TemporaryDirectory() as folder:
        paths = write(Path(folder), made)
        done = threading.Event()
        watch = threading.Thread(target=watch_memory, args=(memory, done)) if memory is not None else None
        if watch:
            watch.start()
        started = time.perf_counter()
        verify_files(*paths)
        seconds = time.perf_counter() - started
        done.set()
        if watch:
            watch.join()
        with paths[2].open() as file:
            assert sum(1 for _ in file) == count
    return count / seconds


def by_core(kind: AnswerKind, count: int) -> float:
    """Verdicts per second of processor time in one process, without files."""
    made = list(pairs(kind, count))
    started = time.process_time()
    for question, response in made:
        verify(question, response)
    return count / (time.process_time() - started)


def math_verify_speed(count: int) -> float:
    """math-verify's verdicts per second of processor time, on the same expressions, without its own time limits."""
    from math_verify import parse
    from math_verify import verify as same

    made = list(pairs(AnswerKind.EXPRESSION, count))
    started = time.process_time()
    for question, response in made:
        same(
            parse(f"${question.answer}$", parsing_timeout=None),
            parse(response.text, parsing_timeout=None),
            timeout_seconds=None,
        )
    return count / (time.process_time() - started)


def watch_memory(found: list[int], done: threading.Event) -> None:
    """Appends the resident memory (MiB) of this process and all its children, once a second."""
    while not done.wait(1):
        found.append(sum(map(resident, family(os.getpid()))) // 1024)


def family(process: int) -> list[int]:
    """A process and its descendants (Linux)."""
    found = [process]
    for path in Path(f"/proc/{process}/task").glob("*/children"):
        for child in path.read_text().split():
            found += family(int(child))
    return found


def resident(process: int) -> int:
    """KiB of memory that a process holds now; 0 when it has ended."""
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("VmRSS")), 0)


def main() -> None:
    """Prints the table and writes the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--count", type=int, default=200_000)
    parser.add_argument("--million", action="store_true")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "verify.json")
    given = parser.parse_args()
    cores = sorted(os.sched_getaffinity(0))[: given.cores]
    os.sched_setaffinity(0, cores)
    figures: dict = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": f"{len(cores)} cores, {platform.machine()}, Python {platform.python_version()}",
        "mixpo": version("mixpo"),
        "count": given.count,
        "kinds": {},
    }
    print(f"{'kind':<12}{'a second on ' + str(len(cores)) + ' cores':>22}{'a second of one core':>24}")
    for kind in KINDS:
        found = {"clock": by_clock(pairs(kind, given.count), given.count), "core": by_core(kind, given.count // 4)}
        figures["kinds"][kind] = found
        print(f"{kind:<12}{found['clock']:>22,.0f}{found['core']:>24,.0f}", flush=True)
    theirs = math_verify_speed(1_000)
    times = figures["kinds"][AnswerKind.EXPRESSION]["core"] / theirs
    figures["math-verify"] = {"core": theirs, "ours is faster by": times}
    print(f"{'math-verify':<12}{'':>22}{theirs:>24,.0f}   (expressions; ours is {times:.0f} times as fast)")
    if given.million:
        memory: list[int] = []
        made = chain.from_iterable(pairs(kind, 250_000) for kind in KINDS)
        figures["million"] = {"clock": by_clock(made, 1_000_000, memory), "MiB each second": memory}
        tenths = [max(memory[at * len(memory) // 10 : (at + 1) * len(memory) // 10 or 1]) for at in range(10)]
        print(f"a million: {figures['million']['clock']:,.0f} a second; MiB in each tenth of the time:", *tenths)
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
