"""DropoutNTP: cuts in tokens, continuations, what is left out and why."""

import gc
from dataclasses import replace

import pytest
from PIL import Image

from mixpo.errors import DataError
from mixpo.files import RunFiles
from mixpo.images import ImageRoots
from mixpo.records import Continuation, Dropped, DropReason, FinishReason, Question, Response
from mixpo.responses import dropout as step
from mixpo.responses.backend import Request
from mixpo.responses.backends.config import BackendConfig
from mixpo.responses.backends.embedded.transformers import TransformersBackend
from mixpo.responses.backends.scripted import ScriptedBackend, tokens

NO_IMAGES = ImageRoots({})
OPEN = Question(id="d-0", text="Describe the picture.", images=("scenes/0.png",))
TEXT = "A red circle and two blue squares stand here."  # nine words


def response(text: str = TEXT, **values) -> Response:
    fields = {"finish_reason": FinishReason.STOP, "token_ids": tokens(text), "prompt": OPEN.text, **values}
    return Response(id="d-0/0", question_id="d-0", sample=0, text=text, **fields)


def run_one(answer: str, cut: Response, **values) -> Continuation | Dropped:
    backend = ScriptedBackend(lambda request, sample: answer)
    (record,) = step.dropout([step.Cut(cut, OPEN)], backend, NO_IMAGES, step.Config(**values))
    return record


@pytest.mark.parametrize(
    ("ratio", "kept"),
    [(0, ""), (0.25, "A red"), (0.5, "A red circle and"), (0.75, "A red circle and two blue")],
)
def test_ratio_of_the_tokens_rounded_down(ratio, kept):
    """Nine tokens: 0, 2.25, 4.5 and 6.75 of them."""
    answer = f"{kept} something else".strip()
    record = run_one(answer, response(), ratio=ratio)
    assert (record.kept, record.text) == (kept, answer)
    assert record.kept_tokens == len(kept.split())
    assert record.completion_tokens == 3  # two words and the end of turn
    assert (record.id, record.response_id, record.question_id) == ("d-0/0/cut", "d-0/0", "d-0")
    assert (record.ratio, record.with_image) == (ratio, False)


def test_29_percent_of_100_tokens_is_29():
    """0.29 * 100 = 28.999999999999996 in binary."""
    assert len(step.cut(tuple(range(256, 356)), 0.29, ScriptedBackend(str))) == 29


def test_what_is_continued_is_not_kept():
    """A stream of responses may be a whole step's."""
    backend = ScriptedBackend(lambda request, sample: "A red circle and nothing else")
    cuts = (step.Cut(replace(response(), id=f"d-{number}/0"), OPEN) for number in range(400))
    most = 0
    for record in step.dropout(cuts, backend, NO_IMAGES, step.Config()):
        if record.id in ("d-300/0/cut", "d-399/0/cut"):
            most = max(most, sum(type(one) is Response for one in gc.get_objects()))
    assert 0 < most < 200


def test_the_model_does_not_see_the_image():
    """The image root does not even exist; with it, the question is dropped."""
    seen: list[Request] = []

    def answer(request: Request, sample: int) -> str:
        seen.append(request)
        return "A red circle and nothing else"

    backend = ScriptedBackend(answer)
    list(step.dropout([step.Cut(response(), OPEN)], backend, NO_IMAGES, step.Config()))
    assert seen[0].images == ()
    assert (seen[0].prompt, seen[0].prefix_token_ids) == (OPEN.text, tokens("A red circle and"))
    (record,) = step.dropout([step.Cut(response(), OPEN)], backend, NO_IMAGES, step.Config(with_image=True))
    assert record.reason is DropReason.BAD_IMAGE


@pytest.mark.parametrize(
    ("answer", "cut", "values", "reason"),
    [
        (TEXT, response(), {}, DropReason.SAME_TEXT),
        (f" {TEXT}\n", response(), {"ratio": 0.0}, DropReason.SAME_TEXT),
        ("A red circle and", response(), {}, DropReason.EMPTY),
        ("A red circle and  \n ", response(), {}, DropReason.EMPTY),
        (" ", response(), {"ratio": 0.0}, DropReason.EMPTY),
        ("A red circle and " + "more " * 30, response(), {"max_new_tokens": 20}, DropReason.TRUNCATED),
        ("", response(finish_reason=FinishReason.LENGTH), {}, DropReason.TRUNCATED),
        ("", response("", token_ids=()), {}, DropReason.EMPTY),
    ],
)
def test_dropped_with_the_reason(answer, cut, values, reason):
    record = run_one(answer, cut, **values)
    assert isinstance(record, Dropped)
    assert (record.id, record.step, record.reason) == ("d-0/0", "dropout", reason)


CHINESE = "图中有三个红色的圆形和两个蓝色的方块左边的三角形是绿色的"  # 28 characters, no space


