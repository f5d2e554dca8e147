"""Speed and memory of the judge, beside math-verify's own `verify(parse(gold), parse(answer))`.

    python benchmarks/verify.py [--cores 2] [--million]

Responses are drawn here, 32 a question, in the ways in which models write: chains of thought with a marked answer,
boxes, bare values, last sentences. Nothing is repeated word for word, so that no cache of whole responses could help.
"""

import argparse
import os
import random
import resource
import sys
import time
from collections.abc import Iterator

from mixpo.records import AnswerKind, FinishReason, Question, Response
from mixpo.verdicts.verify import Config, judge, verify

SAMPLES = 32
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
            question = Question(id=f"q-{index // SAMPLES}", text="How long?", answer=truth, kind=kind, choices=options)
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


def speed(kind: AnswerKind, count: int, cores: int) -> tuple[float, float]:
    """Verdicts a second over `cores`, by the clock (start of the processes included) and by processor time of one."""
    made = list(pairs(kind, count))
    questions = {question.id: question for question, _ in made}
    started = time.perf_counter()
    done = sum(1 for _ in judge(questions, (response for _, response in made), Config(workers=cores)))
    by_clock = done / (time.perf_counter() - started)
    started = time.process_time()
    for question, response in made[: count // 4]:
        verify(question, response)
    return by_clock, count // 4 / (time.process_time() - started)


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


def memory(count: int) -> list[int]:
    """Peak resident memory of this process (MiB) after every tenth of `count` verdicts."""
    peaks: list[int] = []
    stream = pairs(AnswerKind.INTEGER, count)
    for number, (question, response) in enumerate(stream, 1):
        verify(question, response)
        if number % (count // 10) == 0:
            peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
    return peaks


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cores", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--million", action="store_true", help="also the memory over a million verdicts")
    options = parser.parse_args()
    print(f"{'kind':<12}{'a second on ' + str(options.cores) + ' cores':>22}{'a second of one core':>24}")
    for kind in (AnswerKind.CHOICE, AnswerKind.INTEGER, AnswerKind.TEXT, AnswerKind.EXPRESSION):
        by_clock, by_core = speed(kind, options.count, options.cores)
        print(f"{kind:<12}{by_clock:>22,.0f}{by_core:>24,.0f}", flush=True)
    theirs = math_verify_speed(1_000)
    print(f"{'math-verify':<12}{'':>22}{theirs:>24,.0f}   (expressions; ours is {by_core / theirs:.0f} times as fast)")
    if options.million:
        print("peak memory, MiB, after every 100,000 verdicts:", *memory(1_000_000))
    sys.stdout.flush()


if __name__ == "__main__":
    main()
