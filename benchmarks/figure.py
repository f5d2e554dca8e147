"""The figure of a study as an image for a page: accuracy of every variant with its interval.

python benchmarks/figure.py runs/ablation scenes cot docs/images/ablation.svg
"""

import sys
from pathlib import Path

from mixpo.report.ablation import figure
from mixpo.text_files import read_json

STYLE = """<style>
text { font: 12px sans-serif; fill: #222 } .label { text-anchor: end }
.t0 { fill: #b9bec6 } .t1 { fill: #7ba7d9 } .t2 { fill: #1f5fa8 }
.interval { stroke: #222; stroke-width: 1; fill: none }
</style>"""


def main(run: Path, benchmark: str, style: str, out: Path) -> None:
    content = read_json(run / "ablation.json")
    if content is None:
        raise SystemExit(f"{run}: no ablation.json there; run `mixpo ablate` first")
    head, end, rest = str(figure(content, benchmark, style)).partition(">")
    named = head if "xmlns" in head else head.replace("<svg", '<svg xmlns="http://www.w3.org/2000/svg"', 1)
    background = '<rect width="100%" height="100%" fill="#fff"/>'
    out.write_text(f"{named}{end}{STYLE}{background}{rest}\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:4], Path(sys.argv[4]))
