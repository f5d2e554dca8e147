"""A recipe's references: typed, filled in from the order of the sections, checked before anything starts."""

import typing

import pytest
import yaml

from mixpo.errors import RecipeError
from mixpo.recipe import load_recipe
from mixpo.references import Output, Reads, pointed, references, trained_by
from mixpo.resolve import STEPS, reads, resolve, step_of, unread

QUESTIONS = {"sources": {"scenes": {"loader": "scenes", "count": 4}}}
PAIRS = {"format": "trl", "path": "pairs.parquet"}
LOOP = {"questions": QUESTIONS, "sample": {"n": 2}, "verify": {}, "pair": {}, "train": {}}
EVALUATE = {"models": {"base": "base", "mpo": "step:train"}, "benchmarks": {"scenes": {"loader": "scenes", "count": 4}}}


@pytest.fixture
def recipe(tmp_path):
    def written(steps):
        path = tmp_path / "r.yaml"
        path.write_text(yaml.safe_dump({"run": str(tmp_path / "run"), "steps": steps}, sort_keys=False))
        return load_recipe(path)

    return written


def read(configs, section):
    return {reference.field: reference.section for reference in references(vars(configs[section]))}


def test_a_field_that_names_a_section_has_the_name_of_its_kind():
    """What lets the references of a saved recipe be told without its steps; and no such field is forgotten."""
    for module in STEPS.values():
        config = typing.get_type_hints(__import__(module, fromlist=["Config"]).Config, include_extras=True)
        for name, hint in config.items():
            marks = [mark.kind for mark in getattr(hint, "__metadata__", ()) if isinstance(mark, Reads)]
            assert marks == ([Output(name)] if name in list(Output) else []), f"{module}.Config.{name}"


def test_a_loop_reads_what_stands_before_it(recipe):
    configs = resolve(recipe(LOOP))
    assert read(configs, "pair") == {"questions": "questions", "responses": "sample", "verdicts": "verify"}
    assert read(configs, "train") == {"pairs": "pair", "questions": "questions"}


def test_pair_takes_the_continuations_of_what_it_judges(recipe):
    configs = resolve(recipe(LOOP))
    assert configs["pair"].continuations == ""
    steps = {"questions": QUESTIONS, "sample": {}, "verify": {}, "dropout": {}, "pair": {}}
    assert read(resolve(recipe(steps)), "pair")["continuations"] == "dropout"
    assert resolve(recipe({**steps, "pair": {"continuations": ""}}))["pair"].continuations == ""
    # Continuations alone make pairs as well.
    alone = {"questions": QUESTIONS, "sample": {}, "dropout": {}, "pair": {}}
    assert read(resolve(recipe(alone)), "pair") == {
        "questions": "questions", "responses": "sample", "continuations": "dropout",
    }  # fmt: skip


def test_continuations_of_other_responses_are_left_alone_and_said(recipe):
    steps = {
        "questions": QUESTIONS,
        "sample": {},
        "verify": {},
        "other": {"uses": "sample"},
        "dropout": {},
        "pair": {},
        "train": {},
    }
    written = recipe(steps)
    configs = resolve(written)
    assert read(configs, "dropout")["responses"] == "other"
    assert read(configs, "pair") == {"questions": "questions", "responses": "sample", "verdicts": "verify"}
    (said,) = unread(written, configs)
    assert "r.yaml:" in said
    assert "steps.dropout: nothing reads its continuations; name it in pair" in said


def test_train_takes_the_last_pairs_with_the_images_of_their_questions(recipe):
    configs = resolve(recipe({"import": PAIRS, "train": {}}))
    assert read(configs, "train") == {"pairs": "import", "questions": "import"}
    configs = resolve(recipe({"import": PAIRS, "relabel": {}, "train": {}}))
    assert read(configs, "relabel") == {"pairs": "import", "questions": "import"}
    assert read(configs, "train") == {"pairs": "relabel", "questions": "import"}
    # The import stands last, and its questions with it; what was named stays as named.
    configs = resolve(recipe({**LOOP, "import": PAIRS, "more": {"uses": "train", "pairs": "pair"}}))
    assert read(configs, "train") == {"pairs": "pair", "questions": "questions"}
    assert read(configs, "more") == {"pairs": "pair", "questions": "questions"}