@pytest.mark.parametrize("with_image", [False, True])
@pytest.mark.parametrize("ratio", [0, 0.25, 0.5, 0.75])
@pytest.mark.parametrize("text", [CHINESE, "the red circle is left of the blue square 🟥 and the answer is 3"])
def test_every_ratio_with_and_without_image_in_any_language(internvl, tmp_path, text, ratio, with_image):
    """A real model and its byte-level tokens: the first `ratio` of them is kept, to the character, and continued."""
    backend = TransformersBackend(*internvl)
    ids = tuple(backend.encoder.tokenizer.encode(text, add_special_tokens=False))
    assert backend.decode(ids) == text
    seen: list[Request] = []
    complete = backend.complete

    def watched(requests, params):
        return complete((seen.append(request) or request for request in requests), params)

    backend.complete = watched
    # This random model does not know how to end a turn, so every token may: about one in twenty.
    backend.end_ids = frozenset(range(20, 40))
    Image.new("RGB", (64, 64), "red").save(tmp_path / "0.png")
    roots = ImageRoots({"scenes": tmp_path})
    settings = step.Config(ratio=ratio, with_image=with_image, temperature=1.0, top_k=0, max_new_tokens=300)
    cut = response(text, token_ids=ids, completion_tokens=len(ids) + 1)
    (record,) = step.dropout([step.Cut(cut, OPEN)], backend, roots, settings)
    (request,) = seen
    assert len(request.images) == with_image
    kept = int(len(ids) * ratio)
    assert request.prefix_token_ids == ids[: len(request.prefix_token_ids)]
    assert kept - 3 <= len(request.prefix_token_ids) <= kept, "fewer only where the cut fell inside a character"
    assert isinstance(record, Continuation)
    assert (record.ratio, record.with_image) == (ratio, with_image)
    assert text.startswith(record.kept)
    assert record.text.startswith(record.kept)
    assert record.text not in (text, record.kept)
    assert record.response_tokens == len(ids) + 1
    assert record.completion_tokens >= 1


def test_what_was_left_out_keeps_its_tokens():
    """A response of 10 tokens, end of turn included; its continuation of six (five words and the end)."""
    same = run_one(TEXT, response(completion_tokens=10))
    assert (same.reason, same.tokens) == (DropReason.SAME_TEXT, 10 + 6)
    cut_short = run_one("", response(finish_reason=FinishReason.LENGTH, completion_tokens=512))
    assert (cut_short.reason, cut_short.tokens) == (DropReason.TRUNCATED, 512)


def test_a_cut_inside_a_character_moves_left(internvl):
    """A byte-level tokenizer that never saw the character spends three or four tokens on it."""
    backend = TransformersBackend(*internvl)
    text = "red 🟥 中"
    ids = backend.encoder.tokenizer.encode(text, add_special_tokens=False)
    assert len(ids) > len(text)
    for count in range(len(ids)):
        kept = step.cut(ids, count / len(ids), backend)
        assert "\N{REPLACEMENT CHARACTER}" not in backend.decode(kept)
        assert text.startswith(backend.decode(kept))
        assert count - 3 <= len(kept) <= count


def test_only_first_samples_of_open_questions_are_cut():
    closed = Question(id="c-0", text="?", answer="3")
    responses = [
        Response(id=f"{q}/{s}", question_id=q, sample=s, text="x", finish_reason=FinishReason.STOP)
        for q in ("d-0", "c-0", "gone")
        for s in range(3)
    ]
    cuts = step.selected([OPEN, closed], responses, 2)
    assert [cut.id for cut in cuts] == ["d-0/0", "d-0/1"]


def test_questions_without_a_picture_are_left_out_with_a_notice(tmp_path, capsys):
    files = RunFiles(tmp_path / "run")
    blind = replace(OPEN, id="t-0", text="Describe summer.", images=())
    files.questions("questions").append([OPEN, blind, Question(id="c-0", text="?", answer="3")])
    words = replace(response(), id="t-0/0", question_id="t-0")
    files.responses("sample").append([response(), words])
    script = tmp_path / "script.jsonl"
    script.write_text('{"id": "d-0/0", "text": "A red circle and a moon."}')
    config = step.Config(backend=BackendConfig(name="scripted", script=str(script)))
    step.run(config, files)
    assert [record.response_id for record in files.continuations("dropout")] == ["d-0/0"]
    said = " ".join(capsys.readouterr().err.split())
    assert "1 of 2 questions without a ground truth have no picture: they are left out" in said


def test_a_set_without_pictures_is_refused_with_a_sentence(tmp_path):
    files = RunFiles(tmp_path / "run")
    files.questions("questions").append([replace(OPEN, images=())])
    files.responses("sample").append([response()])
    with pytest.raises(DataError, match="1 of 1 questions .* have no picture: .* give the questions of 'questions'"):
        step.run(step.Config(), files)


def test_a_kept_part_with_an_image_token_is_dropped_and_the_others_are_continued(internvl):
    """The model would look for a picture at that place."""
    backend = TransformersBackend(*internvl)
    ids = tuple(backend.encoder.tokenizer.encode("the red circle", add_special_tokens=False))
    image = backend.encoder.chat.processor.image_token_id
    cuts = [replace(response(token_ids=ids), id="d-0/0"), replace(response(token_ids=(image, *ids)), id="d-0/1")]
    settings = step.Config(temperature=1.0, top_k=0, max_new_tokens=4)
    records = list(step.dropout([step.Cut(one, OPEN) for one in cuts], backend, NO_IMAGES, settings))
    (dropped,) = [one for one in records if one.id == "d-0/1"]
    assert dropped.reason is DropReason.RESERVED_TOKEN
    assert len(records) == 2


def test_run_and_rerun(tmp_path):
    files = RunFiles(tmp_path / "run")
    files.questions("questions").append([OPEN])
    cut = response()
    files.responses("sample").append([cut])
    script = tmp_path / "script.jsonl"
    script.write_text('{"id": "d-0/0", "text": "A red circle and a moon."}')
    config = step.Config(backend=BackendConfig(name="scripted", script=str(script)))
    for _ in range(2):
        step.run(config, files)
        (record,) = files.continuations("dropout")
        assert record.text == "A red circle and a moon."


@pytest.mark.parametrize("ratio", [-0.1, 1.0])
def test_bad_ratio(ratio):
    with pytest.raises(ValueError, match="ratio"):
        step.Config(ratio=ratio)
