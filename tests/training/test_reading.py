"""`read: true`: pictures learn to be the words that describe them, in the language model's own embeddings."""

from dataclasses import replace
from itertools import combinations, groupby, product
from types import SimpleNamespace

import pytest
import torch
from transformers import AutoModelForImageTextToText

from fixtures.languages import tiny_language
from mixpo.config import build
from mixpo.errors import DataError, RecipeError, UserError
from mixpo.files import RunFiles
from mixpo.models.compose import compose
from mixpo.questions import collect, demonstrations
from mixpo.records import DropReason
from mixpo.training import train
from mixpo.training.launch import launched
from mixpo.training.reading import SHARPNESS, Speller

PICTURE, ANN, BEN, STOP = 9, 3, 5, 7


def batch_of(rows, completions):
    """What a reader looks at, of prompts (token ids) and their completions."""
    width = max(map(len, rows))
    return SimpleNamespace(
        inputs={"input_ids": torch.tensor([row + [0] * (width - len(row)) for row in rows])},
        targets=torch.tensor([token for ids in completions for token in ids]),
        segments=torch.tensor([number for number, ids in enumerate(completions) for _ in ids]),
        lengths=torch.tensor([float(len(ids)) for ids in completions]),
    )


def test_what_all_say_is_not_read():
    speller = Speller([[ANN, STOP], [BEN, STOP], [ANN, BEN, STOP], [8, STOP]], PICTURE)
    assert speller.words == [PICTURE, ANN, BEN, 8]
    with pytest.raises(UserError, match="of 2 descriptions each word stands in more than half"):
        Speller([[STOP], [STOP]], PICTURE)


def test_a_description_is_as_probable_as_all_ways_to_spell_it():
    """Every path over the visual tokens that spells it once repetitions are one and blanks are left out."""
    speller = Speller([[ANN], [BEN], [8]], PICTURE)
    torch.manual_seed(0)
    known, hidden = torch.randn(4, 6), torch.randn(2, 6, 6)
    said = [[ANN, STOP, ANN], [BEN]]
    batch = batch_of([[1, PICTURE, PICTURE, PICTURE, PICTURE, 1], [PICTURE, 2, PICTURE, 1]], said)
    found = speller.spelled(known, hidden, batch)

    apart = sorted(float((one - other).square().sum()) for one, other in combinations(known, 2))
    middle = apart[2]  # the lower median of six
    for row, (places, ids) in enumerate([([1, 2, 3, 4], [1, 1]), ([0, 2], [2])]):
        seen = hidden[row, places]
        nearness = -SHARPNESS * torch.cdist(seen, known).square() / middle
        logs = nearness.log_softmax(-1)
        total = torch.tensor(0.0)
        for path in product(range(4), repeat=len(places)):
            if [word for word, _ in groupby(path) if word] == ids:
                total += logs[range(len(places)), path].sum().exp()
        torch.testing.assert_close(found[row], total.log(), rtol=1e-4, atol=1e-4)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run with descriptions of clocks, and a composed model."""
    place = tmp_path_factory.mktemp("reading")
    files = RunFiles(place / "run")
    language = tiny_language(place / "language", ["The clock is 11:35.\nThe long hand is 7."] * 2, 300, 32)
    compose(str(language), "base", place / "vlm")
    clocks = {"loader": "figures", "count": 96, "families": ["clock *"]}
    collect.run(build(collect.Config, {"sources": {"clocks": clocks}}, at=str), files)
    demonstrations.run(demonstrations.Config(describe=1.0), files)
    return files, str(place / "vlm")


def config(model, **more):
    given = {"model": model, "demonstrations": "demonstrations", "read": True, "freeze": ["language"]}
    given |= {"objective": {"generation": "sft_token_mean"}, "batch": 16, "micro_batch": 8, "learning_rate": 3e-3}
    return build(train.Config, given | more, at=str)


def test_tower_and_projector_learn_to_spell_and_the_language_model_stays(run):
    files, model = run
    train.run(config(model, epochs=4), files)
    log = [line for line in (files.checkpoints("train") / "log.jsonl").read_text().splitlines() if '"loss"' in line]
    first, last = (float(line.split('"loss": ')[1].split(",")[0]) for line in (log[0], log[-1]))
    assert last < first / 2
    before, after = (
        AutoModelForImageTextToText.from_pretrained(folder).state_dict()
        for folder in (model, files.checkpoints("train") / "model")
    )
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed
    assert all("vision_tower" in name or "projector" in name for name in changed)


def test_descriptions_that_take_more_visual_tokens_than_there_are_are_left_out(run, capsys):
    files, model = run
    told = list(files.demonstrations("demonstrations"))
    long = [replace(record, id=f"{record.id}-long", text=record.text * 9) for record in told[:3]]
    files.demonstrations("mixed").replace([*told, *long])
    train.run(config(model, name="fewer", demonstrations="mixed", epochs=0.2), files)
    left_out = list(files.dropped("fewer"))
    assert {entry.id for entry in left_out} == {record.id for record in long}
    assert {entry.reason for entry in left_out} == {DropReason.COMPLETION_TOO_LONG}
    assert "3 demonstrations left out" in capsys.readouterr().err
    files.demonstrations("long").replace(long)
    with pytest.raises(DataError, match=r"nothing to train on: .*takes \d+ visual tokens, and its pictures have 16"):
        train.run(config(model, name="none", demonstrations="long"), files)


def test_a_word_twice_in_a_row_takes_a_blank_between():
    speller = Speller([[ANN], [BEN], [8]], PICTURE)
    assert speller.tokens_needed([ANN, STOP, BEN]) == 2
    assert speller.tokens_needed([ANN, STOP, ANN]) == 3  # what is not read does not part them


def test_two_processes_learn_what_one_does(run):
    files, model = run
    asked = {"epochs": 0.5, "micro_batch": 4}
    train.run(config(model, name="alone", **asked), files)
    launched(config(model, name="both", **asked), files, ["cpu", "cpu"])
    alone, both = (
        AutoModelForImageTextToText.from_pretrained(files.checkpoints(name) / "model").state_dict()
        for name in ("alone", "both")
    )
    start = AutoModelForImageTextToText.from_pretrained(model).state_dict()
    for name, value in both.items():
        learned, expected = value - start[name], alone[name] - start[name]
        assert (learned - expected).norm() <= 0.02 * expected.norm() + 1e-6, name


@pytest.mark.parametrize("more", [{"freeze": []}, {"demonstrations": ""}, {"lora": {}}])
def test_what_it_needs_is_said(run, more):
    with pytest.raises(RecipeError, match=r"read: needs `demonstrations`, `freeze: \[language\]`"):
        config(run[1], **more)


@pytest.mark.parametrize("more", [{"max_records": 1}, {"held_out": 0.5, "save_steps": 1}])
def test_words_are_those_of_all_descriptions_whichever_are_trained_on(run, more):
    """A word that is common among all is rare among few: were it read there, a description that was checked and found
    short enough would be too long. And one alone does not say the same as itself."""
    files, model = run
    told = list(files.demonstrations("demonstrations"))[:6]
    common = " ".join(f"is at {number}" for number in range(300, 330))  # too long for a picture if it were read
    files.demonstrations("common").replace([replace(one, text=f"{one.text} {common}") for one in told])
    train.run(
        config(model, name=f"few-{len(more)}", demonstrations="common", epochs=1, batch=1, micro_batch=1, **more), files
    )
    assert (files.checkpoints(f"few-{len(more)}") / "model").exists()
