"""Questions with options: MMBench, MMStar, AI2D, ScienceQA, M3CoT, MMMU, CRPE."""

import re
from typing import Any

from mixpo.errors import BadRow
from mixpo.evaluation.benchmarks.benchmark import Benchmark, Row
from mixpo.evaluation.benchmarks.fields import (
    LETTER,
    SHORT,
    given,
    inline_options,
    letter_at,
    letter_of,
    lettered,
    lines,
    listed,
    needed,
    options,
    split_options,
    truth,
)
from mixpo.values import whole


def ai2d(row: Row) -> dict[str, Any]:
    """AI2D: diagrams of school science (Kembhavi et al., ECCV 2016, arXiv 1603.07396); on the hub `lmms-lab/ai2d`.

    Fields: question options answer (number from 0, as text) image (VLMEvalKit: index A B C D answer category).
    """
    choices = [str(choice) for choice in listed(row.get("options"))] or options(row)
    question = str(needed(row, "question"))
    return {
        "id": row.get("index"),
        "text": question,
        "images": row.get("image"),
        "answer": letter_of(letter_at(needed(row, "answer")), choices),
        "kind": "choice",
        "choices": choices,
        "domain": "science",
        "category": row.get("category") or "",
        "prompts": {"direct": lines(question, lettered(choices), LETTER)},
    }


def scienceqa(row: Row) -> dict[str, Any]:
    """ScienceQA: science questions of school, with and without a picture (Lu et al., NeurIPS 2022, arXiv 2209.09513).

    Publisher's data on the hub: `derek-thomas/ScienceQA`. Prompt: that of the LLaVA line (context, question, options,
    the letter only).

    Fields: image question choices answer (number from 0) hint task grade subject topic category skill.
    """
    choices = [str(choice) for choice in listed(row.get("choices"))] or options(row)
    context, question = str(row.get("hint") or "").strip(), str(needed(row, "question"))
    return {
        "id": row.get("key", row.get("index")),
        "text": lines(context, question),
        "images": row.get("image"),
        "answer": letter_of(letter_at(needed(row, "answer")), choices),
        "kind": "choice",
        "choices": choices,
        "domain": "science",
        "category": row.get("subject") or row.get("category") or "",
        "topic": row.get("topic"),
        "pictured": row.get("image") is not None,
        "prompts": {"direct": lines(f"Context: {context}" if context else "", question, lettered(choices), LETTER)},
    }


COT = "Let's think step-by-step!"


def m3cot(row: Row) -> dict[str, Any]:
    """M3CoT: multi-domain, multi-step, multi-modal chains of thought (Chen et al., ACL 2024, arXiv 2405.16473).

    Publisher: `LightChen2333/M3CoT` on the hub. Official prompts: context, question and options under headings; with a
    chain of thought "Let's think step-by-step!" at the end.

    Fields: id category image_id question choices context answer (a letter) rationale image domain topic.
    """
    choices = [str(choice) for choice in listed(row.get("choices"))] or options(row)
    question, context = str(needed(row, "question")), str(row.get("context") or row.get("hint") or "").strip()
    asked = lines(
        f"[Context]\n{context}\n" if context else "",
        f"[Question]\n{question}",
        f"[Choices]\n{lettered(choices, '({letter}) {text}')}",
    )
    return {
        "id": needed(row, "id", "index"),
        "text": lines(context, question),
        "images": row.get("image") if row.get("image") is not None else row.get("image_path"),
        "answer": truth(needed(row, "answer")),
        "kind": "choice",
        "choices": choices,
        "domain": {"mathematics": "math", "science": "science"}.get(str(row.get("domain")), "general"),
        "category": row.get("topic") or row.get("category") or "",
        "subject": row.get("domain"),
        "prompts": {"cot": f"{asked}\n{COT}"},
    }


PICTURES = 7
SUBJECT = re.compile(r"(?:validation|dev|test)_(.+?)_\d+$")


def mmmu(row: Row) -> dict[str, Any]:
    """MMMU: questions of college level in 30 subjects (Yue et al., CVPR 2024, arXiv 2311.16502).

    Publisher: `MMMU/MMMU` on the hub, a configuration a subject; a local copy is read as a whole. `validation` has
    ground truths, `test` hides them. Prompts: those of the LLaVA line; pictures are named <image 1> … in the text.

    Fields: id question options (a list as text) image_1 … image_7 answer question_type subfield topic_difficulty.
    """
    choices = [str(choice) for choice in listed(row.get("options"))] or options(row)
    question = str(needed(row, "question"))
    pictures = [row[f"image_{n}"] for n in range(1, PICTURES + 1) if row.get(f"image_{n}") is not None]
    answer: Any = truth(row.get("answer"))
    if not choices and answer and answer.startswith("["):
        answer = [str(each) for each in listed(answer)]  # several spellings of one answer, each accepted
    own_id = str(needed(row, "id", "index"))
    subject = SUBJECT.match(own_id)
    instruction = LETTER if choices else SHORT
    return {
        "id": own_id,
        "text": question,
        "images": pictures or row.get("image"),
        "answer": answer,
        "kind": "choice" if choices else None,
        "choices": choices,
        "domain": "science",
        "category": subject[1] if subject else row.get("category") or row.get("subfield") or "",
        "difficulty": row.get("topic_difficulty"),
        "prompts": {"direct": lines(question, lettered(choices, "{letter}. {text}"), instruction)},
    }


