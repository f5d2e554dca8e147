"""Problems of mathematics: MathVista, MATH-Vision, MathVerse."""

from typing import Any

from mixpo.evaluation.benchmarks.benchmark import Benchmark, Row
from mixpo.evaluation.benchmarks.fields import lettered, lines, listed, needed, split_options, truth
from mixpo.values import whole_if_any
from mixpo.verdicts.agreement import KINDS

QUESTION = "Question: "


def mathvista(row: Row) -> dict[str, Any]:
    """MathVista: mathematical reasoning in visual contexts (Lu et al., ICLR 2024, arXiv 2310.02255).

    Publisher: `AI4Math/MathVista` on the hub (Parquet; `annot_testmini.json` with the folder `images`). The official
    prompt, `query`, is question, options and a hint that names the form of the answer; official scoring is exact after
    an LLM has extracted the answer, here the verdict of `mixpo.verdicts`.

    Fields: pid question choices unit precision answer question_type answer_type metadata query image.
    """
    choices = [str(choice) for choice in listed(row.get("choices"))]
    metadata = row.get("metadata") or {}
    text = str(needed(row, "question", "query"))
    query = row.get("query") or (text if text.startswith("Hint:") else None)
    picture = row.get("decoded_image")
    return {
        "id": needed(row, "pid", "index", "key"),
        "text": _bare(text),
        "images": row.get("image") if picture is None else picture,
        "answer": truth(row.get("answer")),
        "kind": "choice" if needed(row, "question_type") == "multi_choice" else KINDS.get(str(row.get("answer_type"))),
        "choices": choices,
        "precision": whole_if_any(row.get("precision")),
        "unit": row.get("unit") or None,
        "domain": "math",
        "category": metadata.get("task") or row.get("task") or "",
        "answer_type": row.get("answer_type"),
        "skills": metadata.get("skills") or listed(row.get("skills")),
        "prompts": {"direct": query} if query else None,
    }


def _bare(text: str) -> str:
    """VLMEvalKit keeps the whole query as `question`; what is asked stands in it."""
    if not text.startswith("Hint:"):
        return text
    return text.partition(QUESTION)[2].partition("\nChoices:")[0].strip() or text


COT = (
    'Please solve the problem step by step and put your answer in one "\\boxed{}". If it is a multiple choice '
    'question, only one letter is allowed in the "\\boxed{}".'
)


def mathvision(row: Row) -> dict[str, Any]:
    """MATH-Vision: problems of mathematics competitions (Wang et al., NeurIPS 2024, arXiv 2402.14804).

    Publisher: `MathLLMs/MathVision` on the hub, splits `test` (3,040) and `testmini` (304). The official prompt
    asks for steps and a boxed answer.

    Fields: id question options image decoded_image answer level subject (VLMEvalKit: choices category l2-category).

    Options that are only letters stand in the picture.
    """
    choices = [str(choice) for choice in listed(row.get("options") or row.get("choices"))]
    text = str(needed(row, "question")).replace("<image1>", "").strip()
    picture = row.get("decoded_image")
    return {
        "id": needed(row, "id", "index"),
        "text": text,
        "images": row.get("image") if picture is None else picture,
        "answer": truth(row.get("answer")),
        "kind": "choice" if choices else None,
        "choices": choices,
        "domain": "math",
        "category": row.get("subject") or row.get("category") or "",
        "level": row.get("level"),
        "prompts": {"cot": lines(COT, text, lettered(choices, "({letter}) {text}"))},
    }


def mathverse(row: Row) -> dict[str, Any]:
    """MathVerse: does a model see the diagram? Each problem in versions with more or less text (Zhang et al., ECCV
    2024, arXiv 2403.14624).

    Publisher: `AI4Math/MathVerse` on the hub, configuration and split `testmini`. Its two prompts stand in the rows:
    `query_wo` (direct answer) and `query_cot` (step by step). Options stand in the question's text, one a line.

    Fields: sample_index problem_index problem_version question image answer question_type metadata query_wo
    query_cot question_for_eval (the question where a vision-only row shows it in the picture alone).
    """
    asked = str(row.get("question") or row.get("question_for_eval") or "")
    text, choices = split_options(asked)
    if not choices:
        choices = split_options(str(row.get("question_for_eval") or ""))[1]
    metadata = row.get("metadata") if isinstance(row.get("metadata"), dict) else {}
    prompts = {"direct": row.get("query_wo"), "cot": row.get("query_cot")}
    return {
        "id": needed(row, "sample_index", "index"),
        "text": text,
        "images": row.get("image"),
        "answer": truth(row.get("answer")),
        "kind": "choice" if needed(row, "question_type") == "multi-choice" else None,
        "choices": choices,
        "domain": "math",
        "category": row.get("problem_version") or "",
        "subfield": (metadata or {}).get("subfield"),
        "problem": row.get("problem_index"),
        "prompts": {style: text for style, text in prompts.items() if text} or None,
    }


BENCHMARKS = {
    "mathvista": Benchmark(
        title="MathVista (arXiv 2310.02255)", hub="AI4Math/MathVista", split="testmini", columns=mathvista,
        marks=("question_type answer_type",),
    ),
    "mathvision": Benchmark(
        title="MATH-Vision (arXiv 2402.14804)", hub="MathLLMs/MathVision", columns=mathvision,
        marks=("level subject", "index category"),
    ),
    "mathverse": Benchmark(
        title="MathVerse (arXiv 2403.14624)",
        hub="AI4Math/MathVerse",
        subset="testmini",
        split="testmini",
        columns=mathverse,
        marks=("problem_version question_type",),
    ),
}  # fmt: skip
