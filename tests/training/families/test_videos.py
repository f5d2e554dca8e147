"""Videos: the same tokens and pixels in sampling, in training and from the processor itself; greedy as `generate`."""

import copy
import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from mixpo.batches.encode import Encoder
from mixpo.batches.layout import Layout, lay_out
from mixpo.batches.positions import PositionAssigner
from mixpo.errors import DataError
from mixpo.files import RunFiles
from mixpo.images import ImageRoots
from mixpo.losses.mix import Objective, mix
from mixpo.model_inputs import ImagesConfig, ModelInputs
from mixpo.models.head import output_head
from mixpo.models.load import apply
from mixpo.models.shape import shape_of, tower_tokens
from mixpo.pairs import build
from mixpo.questions import collect
from mixpo.records import Dropped, DropReason, Origin, PreferencePair, Question, Role, Turn, Video
from mixpo.responses import sample
from mixpo.responses.backend import Request, SamplingParams
from mixpo.responses.backends.config import BackendConfig
from mixpo.responses.backends.embedded.prefill import move
from mixpo.responses.backends.embedded.transformers import TransformersBackend
from mixpo.training import train
from mixpo.training.config import MPOConfig
from mixpo.training.optimizer_step import terms_of
from mixpo.training.rows import RowDataset
from mixpo.training.scoring import score
from mixpo.training.selection import usable
from mixpo.training.trainer import MPOTrainer
from mixpo.verdicts import verify
from mixpo.videos import Frames, opened
from training.families import conftest as families


def of(*builders):
    return pytest.mark.parametrize("family", builders, indirect=True, ids=lambda builder: builder.__name__)


TAKE = (families.internvl, families.qwen2_5_vl, families.qwen3_vl)
takes = of(*TAKE)
P = "\ufffc"
GREEDY = SamplingParams(temperature=0, max_new_tokens=8, logps=True)


@pytest.fixture(scope="module")
def roots(tmp_path_factory):
    """Seven pictures of one size and one of another."""
    folder = tmp_path_factory.mktemp("frames")
    rng = np.random.default_rng(0)
    for number, (width, height) in enumerate([(56, 42)] * 7 + [(40, 60)]):
        pixels = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
    return ImageRoots({"a": folder})


def names(*numbers):
    return tuple(f"a/{number}.png" for number in numbers)


def pair(id, prompt, images=(), videos=(), **more):
    return PreferencePair(
        id=id, question_id=id, prompt=prompt, chosen="three circles", rejected="one blue square", images=images,
        videos=videos, origin=Origin.CORRECTNESS, **more,
    )  # fmt: skip


FILM = Video(start=0, frames=4, fps=1.5)
PAIRS = (
    pair("film", "how many circles", names(0, 1, 2, 3), (FILM,)),
    pair("text", "how many circles"),
    pair("picture", "how many circles", names(7)),
    pair("both", f"look {P} and {P} there", names(7, 4, 5, 6, 0), (Video(start=1, frames=4, fps=2.0),)),
    pair(
        "turn", f"now {P}?", names(0, 1, 2, 3, 4), (FILM,), system="look closely",
        turns=(Turn(role=Role.USER, text=f"{P} how many"), Turn(role=Role.ASSISTANT, text="two")),
    ),
    pair("odd", "left", names(2, 3, 4), (Video(start=0, frames=3, fps=0.7),)),
)  # fmt: skip


def request(record, roots):
    images = tuple(opened(record.images, record.videos, roots))
    return Request(
        id=record.id, prompt=record.prompt, images=images, system=record.system, turns=record.turns, samples=(0, 1)
    )


def own_inputs(processor, asked):
    """What the processor itself makes of the conversation, told of the same frames."""
    shown = iter(asked.images)
    chat, videos = asked.messages, [one for one in asked.images if isinstance(one, Frames)]
    for part in (part for message in chat for part in message["content"] if part["type"] != "text"):
        one = next(shown)
        part[part["type"]] = list(one.images) if part["type"] == "video" else one
    return processor.apply_chat_template(
        chat, add_generation_prompt=True, tokenize=True, return_dict=True, return_tensors="pt",
        processor_kwargs={
            "videos_kwargs": {"do_sample_frames": False, "video_metadata": [video.metadata for video in videos]}
        } if videos else {},
    )  # fmt: skip


