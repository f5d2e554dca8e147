"""Drawn scenes (`mixpo.questions.scenes`): accuracy, and, since the truth is known, whether the steps are true."""

from mixpo.evaluation.benchmarks.benchmark import Benchmark
from mixpo.evaluation.benchmarks.scene_steps import METRICS

BENCHMARK = Benchmark(title="drawn scenes", loader="scenes", defaults={"split": "test", "count": 600}, metrics=METRICS)
