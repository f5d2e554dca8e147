import base64
import json
import os
import shutil
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import yaml
from safetensors.numpy import save_file

from mixpo.cli import app
from mixpo.errors import UserError
from mixpo.files import BASE_MODEL, RunFiles
from mixpo.publish import publish_data, publish_model, push
from mixpo.records import Origin, PreferencePair, Question, Score
from mixpo.text_files import STAGED, write_text

STEPS = {
    "questions": {"uses": "questions", "sources": {"mine": {"loader": "jsonl", "path": "q.jsonl"}}},
    "sample": {"uses": "sample", "n": 8, "model": "owner/base-vlm", "temperature": 1.0},
    "pair": {"uses": "pair", "questions": "questions"},
    "train": {
        "uses": "train", "model": "owner/base-vlm", "learning_rate": 5e-6, "batch": 64, "epochs": 1.0, "seed": 0,
        "lora": None, "demonstrations": "",
        "objective": {"preference": "dpo", "preference_weight": 0.8, "quality": "bco", "quality_weight": 0.2,
                      "generation": "sft", "generation_weight": 1.0, "beta": 0.1},
    },
}  # fmt: skip


@pytest.fixture
def run(tmp_path) -> RunFiles:
    files = RunFiles(tmp_path / "run")
    recipe = {"name": "mine", "run": "run", "steps": STEPS, "versions": {"mixpo": "0.1"}}
    write_text(files.recipe, yaml.safe_dump(recipe, sort_keys=False))
    files.questions("questions").append([Question(id="q", text="How many?", answer="3")])
    files.pairs("pair").append(
        [
            PreferencePair(
                id="q/0>1", question_id="q", prompt="How many?", chosen="3", rejected="4", origin=Origin.CORRECTNESS
            )
        ]
    )
    write_text(files.checkpoints("train") / "log.jsonl", json.dumps({"step": 1, "loss": 0.9}) + "\n")
    files.evaluation("evaluate").scores().append(
        Score(id=f"e/{model}", model=model, benchmark="held-out", style="cot", category="all", metric="accuracy",
              value=value, low=value - 0.05, high=value + 0.05, n=400)
        for model, value in (("base", 0.4), ("mpo", 0.6))
    )  # fmt: skip
    write_text(files.evaluation("evaluate").json("comparisons"), "[]")
    return files


@pytest.fixture
def model(run):
    """A whole checkpoint of the section, as small as can be."""
    folder = run.checkpoints("train") / "model"
    write_text(folder / "config.json", "{}")
    save_file({"weight": np.zeros(100, "f4")}, folder / "model.safetensors")
    return folder


def test_the_published_model_loads_and_is_the_trained_one(run, tmp_path, internvl):
    import torch
    from transformers import AutoModelForImageTextToText, AutoProcessor

    model, processor = internvl
    model.save_pretrained(run.checkpoints("train") / "model")
    processor.save_pretrained(run.checkpoints("train") / "model")
    publish_model(run, "train", tmp_path / "out")
    loaded = AutoModelForImageTextToText.from_pretrained(tmp_path / "out")
    for name, tensor in model.state_dict().items():
        torch.testing.assert_close(loaded.state_dict()[name], tensor, rtol=0, atol=0)
    assert type(AutoProcessor.from_pretrained(tmp_path / "out")) is type(processor)
    assert (tmp_path / "out" / "mixpo-recipe.yaml").read_bytes() == run.recipe.read_bytes()


