"""Averages what several runs of one recipe with different seeds reached.

    for seed in 0 1 2; do mixpo quickstart --seed $seed --out runs/quickstart-$seed; done
    python benchmarks/seeds.py runs/quickstart-0 runs/quickstart-1 runs/quickstart-2

Accuracy is averaged over the runs. The difference of two models is averaged too; its p value pools the questions that
training fixed and broke over the runs (exact McNemar test: the runs' questions are different ones).
"""

import json
import sys
from collections import defaultdict
from pathlib import Path
from statistics import mean

from mixpo.evaluation.statistics import mcnemar
from mixpo.files import RunFiles


def main(folders: list[Path]) -> None:
    values = defaultdict(list)
    compared = defaultdict(list)
    seconds = []
    for folder in folders:
        evaluation = RunFiles(folder).evaluation("evaluate")
        for score in evaluation.scores():
            if score.category == "all" and score.metric == "accuracy":
                values[score.benchmark, score.style, score.model].append(score.value)
        for row in json.loads(evaluation.json("comparisons").read_text(encoding="utf-8")):
            if row["category"] == "all" and row["metric"] == "accuracy":
                before, after = (f"{row[side + '_model']} {row[side + '_style']}" for side in ("before", "after"))
                compared[row["benchmark"], before, after].append(row)
        seconds.append(sum(json.loads(path.read_text())["seconds"] for path in (folder / "timings").glob("*.json")))
    for (benchmark, style, model), found in sorted(values.items()):
        each = ", ".join(f"{100 * value:.1f}" for value in found)
        print(f"{benchmark:10} {style:8} {model:8} {100 * mean(found):5.1f} %   ({each})")
    for (benchmark, before, after), rows in sorted(compared.items()):
        fixed, broken = sum(row["fixed"] for row in rows), sum(row["broken"] for row in rows)
        points = mean(100 * row["value"] for row in rows)
        p = mcnemar(fixed, broken)
        print(f"{benchmark:10} {after} - {before}: {points:+.1f} points, fixed {fixed}, broken {broken}, p = {p:.2g}")
    print(f"seconds of the steps: {', '.join(f'{value:.0f}' for value in seconds)}")


if __name__ == "__main__":
    main([Path(argument) for argument in sys.argv[1:]])
