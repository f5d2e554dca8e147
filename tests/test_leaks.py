"""Nothing but pictures leaves a run, and a data file or a run of a stranger's chooses no folder that is read."""

import json
import os
import shutil

import pytest

from mixpo.errors import DataError, ImageError, MissingImage, UserError
from mixpo.evaluation.benchmarks import source
from mixpo.files import RunFiles
from mixpo.images import ImageRoots, is_picture
from mixpo.pairs.export import LEFT_OUT, export
from mixpo.pairs.formats.export_pictures import ExportPictures
from mixpo.pairs.import_pairs import WRITERS, Config, Format
from mixpo.pairs.import_pairs import run as run_import
from mixpo.pictures import Place, images_of
from mixpo.publish import publish_data
from mixpo.questions import huggingface
from mixpo.questions.collect import Config as Collecting
from mixpo.questions.collect import run as collect
from mixpo.records import DropReason, Origin, PreferencePair, Question
from mixpo.report import page
from mixpo.responses.cluster import storage
from mixpo.text_files import write_bytes, write_text

CANARY = "canary-6f1d"
HIDDEN = ("secret.txt", "id_rsa", "notes.png", "empty.png", "cut.png")


def png(colour="red", size=(28, 28)):
    import io

    from PIL import Image

    buffer = io.BytesIO()
    Image.new("RGB", size, colour).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture
def home(tmp_path):
    """What a user has on the disk, and nobody else is to see."""
    folder = tmp_path / "home"
    for name in HIDDEN[:3]:
        write_text(folder / name, f"root:x:0:0:{CANARY}\n" * 9)
    write_bytes(folder / "empty.png", b"")
    write_bytes(folder / "cut.png", png()[:60] + CANARY.encode())
    write_bytes(folder / "photo.png", png("blue"))
    return folder


@pytest.fixture
def received(tmp_path, home):
    """A run folder of a stranger's: its pictures are said to lie everywhere."""
    files = RunFiles(tmp_path / "run")
    roots = {"all": "/", "up": "../../../home", "home": str(home), "own": "images/own"}
    write_text(files.image_roots_file("questions"), json.dumps(roots))
    write_bytes(files.pictures("questions") / "own/1.png", png())
    (files.pictures("questions") / "own" / "link.png").symlink_to(home / "photo.png")
    images = [f"home/{name}" for name in HIDDEN]
    images += ["all/etc/passwd", f"all{home}/secret.txt", "up/secret.txt", "own/../../../../../home/secret.txt"]
    images += ["own/link.png", "own", "all/", "/etc/passwd", "own/1.png", "home/photo.png"]
    files.pairs("pair").append(
        PreferencePair(
            id=f"q{number}/0>1", question_id=f"q{number}", prompt="?", chosen="a", rejected="b", images=(image,),
            origin=Origin.CORRECTNESS, chosen_id=f"q{number}/0",
        )
        for number, image in enumerate(images)
    )  # fmt: skip
    files.questions("questions").append(
        Question(id=f"q{number}", text="?", images=(image,), answer="a") for number, image in enumerate(images)
    )
    return files


def leaked(folder):
    return [path for path in folder.rglob("*") if path.is_file() and CANARY.encode() in path.read_bytes()]


@pytest.mark.parametrize("form", WRITERS)
def test_an_export_of_a_crafted_run_has_nothing_but_pictures(tmp_path, received, form, capsys):
    done = export(received, form, tmp_path / "out")
    assert done.rows == 2  # the run's own picture, and the user's, which is said
    assert len(done.left_out) == 13
    assert leaked(tmp_path / "out") == []
    told = " ".join(capsys.readouterr().err.split())
    assert f"export: 1 picture from outside the run folder ({tmp_path}/home)" in told
    copies = [path for path in (tmp_path / "out").rglob("*") if path.suffix in (".png", ".txt", "") and path.is_file()]
    assert all(is_picture(path.read_bytes()) for path in copies)


def test_nor_has_a_published_data_set_or_a_report(tmp_path, received, capsys):
    publish_data(received, "pair", tmp_path / "out")
    page.run(page.Config(pairs_shown=15), received)
    assert leaked(tmp_path / "out") == []
    assert CANARY not in received.report.read_text()
    assert "report: 1 picture from outside the run folder" in " ".join(capsys.readouterr().err.split())


def test_a_run_with_its_own_pictures_is_exported_without_a_word(tmp_path, received, capsys):
    received.pairs("mine").append(pair for pair in received.pairs("pair") if pair.images == ("own/1.png",))
    export(received, Format.MMPR, tmp_path / "out", "mine", "questions")
    assert "outside" not in capsys.readouterr().err


