"""Models' folders that are damaged or crafted: a sentence each, no memory, and none of their code is run."""

import builtins
import copy
import json
import os
import shutil
import struct

import pytest
import torch
from safetensors.torch import load_file, save_file
from tokenizers import Regex, pre_tokenizers
from typer.testing import CliRunner

from mixpo.cli import app
from mixpo.errors import DataError, UserError
from mixpo.model_inputs import ModelInputs
from mixpo.models.chat import Chat
from mixpo.models.load import load_config, load_model, load_processor
from mixpo.plan.plan import shape_on_paper
from mixpo.responses.backends.config import BackendConfig
from mixpo.responses.backends.embedded.transformers import TransformersBackend
from mixpo.responses.backends.server.openai_server import load_tokenizer


@pytest.fixture(scope="module")
def whole(tmp_path_factory, internvl):
    folder = tmp_path_factory.mktemp("models") / "whole"
    for part in internvl:
        part.save_pretrained(folder)
    return folder


@pytest.fixture
def folder(tmp_path, whole):
    """A model's folder to be changed; the weights are a link, which writing replaces."""
    copy = tmp_path / "model"
    shutil.copytree(whole, copy, ignore=shutil.ignore_patterns("*.safetensors"))
    os.link(whole / "model.safetensors", copy / "model.safetensors")
    return copy


def say(file, **values):
    """Changes values of a JSON file; `text_config__x` stands for one further down."""
    told = json.loads(file.read_text())
    for name, value in values.items():
        *parents, last = name.split("__")
        place = told
        for parent in parents:
            place = place[parent]
        place[last] = value
    file.write_text(json.dumps(told))


def weights(folder, content=None, header=None, length=None):
    (folder / "model.safetensors").unlink()
    text = json.dumps(header).encode()
    content = struct.pack("<Q", len(text) if length is None else length) + text if content is None else content
    (folder / "model.safetensors").write_bytes(content)


class Runs:
    def __reduce__(self):
        return (os.mkdir, ("canary",))


def pickled(folder):
    (folder / "model.safetensors").unlink()
    torch.save({"a": Runs()}, folder / "pytorch_model.bin")


def without_a_weight(folder):
    found = load_file(folder / "model.safetensors")
    del found[min(found)]
    (folder / "model.safetensors").unlink()
    save_file(found, folder / "model.safetensors", metadata={"format": "pt"})


def index(folder, name):
    (folder / "model.safetensors").rename(folder.parent / "model.safetensors")
    told = {"metadata": {}, "weight_map": dict.fromkeys(load_file(folder.parent / "model.safetensors"), name)}
    (folder / "model.safetensors.index.json").write_text(json.dumps(told))


CRAFTED = {
    "header's length": (lambda one: weights(one, header={}, length=2**60), "header too large"),
    "no header": (lambda one: weights(one, b""), "header too small"),
    "beyond the file": (
        lambda one: weights(one, header={"a": {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]}}), "not fully",
    ),
    "a shape that overflows": (
        lambda one: weights(one, header={"a": {"dtype": "F32", "shape": [2**40] * 2, "data_offsets": [0, 0]}}),
        "overflow",
    ),
    "no weights": (lambda one: weights(one, header={}), "of its weights are in none of its files"),
    "a weight missing": (without_a_weight, "1 of its weights are in none of its files"),
    "a pickle": (pickled, "Weights only load failed"),
    "an index that leads out": (lambda one: index(one, "../model.safetensors"), "no weight_map of files in its folder"),
    "layers": (lambda one: say(one / "config.json", text_config__num_hidden_layers=10**9), "no model has more than"),
    "negative layers": (lambda one: say(one / "config.json", text_config__num_hidden_layers=-1), "no model has more"),
    "width": (lambda one: say(one / "config.json", text_config__hidden_size=10**5), "its files hold 1,"),
    "negative width": (lambda one: say(one / "config.json", text_config__hidden_size=-4), "negative dimension"),
    "width of text": (lambda one: say(one / "config.json", text_config__hidden_size="x"), "'hidden_size'.+str"),
    "no heads": (lambda one: say(one / "config.json", text_config__num_attention_heads=0), "by zero"),
    "deep": (lambda one: (one / "config.json").write_text('{"a":' + "[" * 10**5), "cannot be read"),
    "a list": (lambda one: (one / "config.json").write_text("[]"), "no JSON object"),
    "dtype": (lambda one: say(one / "config.json", dtype="load"), "cannot be loaded"),
    "a kernel of the hub": (lambda one: say(one / "config.json", attn_implementation="a/b"), "trust_remote_code: true"),
    "an adapter": (lambda one: (one / "adapter_config.json").write_text('{"base_model_name_or_path": "/x"}'), "of /x"),
    "an adapter that is none": (lambda one: (one / "adapter_config.json").write_text("[]"), "no JSON object"),
    "token": (lambda one: say(one / "tokenizer.json", model__vocab__zz=10**7), "its last token is 10,000,000"),
    "negative token": (lambda one: say(one / "tokenizer.json", model__vocab__zz=-1), "processor cannot be loaded"),
    "tokens of a picture": (
        lambda one: say(one / "processor_config.json", image_seq_length=10**10), "no model has more than",
    ),
    "the end": (lambda one: say(one / "generation_config.json", eos_token_id="x"), "names no end-of-turn token"),
}  # fmt: skip


@pytest.mark.parametrize("name", CRAFTED)
def test_a_crafted_folder_is_one_sentence(folder, monkeypatch, name):
    monkeypatch.chdir(folder.parent)
    change, words = CRAFTED[name]
    change(folder)
    with pytest.raises(UserError, match=words) as raised:
        TransformersBackend.load(str(folder), BackendConfig(canaries=False))
    assert "\n" not in str(raised.value)
    assert not (folder.parent / "canary").exists()


