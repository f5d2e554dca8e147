"""From the sampler to the batch: the tokens that a model drew are those that it is trained on."""

from dataclasses import replace

import pytest
from PIL import Image

from mixpo.batches.encode import Encoder, ReservedToken, completion_of
from mixpo.files import RunFiles
from mixpo.images import ImageRoots
from mixpo.pairs.build import Config as PairConfig
from mixpo.pairs.build import run as build_pairs
from mixpo.pairs.export import Format, export
from mixpo.pairs.import_pairs import Config as ImportConfig
from mixpo.pairs.import_pairs import run as import_pairs
from mixpo.records import DropReason, FinishReason, Origin, Outcome, Question, Verdict
from mixpo.responses import dropout, sample
from mixpo.responses.backends.embedded.transformers import TransformersBackend
from mixpo.training.rows import columns
from mixpo.training.selection import usable

DRAWN = {"temperature": 1.0, "top_k": 0, "max_new_tokens": 24, "seed": 0}


@pytest.fixture
def run(family, tmp_path):
    """A random model's responses: hardly one is what a tokenizer makes of its text, many have special tokens."""
    backend = TransformersBackend(*family)
    # A random model does not know how to end a turn, so every token of some may.
    backend.end_ids = frozenset(range(30, 50))
    Image.new("RGB", (64, 64), "red").save(tmp_path / "0.png")
    files = RunFiles(tmp_path / "run")
    files.questions("questions").append(
        Question(id=own, text="What is the colour?", answer=answer, images=("drawn/0.png",))
        for own, answer in (("q", "3"), ("open", None))
    )
    roots = ImageRoots({"drawn": tmp_path})
    questions = list(files.questions("questions"))
    responses = list(sample.sample(questions, backend, roots, sample.Config(n=24, **DRAWN)))
    files.responses("sample").append(responses)
    cuts = dropout.selected(questions, responses, 24)
    records = list(dropout.dropout(cuts, backend, roots, dropout.Config(per_question=24, **DRAWN)))
    files.continuations("dropout").append(record for record in records if hasattr(record, "kept"))
    files.verdicts("verify").append(
        Verdict(id=one.id, question_id="q", outcome=Outcome.CORRECT if one.sample % 2 else Outcome.INCORRECT)
        for one in responses
        if one.question_id == "q"
    )
    file = files.image_roots_file("questions")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f'{{"drawn": "{tmp_path}"}}')
    build_pairs(PairConfig(max_pairs=100, continuations="dropout"), files)
    return files


def test_the_tokens_of_a_pair_are_those_that_were_drawn(family, run):
    encoder = Encoder(family[1])
    responses = {response.id: response for response in run.responses("sample")}
    assert sum(not response.canonical for response in responses.values()) > 20
    exact = 0
    for pair in run.pairs("pair"):
        sides = ("chosen", "rejected") if pair.origin is Origin.CORRECTNESS else ("chosen",)
        for side in sides:
            drawn = responses[getattr(pair, f"{side}_id")]
            if max(drawn.token_ids, default=0) >= len(encoder.tokenizer):
                continue  # a row of the embeddings that stands for no token
            end = [encoder.end_id] if drawn.finish_reason is FinishReason.STOP else []
            try:
                ids = encoder.completion_ids(*completion_of(columns(pair), side))
            except ReservedToken:
                assert encoder.chat.reserved & set(drawn.token_ids)
                continue
            assert ids == [*drawn.token_ids, *end]
            exact += 1
    assert exact > 40


def test_a_continuations_tokens_are_the_kept_ones_and_those_behind_them(family, run):
    encoder = Encoder(family[1])
    responses = {response.id: response for response in run.responses("sample")}
    continuations = {one.id: one for one in run.continuations("dropout")}
    assert continuations
    for pair in run.pairs("pair"):
        if pair.origin is Origin.DROPOUT_NTP:
            found = continuations[pair.rejected_id]
            kept = responses[found.response_id].token_ids[: found.kept_tokens]
            if max(found.token_ids, default=0) >= len(encoder.tokenizer):
                continue
            try:
                ids = encoder.completion_ids(*completion_of(columns(pair), "rejected"))
            except ReservedToken:
                continue
            assert tuple(ids[: len(kept)]) == kept
            assert len(ids) == len(kept) + found.completion_tokens


def test_pairs_with_a_picture_that_a_model_wrote_are_left_out_of_training_with_the_reason(family, run):
    """A model would look for a picture at that place."""
    encoder = Encoder(family[1])
    token = encoder.tokenizer.decode([min(encoder.chat.image_tokens)])
    drawn = (*encoder.chat.completions.encode("red"), min(encoder.chat.image_tokens))
    assert not encoder.chat.completions.gives_back(drawn, encoder.chat.completions.decode(drawn))
    texts = {"chosen": "red", "rejected": encoder.chat.completions.decode(drawn)}
    pair = replace(next(iter(run.pairs("pair"))), **texts, chosen_token_ids=(), rejected_token_ids=drawn)
    dropped = []
    assert usable([pair], encoder, ImageRoots.load(run.image_roots_file("questions")), "train", dropped) == []
    assert (dropped[0].reason, dropped[0].step) == (DropReason.RESERVED_TOKEN, "train")
    assert repr(token) in dropped[0].detail


@pytest.mark.parametrize("form", [Format.TRL, Format.MS_SWIFT])
def test_tokens_and_ends_survive_an_export(internvl, tmp_path, form, scenes_run):
    files = scenes_run(tmp_path / "run")
    pairs = [
        replace(pair, chosen_token_ids=(5, 6), rejected_token_ids=(7,), chosen_ended=False) if number == 1 else pair
        for number, pair in enumerate(files.pairs("pair"))
    ]
    files.pairs("pair").replace(pairs)
    export(files, form, tmp_path / "out", pairs="pair")
    back = RunFiles(tmp_path / "back")
    import_pairs(ImportConfig(format=form, path=str(tmp_path / "out")), back)
    assert list(back.pairs("import")) == pairs