def test_supervised_training_reads_no_pairs(recipe):
    steps = {"questions": QUESTIONS, "demonstrations": {}, "sft": {"uses": "train", "demonstrations": "demonstrations"}}
    assert read(resolve(recipe(steps)), "sft") == {"demonstrations": "demonstrations", "questions": "questions"}
    assert resolve(recipe({**steps, **LOOP}))["train"].demonstrations == ""


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        ({**LOOP, "train": {"pairs": "piar"}}, r"r.yaml:\d+: steps.train.pairs: .*pairs called 'piar'; did .*'pair'"),
        ({**LOOP, "verify": {"responses": "smaple"}}, r"r.yaml:\d+: steps.verify.responses: .*'smaple'; did .*ample"),
        ({**LOOP, "pair": {"verdicts": "sample"}}, "verdicts called 'sample'; it writes responses; verify would do"),
        ({"sample": {}, "questions": QUESTIONS}, "steps.sample.questions: .* put it before this one"),
        ({"train": {}}, "put the section that makes pairs before this one"),
        ({"questions": QUESTIONS, "sample": {}, "pair": {}}, "there is nothing to make pairs from; put a section"),
        ({**LOOP, "pair": {"verdicts": ""}}, "there is nothing to make pairs from"),
        ({**LOOP, "evaluate": {**EVALUATE, "models": {"mpo": "step:trian"}}},
         r"r.yaml:\d+: steps.evaluate.models.mpo: no .* 'trian'; did you mean 'train'"),
        ({**LOOP, "evaluate": {**EVALUATE, "models": {"mpo": "step:sample"}}},
         "no section before .* trains a model called 'sample'; it writes responses; train would do"),
        ({**LOOP, "sample": {"model": "step:train"}}, "steps.sample.model: no .* 'train'; it stands further down"),
        ({**LOOP, "sample": {"model": "step:nowhere"}}, "'nowhere'; put the section that trains a model before"),
        ({"smaple": {}}, "no step is called 'smaple'; did you mean 'sample'"),
        ({**LOOP, "verify": {"responses": ""}}, "steps.verify.responses: names no section"),
        ({**LOOP, "train": {"pairs": ""}}, "steps.train.pairs: names no section"),
        ({**LOOP, "sample": {"model": "step:"}}, "steps.sample.model: names no section"),
    ],
)  # fmt: skip
def test_a_wrong_reference_is_said_at_once(recipe, steps, message):
    with pytest.raises(RecipeError, match=message):
        resolve(recipe(steps))


def test_what_the_run_folder_has_is_read(recipe, tmp_path):
    (tmp_path / "run" / "checkpoints" / "older" / "model").mkdir(parents=True)
    (tmp_path / "run" / "pairs" / "mine").mkdir(parents=True)
    (tmp_path / "run" / "questions" / "mine").mkdir(parents=True)
    configs = resolve(recipe({"train": {"model": "step:older"}}))
    assert read(configs, "train") == {"pairs": "mine", "questions": "mine", "model": "older"}
    # Not what a later section is about to make: it is of an earlier run of this recipe.
    (tmp_path / "run" / "pairs" / "pair").mkdir(parents=True)
    with pytest.raises(RecipeError, match="stands further down"):
        resolve(recipe({"questions": QUESTIONS, "train": {"pairs": "pair"}, "sample": {}, "verify": {}, "pair": {}}))


def test_what_only_the_end_makes_need_not_be_read(recipe):
    for steps in (LOOP, {**LOOP, "evaluate": EVALUATE, "report": {}}, {"questions": QUESTIONS, "sample": {}}):
        written = recipe(steps)
        assert list(unread(written, resolve(written))) == []
    written = recipe({**LOOP, "evaluate": {**EVALUATE, "models": {"base": "base"}}})
    (said,) = unread(written, resolve(written))
    assert "steps.train: nothing reads its model; name it in evaluate" in said


def test_references_under_new_names():
    values = {"pairs": "pair", "model": "step:sft", "models": {"a": "base", "b": "step:sft"}, "seed": 3}
    assert pointed(values, {"pair": "pair-s1", "sft": "sft-s1"}) == {
        "pairs": "pair-s1", "model": "step:sft-s1", "models": {"a": "base", "b": "step:sft-s1"},
    }  # fmt: skip
    assert (trained_by("step:sft"), trained_by("base")) == ("sft", None)


def test_every_step_says_what_it_writes():
    for step, module in STEPS.items():
        assert all(kind in Output for kind in __import__(module, fromlist=["WRITES"]).WRITES), step
    assert step_of(load_section("import")).WRITES == (Output.QUESTIONS, Output.PAIRS)
    assert set(reads(step_of(load_section("pair")).Config)) == {
        "questions", "responses", "verdicts", "continuations",
    }  # fmt: skip


def load_section(step):
    from mixpo.recipe import Section

    return Section(step, step, {})
