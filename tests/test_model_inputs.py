"""What a recipe says of pictures and of the chat template reaches the model in every step that lets it write."""

import pytest

from mixpo.errors import UserError
from mixpo.evaluation import best_of, evaluate
from mixpo.files import BASE_MODEL, RunFiles
from mixpo.model_inputs import ImagesConfig, ModelInputs
from mixpo.questions.collect import Config as QuestionsConfig
from mixpo.questions.collect import run as collect
from mixpo.records import FinishReason, Response
from mixpo.responses import dropout, sample
from mixpo.responses.backends import make
from mixpo.responses.backends.config import BackendConfig
from mixpo.responses.cluster.driver import ActorSetup, SamplingActor

UNKNOWN = {"enable_thinking": False}
"""The base model's chat template has no options."""
SCENES = {"loader": "scenes", "split": "test", "count": 1}
BACKEND = BackendConfig(canaries=False)


@pytest.fixture
def files(tmp_path):
    made = RunFiles(tmp_path)
    collect(QuestionsConfig(sources={"pictures": {"loader": "scenes", "count": 1, "describe": True}}), made)
    (question, *_) = [question for question in made.questions("questions") if question.answer is None]
    response = Response(
        id=f"{question.id}/0", question_id=question.id, sample=0, text="a red circle", prompt="?",
        finish_reason=FinishReason.STOP, token_ids=(5, 6, 7, 8),
    )  # fmt: skip
    made.responses("sample").append([response])
    return made


@pytest.mark.parametrize(
    ("step", "config", "processes"),
    [
        (sample, sample.Config(name="again", n=1, chat_template=UNKNOWN, backend=BACKEND), 1),
        (sample, sample.Config(name="again", n=1, chat_template=UNKNOWN, backend=BACKEND), 2),
        (dropout, dropout.Config(chat_template=UNKNOWN, backend=BACKEND), 1),
        (best_of, best_of.Config(benchmark=SCENES, n=1, chat_template=UNKNOWN, backend=BACKEND), 1),
    ],
)
def test_what_the_model_does_not_know_is_refused(files, monkeypatch, step, config, processes):
    monkeypatch.setattr(make, "places", lambda on_processor: ["cpu"] * processes)
    with pytest.raises(UserError, match="does not ask for enable_thinking"):
        step.run(config, files)


def test_on_a_cluster_it_is_refused_too():
    config = sample.Config(chat_template=UNKNOWN, backend=BACKEND)
    setup = ActorSetup(config=config, model=str(BASE_MODEL), questions="", responses="", dropped="", judge=None)
    with pytest.raises(UserError, match="does not ask for enable_thinking"):
        _ = SamplingActor(setup).backend


def test_of_several_models_those_that_do_not_know_it_are_asked_without(files, caplog):
    config = evaluate.Config(
        models={"a": "base"}, benchmarks={"scenes": SCENES}, styles=("direct",), max_new_tokens=4, backend=BACKEND,
        chat_template=UNKNOWN, images=ImagesConfig(max_pixels=500),
    )  # fmt: skip
    for call in (lambda: evaluate.run(config, files), lambda: evaluate.answer(config, files, "a")):
        caplog.clear()
        call()
        assert "does not ask for enable_thinking; it has no options; it is asked without" in caplog.text
        answers = list(files.evaluation("evaluate").responses("a-scenes-direct"))
        assert len(answers) == 1
        files.evaluation("evaluate").responses("a-scenes-direct").replace([])


def test_the_fields_of_a_step_are_what_its_backend_gets():
    inputs = ModelInputs(images=ImagesConfig(max_tiles=2), chat_template={"a": 1})
    assert sample.Config(images=inputs.images, chat_template=inputs.chat_template, n=4).inputs == inputs
    assert inputs.stated() == {"images": {"max_tiles": 2}, "chat_template": {"a": 1}}
    assert sample.Config().stated() == {}
    frames = sample.Config(images=ImagesConfig(fps=4, max_frames=8))  # no matter of how a question is put
    assert (frames.stated(), frames.images.limits) == ({}, ImagesConfig())
