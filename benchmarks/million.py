"""A run of a million responses: how long the app takes to open it and to turn a page, and how large its report is.

    python benchmarks/million.py [--questions 31250] [--samples 32] [--folder runs/million] [--report]

Run it on an idle machine: it prints elapsed and processor time of every part. The folder is kept, and reused.
"""

import argparse
import json
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from mixpo.app import browse
from mixpo.app.browse import Filter
from mixpo.app.store import Store
from mixpo.app.views import Views
from mixpo.files import RunFiles
from mixpo.report.page import Config
from mixpo.report.page import run as report
from mixpo.text_files import write_text

WORDS = ["the", "red", "circle", "left", "of", "blue", "square", "so", "there", "are", "more", "shapes", "in", "this",
         "row", "than", "that", "one", "step", "count"]  # fmt: skip
SHARD = 50_000


@contextmanager
def timed(what: str) -> Iterator[None]:
    elapsed, processor = time.perf_counter(), time.process_time()
    yield
    elapsed, processor = time.perf_counter() - elapsed, time.process_time() - processor
    print(f"{what}: {elapsed:.2f} s elapsed, {processor:.2f} s of processor", flush=True)


def lines(folder: Path, count: int, line: Callable[[int], dict]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for shard in range(-(-count // SHARD)):
        with (folder / f"part-{shard:05d}.jsonl").open("w", encoding="utf-8") as file:
            for number in range(shard * SHARD, min(count, (shard + 1) * SHARD)):
                file.write(json.dumps(line(number)) + "\n")


def make(files: RunFiles, questions: int, samples: int) -> None:
    """Questions, responses of about 100 words with their tokens, verdicts and four pairs a question."""
    rng = random.Random(0)
    texts = [" ".join(rng.choices(WORDS, k=100)) + f" Final answer: {n % 10}" for n in range(500)]
    tokens = [rng.choices(range(32_000), k=130) for _ in range(500)]
    write_text(files.recipe, "name: million\nsteps: {verify: {uses: verify, responses: sample}}\n")

    def question(n: int) -> dict:
        return {"id": f"q-{n}", "text": f"How many {WORDS[n % 20]}?", "answer": str(n % 10), "kind": "integer"}

    def response(n: int) -> dict:
        own = f"q-{n // samples}"
        pick = (n * 7919) % 500
        return {"id": f"{own}/{n % samples}", "question_id": own, "sample": n % samples, "text": texts[pick],
                "finish_reason": "stop", "token_ids": tokens[pick], "completion_tokens": 131}  # fmt: skip

    def verdict(n: int) -> dict:
        outcome = ("correct", "incorrect", "unparsed")[(n * 31) % 7 % 3]
        own = f"q-{n // samples}"
        return {"id": f"{own}/{n % samples}", "question_id": own, "outcome": outcome, "extracted": str(n % 10)}

    def pair(n: int) -> dict:
        own, a = f"q-{n // 4}", (n * 13) % 500
        return {"id": f"{own}/{n % 4}>9", "question_id": own, "prompt": "How many?", "chosen": texts[a],
                "rejected": texts[(a + 1) % 500], "origin": "correctness"}  # fmt: skip

    lines(files.questions("questions").folder, questions, question)
    lines(files.responses("sample").folder, questions * samples, response)
    lines(files.verdicts("verify").folder, questions * samples, verdict)
    lines(files.pairs("pair").folder, questions * 4, pair)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--questions", type=int, default=31_250)
    parser.add_argument("--samples", type=int, default=32)
    parser.add_argument("--folder", type=Path, default=Path("runs/million"))
    parser.add_argument("--report", action="store_true", help="write report.html too")
    given = parser.parse_args()
    files = RunFiles(given.folder)
    if not files.recipe.exists():
        with timed("making the run"):
            make(files, given.questions, given.samples)
    with timed("opening, to the first page of questions"):
        views = Views(files)
        views.overview()
        views.listing("questions", {})
    with timed("until responses and pairs are there too"):
        views.store.wait()
    pages(views.store)
    views.close()
    if given.report:
        with timed("the report"):
            report(Config(), files)
        print(f"report.html: {files.report.stat().st_size / 1e6:.2f} MB")


def pages(store: Store) -> None:
    looks = {
        "responses, first page": ("responses", Filter(), 1),
        "responses, page 20,000": ("responses", Filter(), 20_000),
        "responses, incorrect, longest first": ("responses", Filter(outcome="incorrect", sort="longest"), 3),
        "responses with two words": ("responses", Filter(text="answer: 7"), 2),
        "questions, fewest right first": ("questions", Filter(sort="fewest right"), 100),
        "pairs, shortest first": ("pairs", Filter(sort="shortest"), 10),
    }
    for what, (name, wanted, number) in looks.items():
        with timed(what):
            browse.page(store, name, wanted, number)
    with timed("one question with its responses"):
        browse.responses(store, "q-17")


if __name__ == "__main__":
    main()
