"""Sampling on a local Ray cluster of two workers: an actor killed halfway, a rerun, mistakes, and what actors read."""

import importlib.util
import json
import os
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from mixpo.cli import main
from mixpo.errors import DataError, ImageError, MissingExtra, UserError
from mixpo.files import RunFiles
from mixpo.images import ImageRoots
from mixpo.json_lines import to_json
from mixpo.records import AnswerKind, Question
from mixpo.responses import sample
from mixpo.responses.backends.config import BackendConfig
from mixpo.responses.backends.vllm import VLLMConfig
from mixpo.responses.balance import Balance
from mixpo.responses.cluster import driver, storage
from mixpo.verdicts.verify import outcome

QUESTIONS = 80
N = 6
needs_ray = pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="ray is not installed (mixpo[ray])")


@pytest.fixture(scope="module")
def cluster():
    """Two workers."""
    os.environ |= {"RAY_AUTH_MODE": "disabled", "RAY_USAGE_STATS_ENABLED": "0"}
    import ray

    ray.init(
        address="local", num_cpus=2, include_dashboard=False, object_store_memory=2**27, log_to_driver=False,
        logging_level="ERROR",
    )  # fmt: skip
    yield driver.Cluster(workers=2)
    ray.shutdown()


def questions() -> list[Question]:
    """Every tenth has an image that is not there."""
    return [
        Question(
            id=f"q-{n}", text="?", answer="3", kind=AnswerKind.INTEGER, images=("s/absent.png",) * (n % 10 == 7)
        )
        for n in range(QUESTIONS)
    ]  # fmt: skip


def run_folder(root: Path) -> RunFiles:
    files = RunFiles(root)
    files.questions("questions").append(questions())
    files.image_roots_file("questions").write_text('{"s": "images"}')
    return files


@pytest.fixture
def config(tmp_path) -> sample.Config:
    """Two questions a block; even questions are balanced after four responses."""
    lines = [
        {"id": f"q-{n}", "sample": s, "text": f"{s} steps. Final answer: {3 + (s % 2) * (n % 2 == 0)}"}
        for n in range(QUESTIONS) for s in range(N)
    ]  # fmt: skip
    script = tmp_path / "script.jsonl"
    script.write_text("".join(json.dumps(line) + "\n" for line in lines))
    backend = BackendConfig(name="scripted", script=str(script))
    rule = Balance(correct=2, incorrect=2, round=2)
    return sample.Config(n=N, block=2 * N, stop_when_balanced=rule, backend=backend)


def written(files: RunFiles) -> list[bytes]:
    """Every line of responses and drops, sorted."""
    folders = [files.responses("sample"), files.dropped("sample")]
    return sorted(line for shards in folders for path in shards.paths() for line in path.read_bytes().splitlines())


@pytest.fixture
def expected(tmp_path, config) -> list[bytes]:
    """What one process writes."""
    files = run_folder(tmp_path / "alone")
    sample.run(config, files, outcome)
    lines = written(files)
    # 40 even questions stop after 4 responses, with a line that says so; of the 40 odd ones 8 have no image.
    assert len(lines) == 40 * (4 + 1) + 32 * N + 8
    return lines


@needs_ray
def test_an_actor_killed_halfway(cluster, config, expected, tmp_path):
    """Ray starts another in its place; every response is there once, as if nothing had happened."""
    files = run_folder(tmp_path / "run")
    present = tmp_path / "present"
    present.mkdir()

    def judge(question, response):
        """The verdict, once two workers are at work; after the kill, once there is a third."""
        (present / str(os.getpid())).touch()
        until = time.monotonic() + 120
        while len(list(present.iterdir())) < 2 + 2 * (present / "killed").exists() and time.monotonic() < until:
            time.sleep(0.01)
        return outcome(question, response)

    job = driver.job_of(config, files, cluster, judge)
    todo, _ = driver.plan(job)
    assert len(todo) == QUESTIONS // 2
    workers: list[str] = []
    for number, block in enumerate(driver.sample_on_ray(job, todo, cluster)):
        workers.append(block.worker)
        if number == 5:
            killed = block.worker
            (present / "killed").touch()
            os.kill(int(killed.rpartition(":")[2]), signal.SIGKILL)
    assert len(workers) == len(todo)
    assert len(set(workers)) == 3, "two actors, and the one that took the place of the killed one"
    assert written(files) == expected
    assert driver.plan(job)[0] == []
    names = [path.name for path in files.responses("sample").paths()]
    assert len(names) == QUESTIONS // 2
    driver.run(config, files, cluster, outcome)
    sample.run(config, files, outcome)
    assert written(files) == expected


