"""Every benchmark row for row: what its published files ask, what counts as right, and its own metrics."""

import base64
import csv
import json
from dataclasses import replace
from pathlib import Path

import pytest

from mixpo.errors import DataError, RecipeError
from mixpo.evaluation.benchmarks import source
from mixpo.evaluation.benchmarks.fields import split_options
from mixpo.evaluation.benchmarks.published import files
from mixpo.evaluation.metrics import Answered
from mixpo.files import RunFiles
from mixpo.prompts import Style, user_text
from mixpo.records import Dropped, FinishReason, Outcome, Question, Response
from mixpo.verdicts.verify import verify

from .conftest import CRPE_ORIGINAL, MMHAL_ORIGINAL, PARQUET, POPE_ORIGINAL, json_lines, png

LETTER = "Answer with the option's letter from the given choices directly."


def questions(name: str, path: Path, **values) -> list[Question]:
    found = source.benchmark(name)
    assert found is not None
    items = list(source.load(found, source.Config(path=str(path), **values), name))
    assert not [item for item in items if isinstance(item, Dropped)], items
    return [item.question for item in items]


def answered(question: Question, text: str) -> Answered:
    response = Response(
        id=f"{question.id}/0", question_id=question.id, sample=0, text=text, finish_reason=FinishReason.STOP
    )
    return Answered(question, response, verify(question, response))


def outcome(question: Question, text: str) -> Outcome:
    verdict = answered(question, text).verdict
    assert verdict is not None
    return verdict.outcome


EXPECTED = {
    # (id, text, answer, kind, choices, category) of each row
    "mathvista": [
        ("mathvista-7", "How many bars are taller than 3?", "1.2", "decimal", (), "figure question answering"),
        ("mathvista-8", "Is it larger?", "equal to", "choice", ("larger than", "equal to"),
         "figure question answering"),
    ],
    "mathvision": [
        ("mathvision-4", "Which one fits?", "B", "choice", ("A", "B", "C"), "combinatorics"),
        ("mathvision-5", "How many?", "16", None, (), "counting"),
    ],
    "mathverse": [
        ("mathverse-1", "As shown, angle 1 is 50°, then angle 2 is ()", "A", "choice", ("50°", "40°"), "Text Dominant"),
        ("mathverse-5", "How long is AB?", "2", None, (), "Vision Only"),
    ],
    "m3cot": [
        ("m3cot-physical-1", "Two balls roll.\nWhich one is faster?", "B", "choice", ("the left", "the right"),
         "natural-science"),
    ],
    "scienceqa": [
        ("scienceqa-0", "Which is farthest north?", "A", "choice", ("Ohio", "Texas"), "social science"),
        ("scienceqa-1", "A mammal feeds milk.\nWhich is a mammal?", "B", "choice", ("trout", "whale"),
         "natural science"),
    ],
    "pope": [("pope-0", "Is there a dog in the image?", "yes", "yes_no", (), "adversarial")],
    "mmmu": [
        ("mmmu-validation_Art_1", "Who painted <image 1>?", "A", "choice", ("Monet", "d'Orsay"), "Art"),
        ("mmmu-validation_Math_7", "Find x in <image 1> and <image 2>.", "12", None, (), "Math"),
        ("mmmu-validation_Accounting_9", "What is the cost in <image 1>?", "$6", None, (), "Accounting"),
    ],
    "mmbench": [
        ("mmbench-241", "Identify the question that the experiment can best answer.", "B", "choice",
         ("Snow?", "Wood?"), "identity_reasoning"),
        ("mmbench-1000241",
         "Two paths were marked.\nIdentify the question that the experiment can best answer.", "A", "choice",
         ("Wood?", "Snow?"), "identity_reasoning"),
    ],
    "mmstar": [
        ("mmstar-0", "Which option describe the object relationship in the image correctly?", "A", "choice",
         ("The suitcase is on the book.", "The suitcase is beneath the cat.", "beneath the bed", "the cat, too."),
         "coarse perception"),
    ],
    "ai2d": [("ai2d-0", "What eats grass?", "B", "choice", ("hawk", "rabbit"), "")],
    "chartqa": [("chartqa-0", "What is the peak?", "14", "relaxed", (), "human")],
    "docvqa": [("docvqa-49153", "What is the actual value?", "0.28|0.28 %", "document", (), "figure/diagram")],
    "mmvet": [("mmvet-v1_0", "What is x?", "-1 <AND> -5", "free_form", (), "math+ocr")],
    "llava_bench": [
        ("llava_bench-3", "Describe it.", "A beach.\n(What the picture shows: A beach with a dog.)", "free_form", (),
         "detail"),
    ],
}  # fmt: skip


