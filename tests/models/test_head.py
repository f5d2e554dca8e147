"""Models that scale or cap their logits, and adapters on the head: scored as their own logits say."""

import copy

import pytest
import torch
import transformers as t

from mixpo.batches.encode import Encoder, Example
from mixpo.batches.layout import Layout, lay_out
from mixpo.errors import UserError
from mixpo.models.head import output_head
from mixpo.training.config import MPOConfig
from mixpo.training.scoring import score
from mixpo.training.trainer import MPOTrainer

SIZES = {
    "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 8,
    "intermediate_size": 16, "vocab_size": 30, "pad_token_id": 0, "bos_token_id": None, "eos_token_id": 1,
}  # fmt: skip
EXAMPLES = [
    Example(prompt_ids=[3, 4, 5], completions=[[6, 7, 8], [9]]),
    Example(prompt_ids=[10], completions=[[11, 12], [13, 14, 15, 16]]),
]


def build(name):
    torch.manual_seed(0)
    if name == "granite":  # divides by logits_scaling
        model = t.GraniteForCausalLM(t.GraniteConfig(**SIZES, logits_scaling=8.0))
    elif name == "cohere":  # multiplies by logit_scale
        model = t.CohereForCausalLM(t.CohereConfig(**SIZES, logit_scale=0.25))
    else:  # caps
        model = t.Gemma2ForCausalLM(t.Gemma2Config(**SIZES, query_pre_attn_scalar=8, final_logit_softcapping=2.0))
    for parameter in model.parameters():
        parameter.data.normal_(std=0.5)
    return model.eval()


def plain_logps(model, example, completion):
    ids = torch.tensor([example.prompt_ids + completion])
    logps = model(ids).logits[0, :-1].double().log_softmax(-1).gather(1, ids[0, 1:, None])
    return logps[len(example.prompt_ids) - 1 :].sum()


@pytest.mark.parametrize(
    ("name", "scale", "softcap"), [("granite", 0.125, None), ("cohere", 0.25, None), ("gemma2", 1.0, 2.0)]
)
def test_scores_and_gradients_are_those_of_the_models_own_logits(name, scale, softcap):
    model = build(name)
    head = output_head(model)
    assert head.scale == pytest.approx(scale)
    assert head.softcap == (None if softcap is None else pytest.approx(softcap))
    expected = torch.stack([plain_logps(model, one, ids) for one in EXAMPLES for ids in one.completions])
    found = score(model, lay_out(EXAMPLES, Layout.PAIRED, 0), head, chunk=3)
    torch.testing.assert_close(found.double(), expected, rtol=1e-5, atol=1e-5)
    weights = torch.tensor([0.3, -1.0, 2.0, 0.5])
    parameters = list(model.parameters())
    wanted = torch.autograd.grad((expected * weights).sum(), parameters)
    mine = torch.autograd.grad((found * weights).sum(), parameters)
    for left, right in zip(mine, wanted, strict=True):
        torch.testing.assert_close(left, right, rtol=1e-3, atol=1e-4)


def test_a_long_completion_passes_the_softcap_unharmed():
    """1e5 nats through a cap of 2: what the model does to them is undone to 1e-6 of their value."""
    model = build("gemma2")
    head = output_head(model)
    sums = torch.tensor([-1.0e5, -1340.25, -1.0])
    with head.replaced(lambda _: sums * head.passing), torch.no_grad():
        found = head.passed(model(torch.tensor([[3]])).logits)
    torch.testing.assert_close(found, sums, rtol=1e-6, atol=0)


def test_what_the_head_does_otherwise_is_refused():
    class Odd(t.GraniteForCausalLM):
        def forward(self, *args, **kwargs):
            out = super().forward(*args, **kwargs)
            out.logits = out.logits.abs()
            return out

    with pytest.raises(UserError, match="Odd changes its logits \\(logits_scaling\\)"):
        output_head(Odd(t.GraniteConfig(**SIZES, logits_scaling=8.0)))


@pytest.mark.parametrize("given", [{"target_modules": ["lm_head", "q_proj"]}, {"modules_to_save": ["lm_head"]}])
def test_an_adapter_on_the_head_is_scored_and_trained(tmp_path, model, processor, rows, given):
    """LoRA on the head, or a copy of it that is trained whole: the reference is the model without."""
    peft = pytest.importorskip("peft")
    before = copy.deepcopy(model).eval()
    config = MPOConfig(
        output_dir=str(tmp_path), per_device_train_batch_size=4, learning_rate=1e-2, warmup_steps=0, layout="auto",
        save_strategy="no", report_to="none", disable_tqdm=True, use_cpu=True,
    )  # fmt: skip
    lora = peft.LoraConfig(r=2, **{"target_modules": ["q_proj"], **given})
    trainer = MPOTrainer(model, args=config, train_dataset=rows[:8], processing_class=processor, peft_config=lora)
    trainer.train()
    trained = [name for name, one in trainer.model.named_parameters() if one.requires_grad and "lm_head" in name]
    assert trained
    assert trainer.layout is Layout.SHARED
    batch = lay_out([Encoder(processor)(row) for row in rows[:4]], Layout.PAIRED, 0)
    with torch.no_grad():
        reference = trainer.reference(batch, 64)
        torch.testing.assert_close(reference, score(before, batch, output_head(before), 64), rtol=1e-5, atol=1e-4)
        policy = score(trainer.model, batch, trainer.head, 64)
        assert (policy - reference).abs().max() > 0.1
        merged = trainer.model.merge_and_unload()
        torch.testing.assert_close(score(merged, batch, output_head(merged), 64), policy, rtol=1e-5, atol=1e-3)
