"""mixpo on one real GPU, in about 8 minutes: exactness, first losses, sampling, memory and seconds beside TRL's.

    make gpu                                              # with mixpo installed, on the machine with the GPU

On a machine without network, whose libraries are older or lack some (transformers before 5.23 divides a loss by the
accumulation steps once too often):

    make gpu-bundle GPU_PYTHON=3.12                       # where there is a network: wheels/, for that machine's Python
    python benchmarks/gpu.py --wheels wheels              # there, in a copy of this checkout with wheels/ in it

torch, torchvision, accelerate and what else most such machines have is taken from there; the wheels are unpacked into
a temporary folder, and nothing of the machine's own is changed.

A line is printed for each finding, as it comes: `ok` or `WRONG` where it is known what must come out. A check that
fails, hangs or ends its process takes no other along. At the end stand a table in Markdown and a JSON file.

    --minutes 8      checks are in order of worth; those that no longer fit are listed as not run
    --only NAME      those whose name contains it (may be given several times)
    --rehearse       tiny sizes, nothing is kept unless --out says where; runs on a CPU, too, and on the null GPU of
                     tests/devices/null_gpu.py, where values mean nothing and `WRONG` says nothing
    --out FILE       benchmarks/results/gpu.json; the table lies beside it, and what libraries printed (.log)
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from gpu_checks.run import CHECKS, Check, Worker, shown

HERE = Path(__file__).parent


def with_wheels(folder: Path) -> None:
    """Starts this script anew, with what the wheels hold before what is installed."""
    with tempfile.TemporaryDirectory() as place:
        command = [sys.executable, "-m", "pip", "install", "-q", "--no-index", "--no-deps", "--no-compile"]
        subprocess.run([*command, "--target", place, *map(str, sorted(folder.glob("*.whl")))], check=True)
        paths = [place, str(HERE.parent / "src"), *filter(None, [os.environ.get("PYTHONPATH")])]
        own = [argument for argument in sys.argv if argument not in ("--wheels", str(folder), f"--wheels={folder}")]
        done = subprocess.run([sys.executable, *own], env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)})
    raise SystemExit(done.returncode)


def run(checks: list[Check], given: argparse.Namespace, log: str) -> list[dict[str, Any]]:
    """What each check found, printed and written as it comes."""
    start = time.monotonic()
    results: list[dict[str, Any]] = []

    def say(check: Check, what: Any) -> None:
        print(f"[{time.monotonic() - start:4.0f} s] {check.name}: {what}", flush=True)

    waiting = Worker(given.rehearse, log)
    try:
        for check in checks:
            result: dict[str, Any] = {"check": check.name, "rows": []}
            results.append(result)
            left = max(60 * given.minutes - (time.monotonic() - start), 0)
            if check.seconds > left and not given.rehearse:
                result["not run"] = f"{left:.0f} s were left, it takes about {check.seconds}"
                say(check, f"not run, {result['not run']}")
            else:
                worker, waiting = waiting, Worker(given.rehearse, log)
                for row in worker.run(check, 600 if given.rehearse else min(left, 3 * check.seconds + 30)):
                    result["rows"].append(asdict(row))
                    say(check, row)
            if given.out:
                found = {"when": datetime.now(UTC).isoformat(timespec="seconds"), "rehearsal": given.rehearse}
                given.out.write_text(json.dumps({**found, "checks": results}, indent=1) + "\n")
    finally:
        waiting.stop()
    return results


def table(results: list[dict[str, Any]]) -> str:
    lines = ["| check | of | found | |", "| --- | --- | --- | --- |"]
    for result in results:
        if "not run" in result:
            lines.append(f"| {result['check']} | | not run: {result['not run']} | |")
        for row in result["rows"]:
            figures = ", ".join(f"{name} {shown(value)}" for name, value in row["values"].items())
            verdict = {True: "ok", False: "WRONG", None: ""}[row["holds"]]
            lines.append(f"| {result['check']} | {row['name']} | {figures.replace('|', chr(92) + '|')} | {verdict} |")
    return "\n".join(lines) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=8)
    parser.add_argument("--only", action="append", default=[], metavar="NAME")
    parser.add_argument("--rehearse", action="store_true")
    parser.add_argument("--wheels", type=Path, metavar="DIR")
    parser.add_argument("--out", type=Path, metavar="FILE")
    given = parser.parse_args()
    if given.wheels:
        with_wheels(given.wheels)
    if given.out is None and not given.rehearse:
        given.out = HERE / "results" / "gpu.json"
    if given.out:
        given.out.parent.mkdir(parents=True, exist_ok=True)
    checks = [check for check in CHECKS if not given.only or any(name in check.name for name in given.only)]
    log = str(given.out.with_suffix(".log")) if given.out else os.devnull
    if given.rehearse:
        print("a rehearsal: sizes are tiny, and on a GPU that computes nothing values mean nothing", flush=True)
    results = run(checks, given, log)
    print("\n" + table(results))
    if given.out:
        given.out.with_suffix(".md").write_text(table(results))
    return int(any(row["holds"] is False for result in results for row in result["rows"]))


if __name__ == "__main__":
    raise SystemExit(main())
