"""LLaVA-Bench (in the wild): open questions, graded against GPT-4's answers (Liu et al. 2023, arXiv 2304.08485).

Publisher: `liuhaotian/llava-bench-in-the-wild` on the hub: `questions.jsonl` (question_id image text category),
`answers_gpt4.jsonl` (question_id text), `context.jsonl` (image caption), folder `images`; in one table
`lmms-lab/llava-bench-in-the-wild`. The official score is the ratio of two ratings by GPT-4, of the answer and of the
reference; here the judge says in one number how good the answer is beside the reference.
"""

from pathlib import Path
from typing import Any

from mixpo.errors import DataError
from mixpo.evaluation.benchmarks.benchmark import Benchmark, Row, Rows
from mixpo.evaluation.benchmarks.fields import needed
from mixpo.evaluation.benchmarks.mmvet import judged
from mixpo.evaluation.benchmarks.published import local_rows
from mixpo.evaluation.metrics import mean


def read(path: Path, split: str) -> Rows:
    """The three files of the publisher joined, or a table that has it all."""
    if not (path / "questions.jsonl").is_file():
        yield from local_rows(path, split)
        return
    tables = {}
    for name, key in (("answers_gpt4", "question_id"), ("context", "image")):
        file = path / f"{name}.jsonl"
        if not file.is_file():
            raise DataError(f"{path}: {file.name} is missing; LLaVA-Bench needs it beside questions.jsonl")
        tables[name] = {str(row.get(key)): row for _, row in local_rows(file, "") if isinstance(row, dict)}
    for where, row in local_rows(path / "questions.jsonl", ""):
        if isinstance(row, dict):
            answer = tables["answers_gpt4"].get(str(row.get("question_id")), {})
            context = tables["context"].get(str(row.get("image")), {})
            row = {**row, "gpt_answer": answer.get("text"), "caption": context.get("caption")}
        yield where, row


def columns(row: Row) -> dict[str, Any]:
    """Fields: question_id question (text) image category gpt_answer caption."""
    question, picture = str(needed(row, "question", "text")), row.get("image")
    reference, caption = str(needed(row, "gpt_answer", "gpt4_ans", "answer")), str(row.get("caption") or "")
    return {
        "id": needed(row, "question_id", "index"),
        "text": question,
        "images": f"images/{picture}" if isinstance(picture, str) else picture,
        "answer": f"{reference}\n(What the picture shows: {caption})" if caption else reference,
        "kind": "free_form",
        "category": row.get("category") or "",
        "rubric": "helpfulness",
        "prompts": {"direct": question},
    }


BENCHMARK = Benchmark(
    title="LLaVA-Bench in the wild (arXiv 2304.08485)", hub="lmms-lab/llava-bench-in-the-wild", split="train",
    read=read, columns=columns, metrics=(mean("score", judged),), primary="score", by_llm=True,
)  # fmt: skip