def test_a_whole_folder_is_loaded(folder):
    """What the test above changes is what it is refused for."""
    TransformersBackend.load(str(folder), BackendConfig(canaries=False))


def test_a_pattern_that_goes_back_and_forth_is_a_sentence(internvl):
    """The library gives up after a second, in Rust's own way."""
    processor = copy.deepcopy(internvl[1])
    pattern = pre_tokenizers.Split(Regex(r"(\w+\w+)+\d"), "isolated")
    processor.tokenizer.backend_tokenizer.pre_tokenizer = pattern
    chat = Chat(processor)
    with pytest.raises(DataError, match="the model's tokenizer fails on the text: .*retry-limit"):
        chat.prompt_ids(chat.render("a" * 40))


CODE = "import os\nos.mkdir({!r})\nclass Own: pass\n"


@pytest.fixture
def with_code(folder, tmp_path, monkeypatch):
    """(the folder of a model that brings code for each of its parts, what the code makes where it is run)"""
    canary = tmp_path / "canary"
    monkeypatch.setattr(builtins, "input", lambda *_: "y")  # transformers asks on a terminal
    for name in ("modeling_own", "configuration_own", "processing_own", "tokenization_own"):
        (folder / f"{name}.py").write_text(CODE.format(str(canary)))
    (folder / "custom_generate").mkdir()
    (folder / "custom_generate" / "generate.py").write_text(CODE.format(str(canary)))
    parts = {
        "AutoConfig": "configuration_own.Own", "AutoModelForImageTextToText": "modeling_own.Own",
        "AutoProcessor": "processing_own.Own", "AutoTokenizer": ["tokenization_own.Own", "tokenization_own.Own"],
        "AutoImageProcessor": "processing_own.Own",
    }  # fmt: skip
    for name in ("config.json", "processor_config.json", "tokenizer_config.json"):
        say(folder / name, auto_map=parts)
    return folder, canary


@pytest.mark.parametrize("known", [True, False])
def test_code_in_a_model_s_folder_is_not_run(with_code, known):
    folder, canary = with_code
    if not known:
        say(folder / "config.json", model_type="own")
        say(folder / "processor_config.json", processor_class="Own")
        say(folder / "tokenizer_config.json", tokenizer_class="Own")
    refused = 0
    for load in (load_config, load_processor, load_model, load_tokenizer, shape_on_paper):
        try:
            load(str(folder))
        except UserError as error:
            refused += "run only where a recipe says `trust_remote_code: true`" in str(error)
    assert refused == (0 if known else 5)
    assert not canary.exists()


def test_code_runs_where_a_recipe_says_so(with_code, capsys):
    folder, canary = with_code
    say(folder / "processor_config.json", processor_class="Own")
    with pytest.raises(UserError):  # the code is no processor
        load_processor(str(folder), inputs=ModelInputs(trust_remote_code=True))
    assert canary.exists()
    assert f"note: trust_remote_code: code that comes with {folder} is run" in " ".join(capsys.readouterr().err.split())


COMPUTING = """
import torch
from transformers import InternVLForConditionalGeneration
class Own(InternVLForConditionalGeneration):
    def __init__(self, config):
        super().__init__(config)
        self.rates = [rate.item() for rate in torch.linspace(0, 0.1, 3)]
"""


def test_code_that_computes_while_the_model_is_made(folder):
    """As published models do for rates of stochastic depth; on paper there are no numbers."""
    (folder / "modeling_own.py").write_text(COMPUTING)
    say(folder / "config.json", auto_map={"AutoModelForImageTextToText": "modeling_own.Own"})
    named = load_file(folder / "model.safetensors")
    named["lm_head.weight"] = named.pop("language_model.lm_head.weight")  # no name is changed for an unknown class
    (folder / "model.safetensors").unlink()
    save_file(named, folder / "model.safetensors", metadata={"format": "pt"})
    assert load_model(str(folder), trust_remote_code=True).rates[-1] == pytest.approx(0.1)
    shape_on_paper(str(folder), True)


def test_no_command_runs_code_of_a_model(with_code, tmp_path, monkeypatch):
    folder, canary = with_code
    say(folder / "config.json", model_type="own")
    monkeypatch.chdir(tmp_path)
    rows = [{"text": "1 + 1?", "answer": "2"}, {"text": "1 + 2?", "answer": "3"}]
    (tmp_path / "q.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    steps = {
        "questions": {"sources": {"mine": {"loader": "file", "path": "q.jsonl"}}},
        "sample": {"n": 2}, "verify": {}, "pair": {}, "train": {},
        "evaluate": {"models": {"own": str(folder)}, "benchmarks": {"t": {"loader": "file", "path": "q.jsonl"}}},
    }  # fmt: skip
    (tmp_path / "r.yaml").write_text(json.dumps({"name": "r", "model": str(folder), "steps": steps}))
    runner = CliRunner()
    for command in (
        ["run", "r.yaml"], ["run", "r.yaml", "--dry-run"], ["sample", "r.yaml"],
        ["evaluate", "--model", str(folder), "--benchmark", "t=q.jsonl"], ["convert", str(folder), "out"],
        ["init", "--data", "q.jsonl", "--model", str(folder), "--yes"], ["publish", str(folder)],
    ):  # fmt: skip
        done = runner.invoke(app, command)
        assert not canary.exists(), command
        assert done.exception is None or isinstance(done.exception, UserError | SystemExit), (command, done.exception)
