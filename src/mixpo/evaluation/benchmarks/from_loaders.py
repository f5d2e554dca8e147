"""Benchmarks that a loader of `mixpo.questions` reads: drawn scenes and figures of known truth, Cornell NLVR.

NLVR (Suhr et al., ACL 2017) has each statement six times, boxes permuted; the publisher's second metric, consistency,
is the share of statements judged rightly in all six orders.
"""

from mixpo.evaluation.benchmarks import checked_steps, scene_objects
from mixpo.evaluation.benchmarks.benchmark import Benchmark

BENCHMARKS = {
    "scenes": Benchmark(
        title="drawn scenes", loader="scenes", defaults={"split": "test", "count": 600}, metrics=checked_steps.METRICS
    ),
    "figures": Benchmark(
        title="drawn figures", loader="figures", defaults={"split": "test", "count": 600}, metrics=checked_steps.METRICS
    ),
    "scene_descriptions": Benchmark(
        title="descriptions of drawn scenes", loader="scenes", metrics=scene_objects.METRICS, open_ended=True,
        defaults={"split": "test", "count": 300, "describe": True, "charts": 0.0},
    ),
    "nlvr": Benchmark(
        title="Cornell NLVR (ACL 2017)", loader="nlvr", split="dev", defaults={"split": "dev", "path": "$NLVR"}
    ),
}  # fmt: skip
