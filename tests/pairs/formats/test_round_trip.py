"""What is exported is read back the same, and other programs' libraries read it too."""

import json

import pytest

from mixpo.errors import DataError, UserError
from mixpo.files import RunFiles
from mixpo.images import ImageRoots
from mixpo.json_lines import from_json
from mixpo.pairs.export import LEFT_OUT, export
from mixpo.pairs.import_pairs import WRITERS, Config, Format
from mixpo.pairs.import_pairs import run as run_import
from mixpo.records import Dropped, DropReason, Origin, PreferencePair, Video

ONE_IMAGE = {Format.RLAIF_V, Format.RLHF_V, Format.SPA_VL}
"""Formats whose rows have exactly one image."""


@pytest.mark.parametrize("form", WRITERS)
def test_pairs_images_and_ground_truths_come_back(form, run, pairs, tmp_path):
    export(run, form, tmp_path / "out")
    back = RunFiles(tmp_path / "back")
    run_import(Config(format=form, path=str(tmp_path / "out")), back)
    expected = [pair for pair in pairs if form not in ONE_IMAGE or len(pair.images) == 1]
    assert list(back.pairs("import")) == expected
    before = ImageRoots.load(run.image_roots_file("questions"))
    after = ImageRoots.load(back.image_roots_file("import"))
    for image in {image for pair in expected for image in pair.images}:
        assert after.path(image).read_bytes() == before.path(image).read_bytes()
    answers = {question.id: question.answer for question in back.questions("import")}
    assert answers["scenes-1"] == "3"
    assert set(answers.values()) <= {"3", None}


def test_a_second_round_gives_the_same_files(run, tmp_path):
    export(run, Format.MS_SWIFT, tmp_path / "first")
    back = RunFiles(tmp_path / "back")
    run_import(Config(format=Format.MS_SWIFT, path=str(tmp_path / "first")), back)
    export(back, Format.MS_SWIFT, tmp_path / "second", pairs="import")
    names = sorted(path.relative_to(tmp_path / "first") for path in (tmp_path / "first").rglob("*") if path.is_file())
    assert len(names) == 4
    for name in names:
        assert (tmp_path / "first" / name).read_bytes() == (tmp_path / "second" / name).read_bytes()


@pytest.mark.parametrize("form", WRITERS)
def test_a_pair_with_a_video_is_listed(form, run, tmp_path):
    film = PreferencePair(
        id="film", question_id="film", prompt="?", chosen="a", rejected="b", origin=Origin.CORRECTNESS,
        images=("scenes/1.png",), videos=(Video(start=0, frames=1, fps=1.0),),
    )  # fmt: skip
    run.pairs("pair").append([film])
    left_out = export(run, form, tmp_path / "out").left_out
    assert ("film", DropReason.UNSUPPORTED) in {(record.id, record.reason) for record in left_out}


def test_what_a_format_cannot_hold_is_listed(run, tmp_path):
    odd = {"prompt": "Where is <image>?", "chosen": "a", "rejected": "b", "origin": Origin.IMPORTED}
    lost = {"prompt": "?", "chosen": "a", "rejected": "b", "origin": Origin.IMPORTED, "images": ("scenes/9.png",)}
    run.pairs("pair").append(
        [PreferencePair(id="x", question_id="x", **odd), PreferencePair(id="y", question_id="y", **lost)]
    )
    assert export(run, Format.LLAMA_FACTORY, tmp_path / "out").rows == 4
    listed = [from_json(Dropped, line) for line in (tmp_path / "out" / LEFT_OUT).read_text().splitlines()]
    assert [(record.id, record.reason) for record in listed] == [
        ("x", DropReason.UNSUPPORTED),
        ("y", DropReason.BAD_IMAGE),
    ]


def test_rlaif_v_lists_pairs_without_exactly_one_image(run, tmp_path):
    done = export(run, Format.RLAIF_V, tmp_path / "out")
    assert [(record.id, record.detail[:16]) for record in done.left_out] == [
        ("other-2/0>0", "it has 2 images;"),
        ("text-3/0>1", "it has 0 images;"),
    ]


def test_a_folder_with_files_is_not_written_over(run, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine")
    with pytest.raises(UserError, match="not empty"):
        export(run, Format.TRL, tmp_path / "out")
    with pytest.raises(DataError, match="no pairs in the section 'pear'; it has pair"):
        export(run, Format.TRL, tmp_path / "new", pairs="pear")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["mine.txt"]
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("form", WRITERS)
def test_datasets_reads_the_export(form, run, pairs, tmp_path):
    datasets = pytest.importorskip("datasets")
    export(run, form, tmp_path / "out")
    cache = str(tmp_path / "cache")
    if form is Format.TRL or form in ONE_IMAGE:
        data = datasets.load_dataset(str(tmp_path / "out"), split="train", cache_dir=cache)
        first = data[0]["images"][0] if form is Format.TRL else data[0]["image"]
        assert first.getpixel((0, 0)) == (255, 0, 0)
    else:
        (file,) = (tmp_path / "out").rglob("*.jsonl")
        data = datasets.load_dataset("json", data_files=str(file), split="train", cache_dir=cache)
    assert len(data) == (2 if form in ONE_IMAGE else 4)
    assert data[0]["id"] == pairs[0].id


def test_trls_collator_takes_the_export(run, pairs, tmp_path, internvl):
    """The words of prompt and completions reach TRL's tensors."""
    datasets = pytest.importorskip("datasets")
    dpo = pytest.importorskip("trl.trainer.dpo_trainer", reason="trl is in the optional group `bench`")
    _, processor = internvl
    export(run, Format.TRL, tmp_path / "out")
    data = datasets.load_dataset(str(tmp_path / "out"), split="train", cache_dir=str(tmp_path / "cache"))
    batch = dpo.DataCollatorForVisionPreference(processor)([data[0], data[1]])
    texts = processor.tokenizer.batch_decode(batch["input_ids"], skip_special_tokens=True)
    assert len(texts) == 4  # chosen, then rejected
    assert "How many?" in texts[0]
    assert [pairs[0].chosen in texts[0], pairs[0].rejected in texts[2], pairs[1].rejected[:20] in texts[3]] == [
        True
    ] * 3
    assert batch["pixel_values"].shape[0] in (2, 4)


def test_llama_factorys_declaration_names_the_file(run, tmp_path):
    export(run, Format.LLAMA_FACTORY, tmp_path / "out")
    (declared,) = json.loads((tmp_path / "out" / "dataset_info.json").read_text()).values()
    assert declared["ranking"] is True
    first = json.loads((tmp_path / "out" / declared["file_name"]).read_text(encoding="utf-8").splitlines()[0])
    assert first["conversations"] == [{"from": "human", "value": "<image>How many?\nThink."}]
    assert first["chosen"] == {"from": "gpt", "value": "Drei: 3"}
    assert (tmp_path / "out" / first["images"][0]).is_file()


def test_mmprs_meta_is_what_internvl_reads(run, tmp_path):
    export(run, Format.MMPR, tmp_path / "out")
    (meta,) = json.loads((tmp_path / "out" / "meta.json").read_text()).values()
    lines = (tmp_path / "out" / meta["annotation"]).read_text(encoding="utf-8").splitlines()
    assert meta["length"] == len(lines) == 4
    one, _, two, none = map(json.loads, lines)
    assert (one["image"], one["question"]) == ("scenes/1.png", "<image>\nHow many?\nThink.")
    assert two["image"] == ["scenes/2.png", "other/deep/3.png"]
    assert two["question"].count("<image>") == 2
    assert "image" not in none
    assert (tmp_path / "out" / meta["root"] / one["image"]).is_file()