@needs_ray
@pytest.mark.parametrize("lines", [1, 37])
def test_a_cluster_goes_on_where_one_process_stopped(cluster, config, expected, tmp_path, lines):
    """The process had written some records and half of the next; the folder can be finished either way."""
    files = run_folder(tmp_path / "run")
    sample.run(config, files, outcome)
    (shard,), (dropped,) = files.responses("sample").paths(), files.dropped("sample").paths()
    rows = shard.read_bytes().splitlines(keepends=True)
    shard.write_bytes(b"".join(rows[:lines]) + rows[lines][:20])
    dropped.write_bytes(b"".join(line for line in dropped.read_bytes().splitlines(keepends=True)[: lines // 10]))
    driver.run(config, files, cluster, outcome)
    torn = rows[lines][:20]
    assert [line for line in written(files) if line != torn] == expected
    names = [path.name for path in files.responses("sample").paths()]
    driver.run(config, files, cluster, outcome)
    assert [path.name for path in files.responses("sample").paths()] == names


@needs_ray
def test_places_of_ones_own_and_a_users_mistake(cluster, config, expected, tmp_path):
    """Questions as Parquet at an address, responses to another; then a model that cannot be loaded."""
    import pyarrow
    import pyarrow.parquet

    rows = [
        {"id": q.id, "text": q.text, "answer": q.answer, "kind": "integer", "images": list(q.images)}
        for q in questions()
    ]
    source = tmp_path / "data"
    source.mkdir()
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), source / "q.parquet", row_group_size=7)
    (source / "image_roots.json").write_text('{"s": "images"}')
    own = replace(cluster, questions=f"file://{source}/q.parquet", out=f"file://{tmp_path}/out")
    driver.run(config, RunFiles(tmp_path / "none"), own, outcome)
    assert written(RunFiles(tmp_path / "out")) == expected
    broken = replace(config, backend=BackendConfig(name="scripted", script=str(tmp_path / "absent.jsonl")))
    with pytest.raises(UserError, match=r"absent\.jsonl: cannot be read"):
        driver.run(broken, run_folder(tmp_path / "broken"), cluster, outcome)


def test_without_ray_there_is_a_sentence(config, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingExtra, match=r"pip install 'mixpo\[ray\]'"):
        driver.run(config, run_folder(tmp_path / "run"), driver.Cluster())


@pytest.mark.parametrize("suffix", ["jsonl", "parquet"])
def test_questions_are_read_on_from_any_place(tmp_path, suffix):
    """Two files of 40; what stands at each place, read from there, is what stands there in the whole."""
    import pyarrow
    import pyarrow.parquet

    for number in range(2):
        part = questions()[40 * number :][:40]
        path = tmp_path / f"{number}.{suffix}"
        if suffix == "jsonl":
            path.write_text("".join(to_json(question) + "\n" for question in part) + '{"id": "torn')
        else:
            rows = [
                {"id": q.id, "text": q.text, "answer": "3", "images": list(q.images), "kind": "integer", "meta": "{}"}
                for q in part
            ]
            pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path, row_group_size=9)
    files = storage.question_files(str(tmp_path))
    whole = list(storage.read_questions(files))
    assert [placed.question for placed in whole] == questions()
    for number in (0, 1, 8, 9, 10, 39, 40, 41, 79):
        start = whole[number]
        assert list(storage.read_questions(files, start.file, start.at)) == whole[number:]


def test_no_questions_is_a_sentence(tmp_path):
    with pytest.raises(DataError, match="there are no questions"):
        storage.question_files(str(tmp_path))


def test_a_line_that_is_no_question_is_left_out(tmp_path, caplog):
    (tmp_path / "q.jsonl").write_text('{"id": "a", "text": "?"}\n{"id": 1\n\n{"id": "b", "text": "?"}\n')
    assert [placed.id for placed in storage.read_questions(storage.question_files(str(tmp_path)))] == ["a", "b"]
    assert "what begins at 25 is no question" in caplog.text


def test_images_in_an_object_store():
    """fsspec's store in memory stands for one; nothing outside the root is opened."""
    import fsspec

    store = fsspec.filesystem("memory")
    with store.open("/data/images/1.png", "wb") as file:
        Image.new("RGB", (8, 8), "red").save(file, "PNG")
    store.pipe("/data/secret.png", store.cat("/data/images/1.png"))
    store.pipe("/data/image_roots.json", b'{"s": "images"}')
    store.pipe("/data/part-00000.jsonl", b'{"id": "a", "text": "?"}\n')
    roots = storage.image_roots("memory://data")
    assert isinstance(roots, storage.RemoteImages)
    assert roots.open("s/1.png").getpixel((0, 0)) == (255, 0, 0)
    for path in ("s/../secret.png", "s//data/secret.png", "t/1.png", "s/absent.png", "s/memory://data/secret.png"):
        with pytest.raises(ImageError):
            roots.open(path)
    assert [placed.id for placed in storage.read_questions(storage.question_files("memory://data"))] == ["a"]
    assert not storage.image_roots("memory://nothing").roots