def encoded(family, roots, records=PAIRS):
    encoder, continuation = Encoder(family.processor), PositionAssigner(family.model)
    return [continuation(encoder(row)) for row in RowDataset(list(records), roots)]


@takes
def test_sampling_and_training_see_what_the_processor_makes_of_it(family, roots):
    backend = TransformersBackend(family.model, family.processor)
    for record, example in zip(PAIRS, encoded(family, roots), strict=True):
        asked = request(record, roots)
        expected = own_inputs(family.processor, asked)
        sampled = backend.encoder([asked])
        assert sampled.keys() == expected.keys()
        for name, value in expected.items():
            assert torch.equal(sampled[name], value), name
        assert example.prompt_ids == expected["input_ids"][0].tolist()
        for name, value in example.image_inputs.items():
            assert torch.equal(value, expected[name]), name
        frames = sum(len(one.images) for one in asked.images if isinstance(one, Frames))
        assert (frames > 0) == bool(record.videos)
    film, picture = (encoded(family, roots, [PAIRS[number]])[0] for number in (0, 2))
    assert len(film.prompt_ids) > len(picture.prompt_ids)


@takes
def test_limits_on_pictures_are_limits_on_frames(family, roots):
    """For sampling and training alike; InternVL makes frames of one size of them again: blurred ones."""
    processor = copy.deepcopy(family.processor)
    apply(processor, ModelInputs(images=ImagesConfig(max_pixels=28 * 28)), family.name)
    name = "pixel_values_videos" if "qwen" in family.name else "pixel_values"
    asked = request(PAIRS[0], roots)
    sampled = TransformersBackend(family.model, processor).encoder([asked])
    row = RowDataset(PAIRS[:1], roots)[0]
    limited, whole = (Encoder(one)(row) for one in (processor, family.processor))
    assert sampled["input_ids"][0].tolist() == limited.prompt_ids
    assert torch.equal(sampled[name], limited.image_inputs[name])
    assert not torch.equal(limited.image_inputs[name], whole.image_inputs[name])
    assert family.name == "internvl" or len(limited.prompt_ids) < len(whole.prompt_ids)


@takes
def test_greedy_equals_generate_in_a_mixed_batch(family, roots):
    backend = TransformersBackend(family.model, family.processor)
    assert backend.windows is not None
    requests = [request(record, roots) for record in PAIRS]
    found = {(one.request_id, one.sample): one for one in backend.complete(requests, GREEDY)}
    assert len(found) == 2 * len(PAIRS)
    for asked in requests:
        inputs = own_inputs(family.processor, asked)
        with torch.no_grad():
            output = family.model.generate(**inputs, do_sample=False, max_new_tokens=8)[0]
        tokens = output[inputs["input_ids"].shape[1] :].tolist()
        ends = [place for place, token in enumerate(tokens) if token in backend.end_ids]
        for number in asked.samples:
            completion = found[asked.id, number]
            assert list(completion.token_ids) == (tokens[: ends[0]] if ends else tokens)
            assert completion.prompt_tokens == inputs["input_ids"].shape[1]


@takes
def test_shared_rows_with_videos_give_the_paired_gradient(family, roots):
    examples, found = encoded(family, roots), []
    for layout in (Layout.PAIRED, Layout.SHARED):
        batch, model = lay_out(examples, layout, 0), copy.deepcopy(family.model)
        logps = score(model, batch, output_head(model), chunk=64)
        loss = mix(terms_of(batch, logps, logps.detach() - 0.1 * batch.lengths), Objective(), shift=0.3).total.mean()
        loss.backward()
        found.append((logps.detach(), model.get_input_embeddings().weight.grad))
    for shared, paired in zip(*found, strict=True):
        torch.testing.assert_close(shared, paired, rtol=1e-3, atol=1e-4)