@pytest.mark.parametrize("name", EXPECTED)
def test_the_hub_s_parquet_row_for_row(name, published):
    found = source.benchmark(name)
    read = questions(name, published(name, found.split))
    assert [(q.id, q.text, q.answer, q.kind, q.choices, q.category) for q in read] == EXPECTED[name]
    pictured = [sum(row.get(key) is not None for key in ("image", "image_1", "image_2")) for row in PARQUET[name]]
    assert [len(q.images) for q in read] == pictured
    assert [q.meta["row"] for q in read] == list(range(len(read)))


@pytest.mark.parametrize(
    ("name", "row", "style", "prompt"),
    [
        ("mathvista", 0, Style.DIRECT, PARQUET["mathvista"][0]["query"]),
        ("mathverse", 0, Style.COT, PARQUET["mathverse"][0]["query_cot"]),
        ("mathverse", 0, Style.DIRECT, PARQUET["mathverse"][0]["query_wo"]),
        ("m3cot", 0, Style.COT,
         "[Context]\nTwo balls roll.\n\n[Question]\nWhich one is faster?\n[Choices]\n(A) the left\n(B) the right\n"
         "Let's think step-by-step!"),
        ("mathvision", 1, Style.COT,
         'Please solve the problem step by step and put your answer in one "\\boxed{}". If it is a multiple choice '
         'question, only one letter is allowed in the "\\boxed{}".\nHow many?'),
        ("scienceqa", 1, Style.DIRECT,
         f"Context: A mammal feeds milk.\nWhich is a mammal?\nA. trout\nB. whale\n{LETTER}"),
        ("pope", 0, Style.DIRECT, "Is there a dog in the image?\nAnswer the question using a single word or phrase."),
        ("ai2d", 0, Style.DIRECT, f"What eats grass?\nA. hawk\nB. rabbit\n{LETTER}"),
        # No official prompt with a chain of thought: mixpo's own.
        ("pope", 0, Style.COT,
         'Is there a dog in the image?\nThink step by step. End with "Final answer: ...".'),
    ],
)  # fmt: skip
def test_official_prompts(name, row, style, prompt, published):
    found = source.benchmark(name)
    assert user_text(questions(name, published(name, found.split))[row], style) == prompt


def test_own_wording_can_be_asked_for(published):
    question = questions("ai2d", published("ai2d", "test"), wording=source.Wording.OWN)[0]
    assert user_text(question, Style.DIRECT) == (
        "What eats grass?\n(A) hawk\n(B) rabbit\nAnswer with the final answer only."
    )


RIGHT_AND_WRONG = {
    "mathvista": [("The answer is 1.2", "The answer is 1.3"), ("(B) equal to", "(A) larger than")],
    "mathvision": [(r"So \boxed{B}", r"So \boxed{C}"), (r"\boxed{16}", r"\boxed{61}")],
    "mathverse": [("The answer is A", "The answer is B"), ("AB = 2. Final answer: 2", "Final answer: 3")],
    "m3cot": [("Answer: (B)", "Answer: (A)")],
    "scienceqa": [("A", "B"), ("B. whale", "A. trout")],
    "pope": [("Yes", "No")],
    "mmmu": [("A", "B"), ("Final answer: 12", "Final answer: 21"), ("6 dollars", "Final answer: $7")],
    "mmbench": [("B", "A"), ("A. Wood?", "(B)")],
    "mmstar": [("A", "D")],
    "ai2d": [("B", "A")],
    "chartqa": [("14.5", "15.5")],  # 5 % of 14 is 0.7
    "docvqa": [("0.28", "Brown & Williamson")],
}


@pytest.mark.parametrize("name", RIGHT_AND_WRONG)
def test_the_judge_tells_right_from_wrong(name, published):
    read = questions(name, published(name, source.benchmark(name).split))
    for question, (right, wrong) in zip(read, RIGHT_AND_WRONG[name], strict=True):
        assert outcome(question, right) is Outcome.CORRECT, right
        assert outcome(question, wrong) is Outcome.INCORRECT, wrong


def test_mathvista_s_json_with_pictures_in_a_folder(tmp_path):
    row = {key: value for key, value in PARQUET["mathvista"][0].items() if key != "decoded_image"}
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "7.jpg").write_bytes(png())
    (tmp_path / "annot_testmini.json").write_text(json.dumps({"7": row}))
    (read,) = questions("mathvista", tmp_path)
    assert (read.id, read.answer, len(read.images)) == ("mathvista-7", "1.2", 1)


