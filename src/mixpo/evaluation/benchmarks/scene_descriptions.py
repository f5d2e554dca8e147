"""Descriptions of drawn scenes: how many of the objects they name are not there."""

from mixpo.evaluation.benchmarks.benchmark import Benchmark
from mixpo.evaluation.benchmarks.scene_objects import METRICS

BENCHMARK = Benchmark(
    title="descriptions of drawn scenes", loader="scenes", metrics=METRICS, primary="hallucinated", open_ended=True,
    defaults={"split": "test", "count": 300, "describe": True, "charts": 0.0},
)  # fmt: skip
