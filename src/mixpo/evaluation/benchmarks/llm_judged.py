"""Answers of one's own words, which an LLM judges: MM-Vet, MMHal-Bench, LLaVA-Bench."""

from pathlib import Path
from typing import Any

from mixpo.errors import DataError
from mixpo.evaluation.benchmarks.benchmark import Benchmark, Row, Rows
from mixpo.evaluation.benchmarks.fields import listed, needed
from mixpo.evaluation.benchmarks.published import local_rows
from mixpo.evaluation.metrics import Answered, mean


def mmvet(row: Row) -> dict[str, Any]:
    """MM-Vet: integrated capabilities, graded by an LLM (Yu et al., ICML 2024, arXiv 2308.02490).

    Publisher: `mm-vet.json` (a name -> imagename question answer capability) with the folder `images`; on the hub
    `lmms-lab/MMVet`. Official metric: the mean of correctness scores from 0 to 1 that an LLM gives; here the judge of
    `mixpo.verdicts.llm_judge` gives them, with its own wording, so figures compare within one judge only.

    Fields: question_id question answer ("<AND>" and "<OR>" join its parts) capability image or imagename.
    """
    capability = row.get("capability") or row.get("category") or ""
    parts = capability.split(",") if isinstance(capability, str) else [str(part) for part in listed(capability)]
    name = row.get("imagename")
    question = str(needed(row, "question"))
    return {
        "id": needed(row, "question_id", "index", "key"),
        "text": question,
        "images": row.get("image") if row.get("image") is not None else f"images/{name}" if name else None,
        "answer": str(needed(row, "answer")).replace("<AND>", " <AND> ").replace("<OR>", " <OR> "),
        "kind": "free_form",
        "category": "+".join(part.strip() for part in sorted(parts)),
        "prompts": {"direct": question},
    }


def judged(answered: Answered) -> float:
    """The judge's score in [0, 1]; 0 where it gave none."""
    return answered.verdict.score or 0.0 if answered.verdict else 0.0


def scored(answered: Answered) -> bool:
    """Whether the judge gave a score."""
    return answered.verdict is not None and answered.verdict.score is not None


HIGHEST = 6
HALLUCINATES_BELOW = 3 / HIGHEST


def mmhal(row: Row) -> dict[str, Any]:
    """MMHal-Bench: hallucination in long answers, graded by an LLM (Sun et al. 2023, arXiv 2309.14525).

    Publisher: `Shengcao1006/MMHal-Bench` on the hub: `response_template.json` (question_type question_topic
    image_id image_src image_content question gt_answer), pictures in the folder `images`. Official metrics: the
    mean of ratings from 0 to 6, and the share of answers rated below 3, which hallucinate. The judge sees what
    objects the picture holds and the reference answer, as the official one does; its wording is ours
    (`mixpo.verdicts.llm_prompt`).

    The reference answer is joined with the picture's objects: the judge reads text alone.
    """
    objects = ", ".join(str(thing) for thing in listed(row.get("image_content")))
    source = str(row.get("image_src") or row.get("image_path") or "")
    picture = row.get("image")
    question = str(needed(row, "question"))
    reference = str(needed(row, "gt_answer", "answer"))
    return {
        "id": row.get("index"),
        "text": question,
        "images": picture if picture is not None else f"images/{source.rpartition('/')[2]}" if source else None,
        "answer": f"{reference}\n(Objects in the picture: {objects})" if objects else reference,
        "kind": "free_form",
        "category": needed(row, "question_type"),
        "topic": row.get("question_topic"),
        "rubric": "hallucination",
        "prompts": {"direct": question},
    }


def hallucinates(answered: Answered) -> float:
    """1 for a judged answer rated below 3 of 6."""
    return float(scored(answered) and judged(answered) < HALLUCINATES_BELOW)


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


def llava_bench(row: Row) -> dict[str, Any]:
    """LLaVA-Bench (in the wild): open questions, graded against GPT-4's answers (Liu et al. 2023, arXiv 2304.08485).

    Publisher: `liuhaotian/llava-bench-in-the-wild` on the hub: `questions.jsonl` (question_id image text category),
    `answers_gpt4.jsonl` (question_id text), `context.jsonl` (image caption), folder `images`; in one table
    `lmms-lab/llava-bench-in-the-wild`. The official score is the ratio of two ratings by GPT-4, of the answer and
    of the reference; here the judge says in one number how good the answer is beside the reference.

    Fields: question_id question (text) image category gpt_answer caption.
    """
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


BENCHMARKS = {
    "mmvet": Benchmark(
        title="MM-Vet (arXiv 2308.02490)", hub="lmms-lab/MMVet", columns=mmvet,
        marks=("answer capability", "index answer category"), metrics=(mean("score", judged, scored),), by_llm=True,
    ),
    "mmhal": Benchmark(
        title="MMHal-Bench (arXiv 2309.14525)", hub="Shengcao1006/MMHal-Bench", columns=mmhal,
        marks=("question_type gt_answer", "question_type image_content"),
        metrics=(mean("rating", lambda a: HIGHEST * judged(a), scored), mean("hallucination", hallucinates, scored)),
        by_llm=True,
    ),
    "llava_bench": Benchmark(
        title="LLaVA-Bench in the wild (arXiv 2304.08485)", hub="lmms-lab/llava-bench-in-the-wild", split="train",
        read=read, columns=llava_bench, metrics=(mean("score", judged, scored),), by_llm=True,
        marks=("gpt_answer", "gpt4_ans", "question answer caption"),
    ),
}  # fmt: skip