@pytest.mark.parametrize("path", ["s/../secret.png", "s/deep/../../secret.png", "s//1.png", "s/a:b.png", "s/a\\b.png"])
def test_no_path_leaves_a_remote_root_though_a_picture_lies_there(tmp_path, path):
    (tmp_path / "images" / "deep").mkdir(parents=True)
    for name in ("secret.png", "images/1.png", "images/a:b.png", "images/a\\b.png"):
        Image.new("RGB", (8, 8), "red").save(tmp_path / name)
    assert (tmp_path / "images" / path.removeprefix("s/").lstrip("/")).is_file()
    roots = storage.RemoteImages({"s": f"file://{tmp_path}/images"})
    assert roots.open("s/1.png").size == (8, 8)
    with pytest.raises(ImageError, match="only relative paths under the image root are opened"):
        roots.open(path)


def test_images_of_a_folder_are_those_of_the_run(tmp_path):
    (tmp_path / "image_roots.json").write_text('{"s": "images"}')
    roots = storage.image_roots(str(tmp_path))
    assert type(roots) is ImageRoots
    assert roots.roots == {"s": tmp_path / "images"}


def test_a_shard_is_named_by_what_it_holds():
    block = driver.Block(number=3, file=0, at=10, size=2, first="q-6", written=(), left_out=())
    assert block.shard.startswith("part-00003-")
    assert block.shard == replace(block).shard
    assert len({block.shard, replace(block, size=3).shard, replace(block, written=("q-6/0",)).shard}) == 3


@pytest.mark.parametrize(
    ("nodes", "workers", "gpus", "device", "actors"),
    [
        ([{"CPU": 4.0}, {"CPU": 2.0}], 0, 1, {"num_cpus": 1}, 6),
        ([{"CPU": 4.0}], 3, 1, {"num_cpus": 1}, 3),
        ([{"CPU": 8.0, "GPU": 8.0}, {"CPU": 8.0, "GPU": 4.0}], 0, 1, {"num_gpus": 1}, 12),
        ([{"CPU": 8.0, "GPU": 8.0}, {"CPU": 8.0, "GPU": 4.0}], 0, 2, {"num_gpus": 2}, 6),
        ([{"CPU": 8.0, "GPU": 7.0}, {"CPU": 8.0, "GPU": 4.0}], 0, 4, {"num_gpus": 4}, 2),
        ([{"CPU": 8.0, "GPU": 8.0}], 2, 2, {"num_gpus": 2}, 2),
    ],
)
def test_an_actor_gets_as_many_gpus_of_a_node_as_the_model_is_spread_over(nodes, workers, gpus, device, actors):
    assert driver._devices(nodes, workers, gpus) == (device, actors)


@pytest.mark.parametrize(("nodes", "most"), [([{"GPU": 2.0}, {"GPU": 2.0}], 2), ([{"CPU": 8.0}], 0)])
def test_a_cluster_whose_nodes_have_too_few_gpus_is_a_sentence(nodes, most):
    with pytest.raises(UserError, match=f"needs 4 GPUs of one node .* the cluster's nodes have {most} at most"):
        driver._devices(nodes, 0, 4)


def test_the_gpus_of_an_actor_are_those_of_vllms_engine():
    values = {"vllm": VLLMConfig(tensor_parallel_size=4)}
    assert driver._gpus_of_an_actor(BackendConfig(name="vllm", **values)) == 4
    assert driver._gpus_of_an_actor(BackendConfig(name="transformers", **values)) == 1


@pytest.mark.parametrize(
    ("option", "word", "message"),
    [
        ("--gpus", "--ray", "--gpus is of this machine; with --ray, --workers says"),
        ("--processes", "--ray", "--processes is of this machine; with --ray, --workers says"),
        ("--gpus", "", "no GPU that torch can use"),
    ],
)
def test_gpus_are_of_this_machine(option, word, message, tmp_path, monkeypatch, capsys):
    recipe = tmp_path / "r.yaml"
    recipe.write_text("steps: {questions: {sources: {a: {loader: scenes}}}, sample: {}}\n")
    monkeypatch.setattr("mixpo.devices.visible", list)
    monkeypatch.setattr("sys.argv", ["mixpo", "sample", str(recipe), option, "2", *([word, "local"] if word else [])])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert message in capsys.readouterr().err