@takes
def test_what_is_sampled_is_scored_alike_in_training(family, roots):
    backend = TransformersBackend(family.model, family.processor)
    for record, example in zip(PAIRS, encoded(family, roots), strict=True):
        drawn = replace(GREEDY, temperature=1.0, seed=3)
        first = next(iter(backend.complete([request(record, roots)], drawn)))
        ended = [example.completions[0][-1]] if first.finish_reason == "stop" else []
        written = replace(example, completions=[[*first.token_ids, *ended]])
        with torch.no_grad():
            logps = score(family.model, lay_out([written], Layout.SHARED, 0), output_head(family.model), chunk=5)
        assert logps.item() == pytest.approx(first.logp, abs=1e-3)


@takes
def test_a_step_of_training(family, roots, tmp_path):
    config = MPOConfig(
        output_dir=str(tmp_path), per_device_train_batch_size=3, gradient_accumulation_steps=2, learning_rate=1e-3,
        warmup_steps=0, max_steps=2, save_strategy="no", report_to="none", disable_tqdm=True, use_cpu=True,
    )  # fmt: skip
    model = copy.deepcopy(family.model)
    data = RowDataset(list(PAIRS), roots)
    trainer = MPOTrainer(model, args=config, train_dataset=data, processing_class=family.processor)
    trainer.train()
    assert trainer.layout is Layout.SHARED
    lines = [line for line in trainer.state.log_history if "loss" in line]
    assert lines[0]["loss"] == pytest.approx(lines[0]["expected_first_loss"], rel=1e-4)
    assert lines[1]["rewards/margins"] != 0


@takes
def test_the_plan_counts_what_the_tower_sees(family, roots):
    patch = shape_of(family.model).patch
    for example in encoded(family, roots):
        pixels = sum(value.numel() for name, value in example.image_inputs.items() if name.startswith("pixel_values"))
        # Qwen-VL's convolution takes two frames as one patch; InternVL's frames are tiles.
        assert sum(tower_tokens(example.image_inputs, patch)) == pixels // patch


@of(*TAKE[1:])
def test_how_fast_a_video_is_shown_is_seen(family, roots):
    """Qwen-VL's positions and timestamps come from it; InternVL numbers the frames."""
    slow, fast = (
        encoded(family, roots, [replace(PAIRS[0], videos=(replace(FILM, fps=fps),))])[0] for fps in (0.25, 8.0)
    )
    assert slow.prompt_ids != fast.prompt_ids or not torch.equal(slow.positions, fast.positions)
    assert slow.key != fast.key


def test_a_model_of_16_bits_has_the_times_of_float32():
    """Positions are made of them, and those of training are float32's."""
    model = torch.nn.Linear(2, 2).bfloat16()
    model.device, model.dtype = torch.device("cpu"), torch.bfloat16
    moved = move({"second_per_grid_ts": torch.tensor([1.337]), "pixel_values_videos": torch.ones(4, 3)}, model)
    assert moved["second_per_grid_ts"].item() == torch.tensor(1.337).item()
    assert moved["pixel_values_videos"].dtype == torch.bfloat16


@of(*(builder for builder in families.BUILDERS if builder not in TAKE))
def test_who_takes_no_videos_leaves_them_out(family, roots):
    asked = request(PAIRS[0], roots)
    backend = TransformersBackend(family.model, family.processor)
    (dropped,) = backend.complete([asked], GREEDY)
    assert isinstance(dropped, Dropped)
    assert (dropped.id, dropped.reason) == ("film", DropReason.UNSUPPORTED)
    assert "videos" in dropped.detail
    left_out: list[Dropped] = []
    assert usable(PAIRS[:1], Encoder(family.processor), roots, "train", left_out) == []
    assert (left_out[0].reason, left_out[0].id) == (DropReason.UNSUPPORTED, "film")
    with pytest.raises(DataError, match="videos"):
        Encoder(family.processor)(RowDataset([PAIRS[0]], roots)[0])