def test_pope_s_three_files(tmp_path):
    (tmp_path / "COCO_val2014_1.png").write_bytes(png())
    for negatives in ("random", "popular", "adversarial"):
        json_lines(tmp_path / f"coco_pope_{negatives}.json", [POPE_ORIGINAL, {**POPE_ORIGINAL, "question_id": 2}])
    read = questions("pope", tmp_path)
    assert sorted({q.category for q in read}) == ["adversarial", "popular", "random"]
    assert len({q.id for q in read}) == 6
    assert questions("pope", tmp_path, split="popular")[0].id == "pope-popular-1"


def test_pope_s_metrics_by_hand(tmp_path):
    """Truth yes yes no no no, said yes no yes no nothing: TP 1, FP 1, FN 1."""
    (tmp_path / "COCO_val2014_1.png").write_bytes(png())
    truths, said = ("yes", "yes", "no", "no", "no"), ("Yes", "No", "Yes", "No", "I cannot tell.")
    rows = [{**POPE_ORIGINAL, "question_id": n, "label": truth} for n, truth in enumerate(truths)]
    json_lines(tmp_path / "coco_pope_random.json", rows)
    items = [answered(q, text) for q, text in zip(questions("pope", tmp_path), said, strict=True)]
    assert items[4].verdict.outcome is Outcome.UNPARSED
    sums = [sum(column) for column in zip(*(source.benchmark("pope").metrics[0].count(item) for item in items))]
    values = {metric.name: metric.value(sums) for metric in source.benchmark("pope").metrics}
    assert values == {"precision": 1 / 2, "recall": 1 / 2, "f1": 1 / 2, "yes_share": 2 / 5}


def test_crpe_counts_a_question_by_all_its_rotations(tmp_path):
    (tmp_path / "a.png").write_bytes(png())
    json_lines(tmp_path / "crpe_relation.jsonl", CRPE_ORIGINAL)
    json_lines(tmp_path / "crpe_relation_meta.jsonl", [{"triplet": "x"}])
    read = questions("crpe", tmp_path)
    assert [(q.text, q.choices, q.answer) for q in read] == [
        ("What is on the table?", ("a cat", "a cup"), "B"), ("What is on the table?", ("a cup", "a cat"), "A"),
    ]  # fmt: skip
    assert read[0].meta["group"] == read[1].meta["group"]
    assert user_text(read[0], Style.DIRECT) == CRPE_ORIGINAL[0]["text"]


def test_docvqa_s_anls_by_hand(published):
    """ "0.25" to "0.28": one of four characters differs, 0.75; "7" to "0.28": below one half, 0."""
    (question,) = questions("docvqa", published("docvqa", "validation"))
    (anls,) = source.benchmark("docvqa").metrics
    values = [anls.count(answered(question, text))[0] for text in ("0.28 %", "0.25", "7", "I cannot read it.")]
    assert values == [1.0, 0.75, 0.0, 0.0]


def test_mmhal_s_rating_and_hallucination(tmp_path):
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "ab12.jpg").write_bytes(png())
    (tmp_path / "response_template.json").write_text(json.dumps(MMHAL_ORIGINAL))
    (question,) = questions("mmhal", tmp_path)
    assert question.answer == "One dog.\n(Objects in the picture: Dog, Ball)"
    assert question.meta["rubric"] == "hallucination"
    item = answered(question, "Two dogs.")
    assert item.verdict.outcome is Outcome.UNDECIDED
    rating, hallucination = source.benchmark("mmhal").metrics
    scored = replace(item, verdict=replace(item.verdict, score=1 / 3))
    assert (rating.count(scored)[0], hallucination.count(scored)[0]) == (2.0, 1.0)
    assert hallucination.count(item)[0] == 0.0  # nobody rated it


def test_llava_bench_s_three_files(tmp_path):
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "001.jpg").write_bytes(png())
    row = {"question_id": 0, "image": "001.jpg", "text": "Where is it?", "category": "conv"}
    json_lines(tmp_path / "questions.jsonl", [row])
    json_lines(tmp_path / "answers_gpt4.jsonl", [{"question_id": 0, "text": "In Rome."}])
    json_lines(tmp_path / "context.jsonl", [{"id": "001", "image": "001.jpg", "caption": "The Colosseum."}])
    (read,) = questions("llava_bench", tmp_path)
    assert read.answer == "In Rome.\n(What the picture shows: The Colosseum.)"
    (tmp_path / "context.jsonl").unlink()
    with pytest.raises(DataError, match=r"context.jsonl is missing"):
        questions("llava_bench", tmp_path)


