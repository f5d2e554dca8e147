"""Rows as the publishers wrote them: one or two of each benchmark, with its field names, types and habits.

The texts are made up; the form is that of the data set's card, its loading script or its evaluation code.
"""

import io
import json
from pathlib import Path

import pyarrow
import pytest
from PIL import Image
from pyarrow import parquet


def png(colour: str = "red") -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (4, 4), colour).save(buffer, "PNG")
    return buffer.getvalue()


PICTURE = {"bytes": png(), "path": None}
MATHVISTA = {
    "pid": "7", "question": "How many bars are taller than 3?", "image": "images/7.jpg", "decoded_image": PICTURE,
    "choices": None, "unit": None, "precision": 1.0, "answer": "1.2", "question_type": "free_form",
    "answer_type": "float",
    "metadata": {"category": "general-vqa", "task": "figure question answering", "skills": ["statistical reasoning"]},
    "query": "Hint: Please answer the question requiring a floating-point number with one decimal place and provide "
    "the final value, e.g., 1.2, 1.3, 1.4, at the end.\nQuestion: How many bars are taller than 3?",
}  # fmt: skip
MATHVISTA_CHOICE = {
    **MATHVISTA, "pid": "8", "question": "Is it larger?", "choices": ["larger than", "equal to"], "precision": None,
    "answer": "equal to", "question_type": "multi_choice", "answer_type": "text",
}  # fmt: skip
PARQUET = {
    "mathvista": [MATHVISTA, MATHVISTA_CHOICE],
    "mathvision": [
        {
            "id": "4", "question": "Which one fits?\n<image1>", "options": ["A", "B", "C"], "image": "images/4.jpg",
            "decoded_image": PICTURE, "answer": "B", "solution": None, "level": 2, "subject": "combinatorics",
        },
        {
            "id": "5", "question": "How many?", "options": [], "image": "images/5.jpg", "decoded_image": PICTURE,
            "answer": "16", "solution": None, "level": 1, "subject": "counting",
        },
    ],
    "mathverse": [
        {
            "sample_index": "1", "problem_index": "1", "problem_version": "Text Dominant",
            "question": "As shown, angle 1 is 50°, then angle 2 is ()\nChoices:\nA:50°\nB:40°", "image": PICTURE,
            "answer": "A", "question_type": "multi-choice",
            "metadata": {"split": "testmini", "source": "x", "subject": "Plane Geometry", "subfield": "Angle"},
            "query_wo": "Please directly answer the question and provide the correct option letter, e.g., A, B, C, D."
            "\nQuestion: As shown …",
            "query_cot": "Please first conduct reasoning, and then answer the question and provide the correct option "
            "letter, e.g., A, B, C, D, at the end.\nQuestion: As shown …",
            "question_for_eval": "As shown, angle 1 is 50°, then angle 2 is ()\nChoices:\nA:50°\nB:40°",
        },
        {
            "sample_index": "5", "problem_index": "1", "problem_version": "Vision Only", "question": "",
            "image": PICTURE,
            "answer": "2", "question_type": "free-form", "metadata": {"split": "testmini"}, "query_wo": "Answer it.",
            "query_cot": "Reason first.", "question_for_eval": "How long is AB?",
        },
    ],
    "m3cot": [
        {
            "id": "physical-1", "category": "velocity", "image_id": "1", "question": "Which one is faster?",
            "choices": ["the left", "the right"], "context": "Two balls roll.", "answer": "B", "rationale": "…",
            "split": "test", "image": PICTURE, "domain": "science", "topic": "natural-science",
        }
    ],
    "scienceqa": [
        {
            "image": PICTURE, "question": "Which is farthest north?", "choices": ["Ohio", "Texas"], "answer": 0,
            "hint": "", "task": "closed choice", "grade": "grade2", "subject": "social science", "topic": "geography",
            "category": "Geography", "skill": "Read a map", "lecture": "…", "solution": "…",
        },
        {
            "image": None, "question": "Which is a mammal?", "choices": ["trout", "whale"], "answer": 1,
            "hint": "A mammal feeds milk.", "task": "closed choice", "grade": "grade4", "subject": "natural science",
            "topic": "biology", "category": "Animals", "skill": "…", "lecture": "", "solution": "",
        },
    ],
    "pope": [
        {
            "id": "0", "question_id": "1", "question": "Is there a dog in the image?", "answer": "yes",
            "image_source": "COCO_val2014_000000000001", "image": PICTURE, "category": "adversarial",
        }
    ],
    "mmmu": [
        {
            "id": "validation_Art_1", "question": "Who painted <image 1>?", "options": "['Monet', \"d'Orsay\"]",
            "explanation": "", "image_1": PICTURE, "image_2": None, "img_type": "['Paintings']", "answer": "A",
            "topic_difficulty": "Medium", "question_type": "multiple-choice", "subfield": "History of Art",
        },
        {
            "id": "validation_Math_7", "question": "Find x in <image 1> and <image 2>.", "options": "[]",
            "explanation": "", "image_1": PICTURE, "image_2": {"bytes": png("blue"), "path": None}, "img_type": "[]",
            "answer": "12", "topic_difficulty": "Hard", "question_type": "open", "subfield": "Algebra",
        },
        {
            "id": "validation_Accounting_9", "question": "What is the cost in <image 1>?", "options": "[]",
            "explanation": "?", "image_1": PICTURE, "image_2": None, "img_type": "['Tables']",
            "answer": "['$6', '6 dollars']", "topic_difficulty": "Easy", "question_type": "open", "subfield": "Costs",
        },
    ],
    "ai2d": [{"question": "What eats grass?", "options": ["hawk", "rabbit"], "answer": "1", "image": PICTURE}],
    "chartqa": [{"type": "human_test", "question": "What is the peak?", "answer": "14", "image": PICTURE}],
    "docvqa": [
        {
            "questionId": "49153", "question": "What is the actual value?", "question_types": ["figure/diagram"],
            "image": PICTURE, "docId": 14465, "answers": ["0.28", "0.28 %"], "data_split": "val",
        }
    ],
    "mmvet": [
        {
            "question_id": "v1_0", "image": PICTURE, "question": "What is x?", "answer": "-1<AND>-5",
            "image_source": "x.png", "capability": "ocr,math",
        }
    ],
    "llava_bench": [
        {
            "question_id": "3", "question": "Describe it.", "image": PICTURE, "category": "detail", "image_id": "001",
            "gpt_answer": "A beach.", "caption": "A beach with a dog.",
        }
    ],
    "mmbench": [
        {
            "index": 241 + rotation, "question": "Identify the question that the experiment can best answer.",
            "hint": "Two paths were marked." if rotation else "nan", "answer": letter, "A": first, "B": second,
            "C": "nan", "D": "nan", "category": "identity_reasoning", "image": PICTURE, "source": "scienceqa",
            "L2-category": "attribute_reasoning", "comment": "nan", "split": "dev",
        }
        for rotation, first, second, letter in ((0, "Snow?", "Wood?", "B"), (1_000_000, "Wood?", "Snow?", "A"))
    ],
    "mmstar": [
        {
            "index": 0,
            "question": "Which option describe the object relationship in the image correctly?\nOptions: A: The "
            "suitcase is on the book., B: The suitcase is beneath the cat., C: beneath the bed, D: the cat, too.",
            "image": PICTURE, "answer": "A", "category": "coarse perception", "l2_category": "image scene and topic",
            "meta_info": {"source": "MMBench", "split": "val", "image_path": "images/0.jpg"},
        }
    ],
    "crpe": [],
    "mmhal": [],
}  # fmt: skip
POPE_ORIGINAL = {"question_id": 1, "image": "COCO_val2014_1.png", "text": "Is there a cat?", "label": "no"}
CRPE_TEXT = "What is on the table?\nA. a {}\nB. a {}\nAnswer with the option's letter from the given choices directly."
CRPE_ORIGINAL = [
    {
        "question_id": number, "image": "a.png", "text": CRPE_TEXT.format(*things), "correct_option": letter,
        "category": "object",
    }
    for number, (things, letter) in enumerate(((("cat", "cup"), "B"), (("cup", "cat"), "A")))
]  # fmt: skip
MMHAL_ORIGINAL = [
    {
        "question_type": "counting", "question_topic": "animal", "image_id": "ab12",
        "image_src": "https://example.org/5/ab12.jpg", "image_content": ["Dog", "Ball"],
        "question": "How many dogs are there?", "gt_answer": "One dog.", "model_answer": "",
    }
]  # fmt: skip


@pytest.fixture
def published(tmp_path: Path):
    """Writes a benchmark's rows as a Parquet file named after the split; gives the folder."""

    def write(name: str, split: str) -> Path:
        folder = tmp_path / name / "data"
        folder.mkdir(parents=True)
        parquet.write_table(pyarrow.Table.from_pylist(PARQUET[name]), folder / f"{split}-00000-of-00001.parquet")
        return tmp_path / name

    return write


def json_lines(path: Path, rows: list[dict]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