def test_the_model_card_says_what_the_run_says(run, model, tmp_path):
    publish_model(run, "train", tmp_path / "out")
    card = (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
    front = yaml.safe_load(card.split("---\n")[1])
    assert front["base_model"] == "owner/base-vlm"
    assert front["pipeline_tag"] == "image-text-to-text"
    assert "60.0 % (55.0–65.0)" in card
    assert "- mine (loader jsonl, path q.jsonl); 1 questions in its section" in card
    assert "preference pairs: 1 correctness" in card
    assert "Loss: 0.8 x dpo (preference) + 0.2 x bco (quality) + 1.0 x sft (generation), beta 0.1." in card
    assert "No person has reviewed the pairs" in card


def test_pairs_with_their_card(run, tmp_path):
    datasets = pytest.importorskip("datasets")
    publish_data(run, "pair", tmp_path / "out")
    card = (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
    assert "1 pairs in TRL's conversational format" in card
    assert "- correctness: 1" in card
    assert "- responses: 8 a question from owner/base-vlm, temperature 1.0" in card
    data = datasets.load_dataset(str(tmp_path / "out"), split="train", cache_dir=str(tmp_path / "cache"))
    assert data[0]["chosen"][0]["content"][0]["text"] == "3"


def test_what_cannot_be_published_is_said(run, tmp_path):
    with pytest.raises(UserError, match="has not finished"):
        publish_model(run, "train", tmp_path / "out")
    shutil.copytree(BASE_MODEL, run.checkpoints("train") / "model")
    shutil.copytree(BASE_MODEL, run.checkpoints("other") / "model")
    with pytest.raises(UserError, match="trained nothing called 'other'; it has trained train"):
        publish_model(run, "other", tmp_path / "out")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").touch()
    with pytest.raises(UserError, match="is not empty"):
        publish_model(run, "train", tmp_path / "full")
    assert not (tmp_path / "out").exists()


def test_again_after_a_push_that_failed(run, model, tmp_path, monkeypatch, capsys):
    """The card has been edited meanwhile, and stays; another model in the folder is refused."""
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")  # nothing listens there
    command = ["publish", str(run.root), "--out", str(tmp_path / "out"), "--push", "owner/name"]
    for _ in range(2):
        with pytest.raises(UserError, match=r"could not be pushed .*out is whole: .* the same command pushes it"):
            app(command, standalone_mode=False)
        write_text(tmp_path / "out" / "README.md", "My card")
    assert (tmp_path / "out" / "README.md").read_text() == "My card"
    assert "is there already, as this run wrote it" in " ".join(capsys.readouterr().err.split())
    write_text(model / "config.json", "{ }")
    with pytest.raises(UserError, match="is not empty"):
        publish_model(run, "train", tmp_path / "out")


def test_pairs_again_after_a_push_that_failed(run, tmp_path):
    pytest.importorskip("datasets")
    for _ in range(2):
        publish_data(run, "pair", tmp_path / "out")
    run.pairs("pair").append([PreferencePair(id="r/0>1", question_id="r", prompt="How?", chosen="3", rejected="4",
                                             origin=Origin.CORRECTNESS)])  # fmt: skip
    with pytest.raises(UserError, match="is not empty"):
        publish_data(run, "pair", tmp_path / "out")


@pytest.mark.parametrize(("publish", "section"), [(publish_model, "train"), (publish_data, "pair")])
def test_killed_in_the_middle_the_same_command_publishes(run, model, tmp_path, publish, section):
    """What a killed try wrote is in nobody's way, and the card is there as soon as the rest is."""
    pytest.importorskip("pyarrow")
    out = tmp_path / "out"
    if (child := os.fork()) == 0:
        Path.write_text = Path.write_bytes = lambda *_, **__: os._exit(9)  # where the card is written
        try:
            publish(run, section, out)
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    assert (tmp_path / f".out{STAGED}").is_dir()
    assert not out.exists()
    publish(run, section, out)
    assert "mine" in (out / "README.md").read_text(encoding="utf-8")
    assert not (tmp_path / f".out{STAGED}").exists()


def test_what_is_none_of_the_models_is_not_published(run, model, tmp_path, capsys):
    secret = tmp_path / "elsewhere" / "secret.json"
    write_text(secret, "a key")
    (model / "tokenizer_config.json").symlink_to(secret)
    (model / "additional_chat_templates").symlink_to(secret.parent)
    (model / "tokenizer.json").write_text("{}")
    for name in ("optimizer.pt", "trainer_state.json", "notes.txt", ".netrc", "checkpoint-2/model.safetensors"):
        write_text(model / name, "")
    publish_model(run, "train", tmp_path / "out")
    published = {path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*")}
    assert published == {"config.json", "model.safetensors", "tokenizer.json", "README.md", "mixpo-recipe.yaml"}
    said = " ".join(capsys.readouterr().err.split())
    assert (
        "note: .netrc, additional_chat_templates, checkpoint-2/model.safetensors, notes.txt, optimizer.pt, "
        f"tokenizer_config.json, trainer_state.json in {model} is none of the model's files" in said
    )


@pytest.mark.parametrize("size", [None, 0, 7, 300, 449])
def test_a_damaged_model_is_not_published(run, model, tmp_path, size):
    if size is None:
        (model / "model.safetensors").unlink()
    else:
        os.truncate(model / "model.safetensors", size)
    with pytest.raises(UserError, match=r"model is damaged: model.safetensors is (missing|torn.*); delete that folder"):
        publish_model(run, "train", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_place_that_cannot_be_written_is_left_as_it_was(run, model, tmp_path):
    write_text(tmp_path / "file", "")
    for publish, section in ((publish_model, "train"), (publish_data, "pair")):
        with pytest.raises(UserError, match=r"file.*(cannot be written|is a file|is not empty)"):
            publish(run, section, tmp_path / "file")
        with pytest.raises(UserError, match=r"below cannot be written \(.*\); make room or choose another place"):
            publish(run, section, tmp_path / "file" / "below")
    assert (tmp_path / "file").read_text() == ""


class Hub(BaseHTTPRequestHandler):
    """As much of the hub as a push asks for; keeps every request."""

    asked: list[tuple[str, bytes]]

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.asked.append((self.path, body))
        reply = {
            "url": "https://huggingface.co/owner/name",
            "commitUrl": "https://huggingface.co/owner/name/commit/1",
            "commitOid": "1",
        }
        if "preupload" in self.path:
            files = [
                {"path": file["path"], "uploadMode": "regular", "shouldIgnore": False}
                for file in json.loads(body)["files"]
            ]
            reply = {"files": files}
        data = json.dumps(reply).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_):
        pass


@pytest.mark.parametrize("private", [True, False])
def test_a_push_makes_the_repository_as_asked_and_uploads_the_folder(tmp_path, monkeypatch, private):
    from huggingface_hub import constants

    Hub.asked = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    (tmp_path / "README.md").write_text("# The card")
    try:
        push(tmp_path, "owner/name", "dataset", private=private)
    finally:
        server.shutdown()
        server.server_close()
    made = next(json.loads(body) for path, body in Hub.asked if path == "/api/repos/create")
    assert (made["organization"], made["name"], made["type"]) == ("owner", "name", "dataset")
    # By either of the two names that the hub has for it.
    assert made.get("visibility", made.get("private")) in (("private", True) if private else ("public", False))
    commit = next(body for path, body in Hub.asked if path == "/api/datasets/owner/name/commit/main")
    assert base64.b64encode(b"# The card") in commit
    assert b"README.md" in commit


def test_a_hub_that_does_not_answer_is_one_sentence(run, tmp_path, monkeypatch):
    """Nothing listens on port 9 of this machine."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(UserError, match="could not be pushed .*hf auth login"):
        push(tmp_path, "owner/name", "model", private=True)
    with pytest.raises(UserError, match="could not be pushed"):
        push(tmp_path, "not a name!", "model", private=True)
