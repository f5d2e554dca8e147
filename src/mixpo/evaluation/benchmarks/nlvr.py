"""Cornell NLVR (Suhr et al., ACL 2017): read by `mixpo.questions.nlvr`; each statement six times, boxes permuted.

The publisher's second metric, consistency, is the share of statements judged rightly in all six orders.
"""

from mixpo.evaluation.benchmarks.benchmark import Benchmark

BENCHMARK = Benchmark(
    title="Cornell NLVR (ACL 2017)", loader="nlvr", split="dev", defaults={"split": "dev", "path": "$NLVR"}
)
