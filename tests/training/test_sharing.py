"""What pairs share is computed once, and changes neither loss nor gradient."""

import copy
import itertools
from pathlib import Path

import pytest
import torch

from mixpo.batches.encode import Encoder
from mixpo.batches.layout import Layout, lay_out
from mixpo.errors import DataError, UserError
from mixpo.models.attention import prepare
from mixpo.models.head import output_head
from mixpo.training.config import MPOConfig
from mixpo.training.reference_cache import RECORD, drop_damaged
from mixpo.training.scoring import score
from mixpo.training.trainer import MPOTrainer


@pytest.fixture
def grouped(rows):
    """16 pairs of 6 questions; two questions have the same image, pairs of one share rejected completions."""
    pairs = []
    for question, count in enumerate([4, 4, 3, 3, 1, 1]):
        row = rows[question]
        for pair in range(count):
            pairs.append(
                {
                    "question_id": f"q{question}",
                    "images": rows[0]["images"] if question == 1 else row["images"],
                    "prompt": row["prompt"],
                    "chosen": rows[(question + pair) % 16]["chosen"],
                    "rejected": rows[question + pair // 2]["rejected"],
                }
            )
    return pairs


def config(folder, **given):
    values = {
        "output_dir": str(folder),
        "per_device_train_batch_size": 16,
        "learning_rate": 1e-3,
        "layout": "shared",
        "save_strategy": "no",
        "report_to": "none",
        "disable_tqdm": True,
        "use_cpu": True,
        "max_grad_norm": 0,
    }
    return MPOConfig(**{**values, **given})


def one_step(folder, model, processor, rows, reference=None, **given):
    """Loss and gradients of one step, of a policy away from its reference."""
    policy = copy.deepcopy(model)
    with torch.no_grad():
        for number, parameter in enumerate(policy.parameters()):
            generator = torch.Generator().manual_seed(number)
            parameter.add_(0.01 * torch.randn(parameter.shape, generator=generator))
    trainer = MPOTrainer(
        policy,
        args=config(folder, learning_rate=0.0, **given),  # no step is made
        train_dataset=rows,
        processing_class=processor,
        ref_model=copy.deepcopy(model) if reference is None else reference,
    )
    trainer.shift.update(3.0, 10)
    kept = {}
    trainer.create_optimizer()
    trainer.optimizer.step = lambda *args, **kwargs: kept.update(
        {
            name: parameter.grad.clone()
            for name, parameter in trainer.model.named_parameters()
            if parameter.grad is not None
        }
    )
    trainer.train()
    return trainer.state.log_history[0]["loss"], kept


@pytest.mark.parametrize(
    "given",
    [
        {"per_device_train_batch_size": 4, "gradient_accumulation_steps": 4},
        {"row_tokens": 300},
        {"row_tokens": 1},
        {"layout": "paired"},
        {"pairs_per_group": 1, "per_device_train_batch_size": 2, "gradient_accumulation_steps": 8},
        {"gradient_checkpointing": True},
        {"recompute": "elementwise"},
        {"reference_cache": "cache"},
    ],
    ids=lambda given: " ".join(f"{key}={value}" for key, value in given.items()),
)
def test_loss_and_gradient_do_not_depend_on_what_is_shared(tmp_path, model, processor, grouped, given):
    if "reference_cache" in given:
        given = {"reference_cache": str(tmp_path / "cache")}
    expected_loss, expected = one_step(tmp_path, model, processor, grouped)
    loss, found = one_step(tmp_path, model, processor, grouped, **given)
    assert loss == pytest.approx(expected_loss, rel=1e-5)
    assert found.keys() == expected.keys()
    scale = max(gradient.abs().max().item() for gradient in expected.values())
    for name, gradient in expected.items():
        torch.testing.assert_close(
            found[name], gradient, rtol=1e-4, atol=1e-5 * scale, msg=lambda text, name=name: f"{name}: {text}"
        )


def test_the_vision_tower_sees_each_image_once(model, processor, grouped):
    """16 pairs of 6 questions about 5 images: 5 tiles instead of 32, in both layouts."""
    prepare(model, torch.device("cpu"))
    seen = []
    model.get_encoder(modality="image").register_forward_hook(
        lambda _tower, _inputs, output: seen.append(len(output.last_hidden_state))
    )
    encoder = Encoder(processor)
    examples = [encoder(row) for row in grouped]
    head = output_head(model)
    results = []
    for layout in (Layout.SHARED, Layout.PAIRED):
        with torch.no_grad():
            results.append(score(model, lay_out(examples, layout, 0), head, 64))
    assert seen == [5, 5]
    # As if no one knew that prompts and images are the same ones.
    alone = [copy.copy(example) for example in examples]
    for example in alone:
        object.__setattr__(example, "key", None)
        object.__setattr__(example, "image_key", None)
    batch = lay_out(examples, Layout.SHARED, 0)
    apart = lay_out(alone, Layout.PAIRED, 0)
    with torch.no_grad():
        logps = score(model, apart, head, 64)
    assert seen[2] == 32
    for result in results:
        torch.testing.assert_close(result[batch.chosen], logps[apart.chosen], rtol=1e-5, atol=1e-4)
        torch.testing.assert_close(result[batch.rejected], logps[apart.rejected], rtol=1e-5, atol=1e-4)


def test_images_are_processed_once_for_the_pairs_of_a_question(processor, grouped):
    calls = []

    class Counting:
        def __init__(self, inner):
            self.inner = inner

        def __getattr__(self, name):
            return getattr(self.inner, name)

        def __call__(self, **inputs):
            calls.append(inputs["text"])
            return self.inner(**inputs)

    encoder = Encoder(Counting(processor))
    for row in grouped:
        encoder(row)
    assert len(calls) == 6


def test_pairs_of_a_question_come_in_succession(tmp_path, model, processor, grouped):
    trainer = MPOTrainer(
        model, args=config(tmp_path, pairs_per_group=2), train_dataset=grouped, processing_class=processor
    )
    order = [grouped[row]["question_id"] for row in trainer._get_train_sampler()]
    runs = sum(left != right for left, right in itertools.pairwise(order)) + 1
    assert runs <= 2 + 2 + 2 + 2 + 1 + 1


class TestReferenceCache:
    def train(self, folder, model, processor, rows, **given):
        given = {"reference_cache": str(folder / "cache"), "per_device_train_batch_size": 4, **given}
        trainer = MPOTrainer(
            copy.deepcopy(model), args=config(folder / "out", **given), train_dataset=rows, processing_class=processor
        )
        trainer.train()
        return [line["loss"] for line in trainer.state.log_history if "loss" in line], trainer

    def test_it_trains_like_the_live_reference(self, tmp_path, model, processor, grouped):
        cached, trainer = self.train(tmp_path, model, processor, grouped, num_train_epochs=2)
        live, _ = self.train(tmp_path, model, processor, grouped, num_train_epochs=2, reference_cache=None)
        assert cached == pytest.approx(live, rel=1e-5)
        # 16 pairs with 12 distinct chosen and 9 distinct rejected: each question's completions once.
        distinct = {(row["question_id"], row[side]) for row in grouped for side in ("chosen", "rejected")}
        assert len(trainer.reference) == len(distinct)

    def test_it_is_computed_once(self, tmp_path, model, processor, grouped):
        first, _ = self.train(tmp_path, model, processor, grouped)
        path = tmp_path / "cache" / "logps-0.bin"
        before = path.stat().st_mtime_ns
        again, _ = self.train(tmp_path, model, processor, grouped, preference_weight=1.0, quality_weight=0.0)
        assert path.stat().st_mtime_ns == before
        assert again != first  # another objective, the same reference

    def test_a_torn_record_is_computed_again(self, tmp_path, model, processor, grouped):
        first, _ = self.train(tmp_path, model, processor, grouped)
        path = tmp_path / "cache" / "logps-0.bin"
        path.write_bytes(path.read_bytes()[: 3 * RECORD.itemsize + 5])
        (tmp_path / "cache" / "complete-0-of-1.json").unlink()
        again, trainer = self.train(tmp_path, model, processor, grouped)
        assert again == pytest.approx(first, rel=1e-6)
        assert path.stat().st_size % RECORD.itemsize == 0
        assert len(trainer.reference) * RECORD.itemsize <= path.stat().st_size

    def test_what_is_damaged_is_said_and_computed_again(self, tmp_path, model, processor, grouped, capsys):
        first, _ = self.train(tmp_path, model, processor, grouped)
        cache = tmp_path / "cache"
        whole = {path.name: path.read_bytes() for path in cache.iterdir()}
        logps, complete = "logps-0.bin", "complete-0-of-1.json"
        flipped = bytearray(whole[logps])
        flipped[13] ^= 1
        gone: bytes | None = None
        for name, content, left in (
            (logps, whole[logps][: 3 * RECORD.itemsize], {"cache.json"}),
            (logps, bytes(flipped), {"cache.json"}),
            (logps, b"", {"cache.json"}),
            (logps, gone, {"cache.json"}),
            (complete, whole[complete][:20], {"cache.json", logps}),
            (complete, b"[]", {"cache.json", logps}),
            ("cache.json", gone, set()),  # of which weights are they?
            ("cache.json", b"\xff", set()),
        ):
            for each, before in whole.items():
                (cache / each).write_bytes(before)
            (cache / name).unlink() if content is None else (cache / name).write_bytes(content)
            drop_damaged(cache)
            assert {path.name for path in cache.iterdir()} == left, (name, content)
            assert f"in {cache} is damaged; it is computed again" in " ".join(capsys.readouterr().err.split())
        for each, before in whole.items():
            (cache / each).write_bytes(before + RECORD.itemsize * b"\1" if each == logps else before)
        drop_damaged(cache)  # another training has added to it since
        assert {path.name for path in cache.iterdir()} == set(whole)
        (cache / logps).write_bytes(flipped)
        assert self.train(tmp_path, model, processor, grouped)[0] == first
        assert (cache / logps).read_bytes() == whole[logps]

    def test_killed_while_damaged_files_go_none_is_taken_for_whole(self, tmp_path, monkeypatch):
        names = [f"complete-0-of-{n}.json" for n in range(1, 9)]
        for name in names:
            (tmp_path / name).write_text('{"data": [], "bytes": 12, "sha256": "of another content"}')
        (tmp_path / "cache.json").write_text('{"weights": "x"}')
        (tmp_path / "logps-0.bin").write_bytes(bytes(RECORD.itemsize))
        gone = []
        monkeypatch.setattr(Path, "unlink", lambda path, **_: gone.append(path.name))
        drop_damaged(tmp_path)
        assert gone[0] == "logps-0.bin"
        assert sorted(gone[1:]) == names

    def test_a_stale_cache_is_an_error_that_names_what_changed(self, tmp_path, model, processor, grouped):
        self.train(tmp_path, model, processor, grouped)
        other = copy.deepcopy(model)
        with torch.no_grad():
            next(other.parameters()).view(-1)[0] += 1
        with pytest.raises(UserError, match="computed with another weights; delete the folder"):
            self.train(tmp_path, other, processor, grouped)
        template = copy.deepcopy(processor)
        template.chat_template += " "
        with pytest.raises(UserError, match="another template"):
            self.train(tmp_path, model, template, grouped)
        with pytest.raises(UserError, match="another precision"):
            self.train(tmp_path, model, processor, grouped, bf16=True)

    def test_a_pair_that_is_missing_is_named(self, tmp_path, model, processor, grouped):
        self.train(tmp_path, model, processor, grouped)
        changed = [*grouped[:-1], {**grouped[-1], "chosen": "four three two"}]
        with pytest.raises(DataError, match="the training set has changed"):
            self.train(tmp_path, model, processor, changed)

    def test_an_adapter_changes_nothing_of_it(self, tmp_path, model, processor, grouped):
        peft = pytest.importorskip("peft")
        self.train(tmp_path, model, processor, grouped)
        path = tmp_path / "cache" / "logps-0.bin"
        before = path.stat().st_mtime_ns
        adapted = MPOTrainer(
            copy.deepcopy(model),
            args=config(tmp_path / "out", reference_cache=str(tmp_path / "cache"), per_device_train_batch_size=4),
            train_dataset=grouped,
            processing_class=processor,
            peft_config=peft.LoraConfig(r=2, target_modules=["q_proj"]),
        )
        assert len(adapted.reference) > 0
        assert path.stat().st_mtime_ns == before