def test_mmvet_s_and_chartqa_s_original_json(tmp_path):
    for folder, file in (("images", "v1_0.png"), ("png", "41699051005347.png")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / file).write_bytes(png())
    row = {"imagename": "v1_0.png", "question": "What is x?", "answer": "3", "capability": ["ocr", "math"]}
    (tmp_path / "mm-vet.json").write_text(json.dumps({"v1_0": row}))
    assert [(q.id, q.category) for q in questions("mmvet", tmp_path)] == [("mmvet-v1_0", "math+ocr")]
    (tmp_path / "mm-vet.json").unlink()
    row = {"imgname": "41699051005347.png", "query": "How many?", "label": "14"}
    (tmp_path / "test_augmented.json").write_text(json.dumps([row]))
    assert [(q.answer, q.category) for q in questions("chartqa", tmp_path)] == [("14", "augmented")]


def test_vlmevalkit_s_table(tmp_path):
    """Pictures in base64; a row that shares an earlier one's holds that row's index."""
    picture = base64.b64encode(png()).decode()
    rows = [
        {"index": "0", "image": picture, "question": "What eats grass?", "A": "hawk", "B": "rabbit", "answer": "B",
         "category": "food webs"},
        {"index": "1", "image": "0", "question": "What flies?", "A": "hawk", "B": "rabbit", "answer": "A",
         "category": "food webs"},
    ]  # fmt: skip
    path = tmp_path / "AI2D_TEST.tsv"
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0], delimiter="\t")
        writer.writeheader()
        writer.writerows(rows)
    read = questions("ai2d", path)
    assert [(q.id, q.choices, q.answer) for q in read] == [
        ("ai2d-0", ("hawk", "rabbit"), "B"), ("ai2d-1", ("hawk", "rabbit"), "A"),
    ]  # fmt: skip
    assert read[0].images == read[1].images


def test_hidden_answers_and_bad_rows_are_told(tmp_path):
    rows = [{**PARQUET["mathvista"][0], "answer": ""}, {"pid": "9", "question": "No type?"}, "text"]
    rows[0] = {key: value for key, value in rows[0].items() if key not in ("decoded_image", "image")}
    json_lines(tmp_path / "testmini.jsonl", rows)
    found = source.benchmark("mathvista")
    hidden, *dropped = source.load(found, source.Config(path=str(tmp_path)), "mathvista")
    assert hidden.question.answer is None
    assert [(item.id, item.detail) for item in dropped] == [
        ("mathvista/testmini.jsonl:2", "there is no question_type"),
        ("mathvista/testmini.jsonl:3", "a row is a mapping of columns"),
    ]


def test_the_split_chooses_the_files(tmp_path):
    for name in ("testmini-00000-of-1.parquet", "test-00000-of-2.parquet", "test-00001-of-2.parquet", "README.md"):
        (tmp_path / name).touch()
    assert [file.name for file in files(tmp_path, "testmini")] == ["testmini-00000-of-1.parquet"]
    assert len(files(tmp_path, "test")) == 2
    with pytest.raises(DataError, match=r"holds no \.parquet"):
        files(tmp_path / "nothing", "test")


def test_options_in_the_text():
    assert split_options("Find x.\nChoices:\n(A) 10\n(B) 32 / 3") == ("Find x.", ["10", "32 / 3"])
    assert split_options("A. Smith says:\nhow many?") == ("A. Smith says:\nhow many?", [])


def test_collecting_stores_pictures_and_is_resumable(published, tmp_path):
    values = {"loader": "m3cot", "path": str(published("m3cot", "test"))}
    run = RunFiles(tmp_path / "run")
    for _ in range(2):
        source.collect_into("m3cot", values, 0, run)
    (question,) = run.questions("m3cot")
    assert (run.pictures("m3cot") / question.images[0]).read_bytes() == png()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"loader": "mathvistaa"}, "none of ai2d"),
        ({"loader": "mathvista", "splitt": "x"}, "did you mean 'split'"),
        ({"loader": "mathvista", "wording": "mine"}, "wording"),
        ({"loader": "scenes", "counts": 3}, "did you mean 'count'"),
    ],
)
def test_a_bad_entry_is_refused_with_a_sentence(values, message):
    with pytest.raises(RecipeError, match=message):
        source.check("mine", values, "benchmarks.mine")


@pytest.mark.parametrize("name", source.BENCHMARKS)
def test_every_benchmark_says_where_it_lies(name):
    found = source.benchmark(name)
    assert found.title
    assert bool(found.loader) != bool(found.hub and found.columns)
