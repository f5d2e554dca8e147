import pytest

from mixpo.errors import RecipeError, UserError
from mixpo.training.tracking import check_installed
from mixpo.training.train import Config, Lora, run


def test_a_tracker_that_cannot_be_used_is_said_before_training(monkeypatch):
    from transformers import integrations

    with pytest.raises(RecipeError, match="report_to 'tensorbord' is none of none, all, "):
        Config(report_to="tensorbord")
    monkeypatch.setattr(integrations, "get_available_reporting_integrations", lambda: ["tensorboard"])
    check_installed(["tensorboard"])
    with pytest.raises(UserError, match="report_to: wandb is not installed"):
        check_installed(["wandb"])


def test_tensorboard_gets_what_is_logged_and_the_adapter_is_merged(scenes_run, tmp_path, internvl):
    """The saved model is complete: it loads as an image-text-to-text model, and no adapter is left in it."""
    events = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    pytest.importorskip("peft")
    from transformers import AutoModelForImageTextToText

    model, processor = internvl
    model.save_pretrained(tmp_path / "base")
    processor.save_pretrained(tmp_path / "base")
    files = scenes_run(tmp_path / "run", 4)
    config = Config(
        model=str(tmp_path / "base"), batch=2, micro_batch=2, learning_rate=1e-2, warmup=0.0,
        lora=Lora(r=2, target_modules=".*q_proj"), report_to="tensorboard",
    )  # fmt: skip
    run(config, files)
    (written,) = {path.parent for path in files.checkpoints("train").rglob("events.out.*")}
    found = events.EventAccumulator(str(written))
    found.Reload()
    losses = [event.value for event in found.Scalars("train/loss/preference")]
    assert len(losses) == 2
    assert losses[0] == pytest.approx(0.693147, abs=1e-5)
    trained = AutoModelForImageTextToText.from_pretrained(files.checkpoints("train") / "model")
    before, after = model.state_dict(), trained.state_dict()
    assert after.keys() == before.keys()
    changed = {name for name, tensor in after.items() if not tensor.equal(before[name])}
    assert changed
    assert all("q_proj" in name for name in changed)