@takes
def test_a_video_that_the_processor_refuses_is_left_out(family, roots):
    """InternVL's takes videos of one number of frames together; no family takes frames of two sizes."""
    short = replace(FILM, start=4, frames=2)
    uneven = pair("uneven", "which", names(0, 1, 2, 3, 4, 5), (FILM, short))
    mixed = pair("mixed", "which", names(0, 7), (replace(FILM, frames=2),))
    left_out: list[Dropped] = []
    kept = usable([uneven, mixed, *PAIRS], Encoder(family.processor), roots, "train", left_out)
    assert [record.id for record in left_out] == (["uneven", "mixed"] if family.name == "internvl" else ["mixed"])
    assert {record.reason for record in left_out} == {DropReason.BAD_IMAGE}
    assert "of one size, not 40 x 60, 56 x 42" in left_out[-1].detail
    assert [record.id for record in kept if record.id != "uneven"] == [record.id for record in PAIRS]


@takes
def test_the_whole_loop(family, tmp_path):
    """A file's frames are read once: the tokens that sampling counts are those of the pairs that training encodes."""
    frames = [Image.new("RGB", (56, 42), (60 * number, 0, 99)) for number in range(4)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:], duration=500)
    family.model.save_pretrained(tmp_path / "model")
    family.processor.save_pretrained(tmp_path / "model")
    row = {"id": "1", "text": "how many circles", "video": "a.gif", "answer": "3", "kind": "integer"}
    (tmp_path / "q.jsonl").write_text(json.dumps(row) + "\n")
    files, model = RunFiles(tmp_path / "run"), str(tmp_path / "model")
    source = {"loader": "file", "path": str(tmp_path / "q.jsonl")}
    collect.run(collect.Config(sources={"mine": source}), files)
    quiet = BackendConfig(canaries=False)
    sample.run(sample.Config(model=model, n=2, max_new_tokens=4, backend=quiet), files)
    drawn = list(files.responses("sample"))
    assert [one.id for one in drawn] == ["mine-1/0", "mine-1/1"]
    files.responses("sample").replace(
        replace(one, text=f"Final answer: {answer}", finish_reason="stop")
        for one, answer in zip(drawn, (3, 4), strict=True)
    )
    verify.run(verify.Config(), files)
    build.run(build.Config(), files)
    (made,) = files.pairs("pair")
    assert made.videos == (Video(start=0, frames=4, fps=2.0),)
    roots = ImageRoots.load(files.image_roots_file("questions"))
    assert len(encoded(family, roots, [made])[0].prompt_ids) == drawn[0].prompt_tokens
    train.run(train.Config(model=model, batch=1, micro_batch=1), files)
    assert (files.checkpoints("train") / "model").exists()


@of(families.llava)
def test_what_is_left_out_is_said(family, roots, tmp_path, capsys):
    """Sampled with a model that takes no videos: the question is left out, counted, and the screen says why."""
    family.model.save_pretrained(tmp_path / "model")
    family.processor.save_pretrained(tmp_path / "model")
    files = RunFiles(tmp_path / "run")
    files.questions("questions").append(
        [
            Question(id="film", text="how many", images=names(0, 1, 2, 3), videos=(FILM,)),
            Question(id="picture", text="how many", images=names(7)),
        ]
    )
    files.image_roots_file("questions").write_text(json.dumps({"a": str(roots.roots["a"])}))
    files.pairs("pair").append([PAIRS[0], PAIRS[2]])
    model = str(tmp_path / "model")
    sample.run(sample.Config(model=model, n=1, max_new_tokens=2, backend=BackendConfig(canaries=False)), files)
    assert [one.question_id for one in files.responses("sample")] == ["picture"]
    train.run(train.Config(model=model, batch=1, micro_batch=1), files)
    said = " ".join(capsys.readouterr().err.split())
    for step, what in (("sample", "question"), ("train", "pair")):
        (dropped,) = files.dropped(step)
        assert (dropped.id, dropped.reason) == ("film", DropReason.UNSUPPORTED)
        assert f"{step}: 1 {what} left out because LlavaProcessor and its chat template take no" in said
    assert "train: 1 pair, 1 step, loss" in said