def test_a_copy_is_written_into_the_export_alone(tmp_path, received):
    """The picture is there, and the path of its copy would lead out of the export."""
    target = tmp_path / "target"
    target.mkdir()
    write_bytes(received.root / "x.png", png())
    out = tmp_path / "a" / "out"
    pictures = ExportPictures(ImageRoots({"own": tmp_path, "..": tmp_path}), received.root, out)
    (tmp_path / "images").mkdir()
    for image in ("own/a/../../../run/x.png", "own/../../../../../run/x.png", "../../../run/x.png", "../run/x.png"):
        with pytest.raises(ImageError):
            pictures.copied(image)
    assert not list(out.rglob("*.png"))


@pytest.fixture
def stranger(tmp_path, home):
    """A preference set of a stranger's, in its folder."""

    def make(root, annotation="rows.jsonl", images=("secret.txt",)):
        folder = tmp_path / "set"
        rows = [{"image": image, "question": "<image>?", "chosen": "a", "rejected": "b"} for image in images]
        rows.append({"question": "?", "chosen": "a", "rejected": "b"})
        write_text(folder / "rows.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
        write_text(folder / "meta.json", json.dumps({"a": {"root": root, "annotation": annotation}}))
        return folder

    return make


@pytest.mark.parametrize("root", ["/", "/etc", "..", "../home", "home", "link", "link/.."])
def test_a_meta_json_names_no_folder_outside_its_own(tmp_path, home, stranger, root):
    folder = stranger(root)
    (folder / "link").symlink_to(home)
    with pytest.raises(DataError, match="leads out of its folder; if you mean it, .*`image_root`"):
        run_import(Config(format=Format.MMPR, path=str(folder)), RunFiles(tmp_path / "run"))
    assert leaked(tmp_path / "run") == []


@pytest.mark.parametrize("absolute", [True, False])
def test_nor_a_file_of_rows(tmp_path, home, stranger, absolute):
    write_text(home / "rows.jsonl", json.dumps({"question": CANARY, "chosen": "a", "rejected": "b"}) + "\n")
    folder = stranger(".", str(home / "rows.jsonl") if absolute else "../home/rows.jsonl")
    (folder / "rows.jsonl").unlink()
    with pytest.raises(DataError, match="leads out of its folder"):
        run_import(Config(format=Format.MMPR, path=str(folder)), RunFiles(tmp_path / "run"))
    # The user says where, and means it.
    run_import(Config(format=Format.MMPR, path=str(folder), image_root=str(home)), RunFiles(tmp_path / "run"))
    entry = {"ranking": True, "columns": {"prompt": "question", "chosen": "chosen", "rejected": "rejected"}}
    for name in ("../home/rows.jsonl", str(home / "rows.jsonl"), "x\0y", "x" * 300):
        write_text(folder / "dataset_info.json", json.dumps({"a": {**entry, "file_name": name}}))
        with pytest.raises(DataError, match="lies outside its folder; import that file itself"):
            run_import(Config(format=Format.LLAMA_FACTORY, path=str(folder)), RunFiles(tmp_path / "run-2"))


def test_folders_that_the_user_names_are_read(tmp_path, home, stranger):
    """Images on another disk, behind a link: `image_root` says that they may be read."""
    folder = stranger("pictures", images=["photo.png"])
    (folder / "pictures").symlink_to(home)
    for number, named in enumerate((home, tmp_path)):
        files = RunFiles(tmp_path / f"run-{number}")
        run_import(Config(format=Format.MMPR, path=str(folder), image_root=str(named)), files)
        (with_image, _) = files.pairs("import")
        assert ImageRoots.load(files.image_roots_file("import")).open(with_image.images[0]).size == (28, 28)


@pytest.mark.parametrize("form", [Format.TRL, Format.MS_SWIFT, Format.LLAMA_FACTORY, Format.RLAIF_V])
def test_rows_name_nothing_outside_the_data(tmp_path, home, form):
    folder = tmp_path / "set"
    names = [
        "../home/photo.png",
        str(home / "photo.png"),
        "link/photo.png",
        "file.png",
        "/etc/passwd",
        "a\0b",
        "x" * 300,
    ]
    names += [f"file://{home}/photo.png", "~/photo.png", {"path": str(home / "photo.png"), "bytes": None}]
    columns = {"chosen": "a", "rejected": "b", "prompt": "?", "question": "?", "instruction": "?"}
    chat = {
        "messages": [{"role": "user", "content": "?"}, {"role": "assistant", "content": "a"}],
        "rejected_response": "b",
    }
    row = chat if form is Format.MS_SWIFT else columns
    rows = [{**row, "images": [name]} for name in names] + [row]
    write_text(folder / "rows.jsonl", "".join(json.dumps(each) + "\n" for each in rows))
    (folder / "link").symlink_to(home)
    (folder / "file.png").symlink_to(home / "photo.png")
    files = RunFiles(tmp_path / "run")
    run_import(Config(format=form, path=str(folder / "rows.jsonl")), files)
    assert [pair.images for pair in files.pairs("import")] == [()]
    assert len(list(files.dropped("import"))) == len(names)


def test_a_row_of_the_hub_reads_nothing_of_the_working_directory(tmp_path, monkeypatch):
    write_bytes(tmp_path / "photo.png", png())
    monkeypatch.chdir(tmp_path)
    for name in ("photo.png", str(tmp_path / "photo.png")):
        with pytest.raises(MissingImage, match="a row from the hub that only names its picture.*`image_root`"):
            images_of([{"bytes": None, "path": name}], Place(source="s", root=None))
    (path,), _ = images_of([{"bytes": png(), "path": "photo.png"}], Place(source="s", root=None))
    assert path.endswith(".png")
    # Rows as the hub gives them, for a source and for a benchmark.
    row = {"id": "1", "question": "?", "options": "['x', 'y']", "answer": "A", "question_type": "multiple-choice"}
    row |= {"subfield": "Art", "image": "photo.png", "image_1": {"bytes": None, "path": "photo.png"}}
    monkeypatch.setattr(huggingface, "rows", lambda *_, **__: iter([row]))
    of_hub = huggingface.load(huggingface.Config(path="owner/name"), "s", 0)
    of_benchmark = source.load(source.DECLARED["mmmu"], source.Config(), "mmmu")
    records = [*of_hub, *of_benchmark]
    assert len(records) == 2
    for record in records:
        assert record.reason is DropReason.BAD_IMAGE
        assert "photo.png: a row from the hub that only names its picture" in record.detail


@pytest.mark.parametrize("streaming", [False, True])
def test_the_card_of_a_data_set_names_no_file_of_the_user(tmp_path, home, streaming, monkeypatch):
    datasets = pytest.importorskip("datasets")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    folder = tmp_path / "set"
    rows = [{"id": "1", "text": "What?", "answer": "a"}]
    write_text(folder / "rows.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    (folder / "link.jsonl").symlink_to(home / "secret.txt")
    config = huggingface.Config(path=str(folder), streaming=streaming)
    for name in (str(home / "secret.txt"), "../home/secret.txt", "link.jsonl", "rows.jsonl"):
        files = [{"split": "train", "path": name}]
        card = json.dumps({"configs": [{"config_name": "default", "data_files": files}]})
        write_text(folder / "README.md", f"---\n{card}\n---\n")
        if name != "rows.jsonl":
            with pytest.raises(DataError, match=r"its README.md names .* which lies outside the data set"):
                list(huggingface.rows(config, folder))
    assert list(huggingface.rows(config, folder)) == rows


def test_only_pictures_are_copied_into_a_run(tmp_path, home):
    """`fetch_images: true` copies what rows name."""
    shutil.copytree(home, tmp_path / "set")
    rows = [{"id": n, "text": "?", "answer": "a", "image": name} for n, name in enumerate([*HIDDEN[:4], "photo.png"])]
    write_text(tmp_path / "set" / "q.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    files = RunFiles(tmp_path / "run")
    values = {"loader": "file", "path": str(tmp_path / "set" / "q.jsonl"), "fetch_images": True}
    collect(Collecting(sources={"mine": values}), files)
    assert [question.id for question in files.questions("questions")] == ["mine-4"]
    assert leaked(files.root) == []
    assert {record.detail for record in files.dropped("questions")} == {
        "'secret.txt': not an image that Pillow can read", "'id_rsa': not an image that Pillow can read",
        "'notes.png': not an image that Pillow can read", "the image is empty",
    }  # fmt: skip


def test_names_of_stored_pictures_that_no_file_can_have(tmp_path):
    import pyarrow
    import pyarrow.parquet

    own = {"question_id": "q", "origin": "imported", "chosen_id": "", "rejected_id": "", "rejected_ended": True}
    names = ["a/" + "x" * 300 + ".png", "b/\0.png", "x" * 300 + "/1.png", "good/1.png"]
    rows = [
        {"id": str(n), "prompt": "?", "chosen": "a", "rejected": "b", "images": [{"bytes": png(), "path": name}], **own}
        for n, name in enumerate(names)
    ]
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "x.parquet")
    files = RunFiles(tmp_path / "run")
    run_import(Config(format=Format.TRL, path=str(tmp_path / "x.parquet")), files)
    assert [pair.images for pair in files.pairs("import")] == [("good/1.png",)]


def test_a_store_of_a_cluster_chooses_no_other(tmp_path):
    fsspec = pytest.importorskip("fsspec")
    store = fsspec.filesystem("memory")
    roots = {"a": "file:///etc", "b": "http://169.254.169.254/", "c": "images", "d": "memory://other"}
    store.pipe("/leaks/image_roots.json", json.dumps(roots).encode())
    assert set(storage.image_roots("memory://leaks").addresses) == {"c", "d"}


def test_the_list_of_what_was_left_out_tells_reasons_and_no_content(tmp_path, received):
    export(received, Format.TRL, tmp_path / "out")
    text = (tmp_path / "out" / LEFT_OUT).read_text()
    assert CANARY not in text
    assert os.listdir(tmp_path / "out") != []
    with pytest.raises(UserError):
        export(received, Format.TRL, tmp_path / "out")