def crpe(row: Row) -> dict[str, Any]:
    """CRPE: circular probing of relations (Wang et al., ECCV 2024, arXiv 2402.19474).

    Publisher: `OpenGVLab/CRPE` on the hub: `crpe_exist.jsonl`, `crpe_relation.jsonl` (question_id image text
    correct_option category; pictures of COCO val2017 and the folder `abnormal_images`). A question stands with its
    options in every rotation and counts when all of them are answered rightly (CircularEval): the score is
    consistency.

    Fields: question_id image text correct_option category (VLMEvalKit: index question answer category).
    """
    asked = str(needed(row, "text", "question"))
    text, choices = split_options(asked.replace(LETTER, "").strip())
    if len(choices) < 2:
        raise BadRow("the question has no options")
    picture = row.get("image")
    # Rotations of one question share picture, words and the options in another order.
    same = [str(row.get("image")) if isinstance(picture, str) else "", text, *sorted(choices)]
    return {
        "id": needed(row, "question_id", "index"),
        "text": text,
        "images": picture,
        "answer": str(needed(row, "correct_option", "answer")).strip()[:1],
        "kind": "choice",
        "choices": choices,
        "category": needed(row, "category"),
        "group": " | ".join(same),
        "prompts": {"direct": asked if LETTER in asked else f"{asked.strip()}\n{LETTER}"},
    }


ROTATIONS = 1_000_000


def mmbench(row: Row) -> dict[str, Any]:
    """MMBench: 20 abilities, from perception to reasoning (Liu et al., ECCV 2024, arXiv 2307.06281).

    Publisher: `MMBench_DEV_EN.tsv` and others, as VLMEvalKit reads them; on the hub `lmms-lab/MMBench` (`en`, `cn`).
    A question stands in every rotation of its options (index + 1,000,000 for each) and counts when all of them are
    answered rightly (CircularEval): the official score is consistency. `test` hides its answers.

    Fields: index question hint A B C D answer category image source L2-category (or l2-category) comment split.
    """
    choices = options(row)
    hint, question = given(row, "hint"), str(needed(row, "question"))
    own_id = whole(needed(row, "index"))
    if own_id is None or len(choices) < 2:
        raise BadRow("a row of MMBench has a whole number as its index, and options A, B …")
    return {
        "id": own_id,
        "text": lines(hint, question),
        "images": row.get("image"),
        "answer": letter_of(row.get("answer"), choices),
        "kind": "choice",
        "choices": choices,
        "category": needed(row, "category"),
        "group": str(own_id % ROTATIONS),
        "ability": row.get("L2-category") or row.get("l2-category"),
        "prompts": {"direct": lines(hint, question, lettered(choices), LETTER)},
    }


def mmstar(row: Row) -> dict[str, Any]:
    """MMStar: questions that need the picture (Chen et al., NeurIPS 2024, arXiv 2403.20330).

    Publisher: `Lin-Chen/MMStar` on the hub, `val`: options in the question's text ("Options: A: …, B: …"); VLMEvalKit's
    table may have them in columns. Official metric: accuracy of the letter.

    Fields: index question image answer category l2_category meta_info (VLMEvalKit: index question A B C D answer …).
    """
    asked = str(needed(row, "question"))
    text, choices = (asked, options(row)) if given(row, "A") else inline_options(asked)
    if len(choices) < 2:
        raise BadRow("the question has no options")
    return {
        "id": needed(row, "index"),
        "text": text,
        "images": row.get("image"),
        "answer": letter_of(needed(row, "answer"), choices),
        "kind": "choice",
        "choices": choices,
        "category": needed(row, "category"),
        "ability": row.get("l2_category") or row.get("l2-category"),
        "prompts": {"direct": lines(text, lettered(choices), LETTER)},
    }


BENCHMARKS = {
    "mmbench": Benchmark(
        title="MMBench (arXiv 2307.06281)", hub="lmms-lab/MMBench", subset="en", split="dev", columns=mmbench,
        marks=("index category L2-category", "index category l2-category"),
    ),
    "mmstar": Benchmark(
        title="MMStar (arXiv 2403.20330)", hub="Lin-Chen/MMStar", split="val", columns=mmstar,
        marks=("index category l2_category", "index category l2-category"),
    ),
    "ai2d": Benchmark(
        title="AI2D (arXiv 1603.07396)", hub="lmms-lab/ai2d", columns=ai2d,
        marks=("question options answer image", "index A B answer"),
    ),
    "scienceqa": Benchmark(
        title="ScienceQA (arXiv 2209.09513)", hub="derek-thomas/ScienceQA", columns=scienceqa,
        marks=("choices hint subject", "index A B category"),
    ),
    "m3cot": Benchmark(
        title="M3CoT (arXiv 2405.16473)", hub="LightChen2333/M3CoT", columns=m3cot,
        marks=("choices domain topic", "index A B category"),
    ),
    "mmmu": Benchmark(
        title="MMMU (arXiv 2311.16502)", hub="MMMU/MMMU", split="validation", columns=mmmu,
        marks=("options question_type subfield", "index category l2-category", "index category split"),
    ),
    "crpe": Benchmark(
        title="CRPE (arXiv 2402.19474)", hub="OpenGVLab/CRPE", split="relation", columns=crpe,
        marks=("text correct_option category", "index question answer category"),
    ),
}  # fmt: skip
