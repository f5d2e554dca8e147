"""The loss of the first step, TRL's DPOTrainer beside MPOTrainer, given the same DPOConfig (docs/migrating.md).

    pip install 'mixpo[bench]' && python benchmarks/trl_first_step.py [CHECKPOINT ...]

The reference is another model than the policy (its weights are moved a little), so that every term has a value of its
own. `same tokens`: MPOTrainer made to score what TRL scores after the end-of-turn token (a line break, where the chat
template has one), which mixpo does not train.
"""

import copy
import sys
import tempfile
from typing import Any

import datasets
import numpy as np
import torch
from PIL import Image
from transformers import AutoModelForImageTextToText, AutoProcessor
from trl import DPOConfig, DPOTrainer

from mixpo import MPOConfig, MPOTrainer
from mixpo.batches.encode import Encoder
from mixpo.files import BASE_MODEL

MPO = {"loss_type": ["sigmoid", "bco_pair", "sft"], "loss_weights": [0.8, 0.2, 1.0]}
CASES = {
    "sigmoid": {"loss_type": ["sigmoid"]},
    "ipo": {"loss_type": ["ipo"]},
    "sppo_hard": {"loss_type": ["sppo_hard"]},
    "bco_pair": {"loss_type": ["bco_pair"]},
    "sft": {"loss_type": ["sft"]},
    "MPO": MPO,
    "MPO, cut at 16 + prompt": {**MPO, "max_length": 16},
    "MPO, 4 micro-batches": {**MPO, "per_device_train_batch_size": 1, "gradient_accumulation_steps": 4},
}
TEXTS = (
    "red",
    "a green circle in the picture",
    "the answer is \\boxed{12}, since it shows a 3 by 4 grid",
    "blue square",
)


def rows() -> datasets.Dataset:
    """Four pairs whose completions are of unlike length."""
    noise = np.random.default_rng(0)
    return datasets.Dataset.from_list(
        [
            {
                "images": [Image.fromarray(noise.integers(0, 256, (80, 60, 3), dtype=np.uint8))],
                "prompt": [{"role": "user", "content": f"what is the colour of shape {number} ?"}],
                "chosen": [{"role": "assistant", "content": TEXTS[number]}],
                "rejected": [{"role": "assistant", "content": TEXTS[number - 1]}],
            }
            for number in range(4)
        ]
    )


def tail(processor: Any) -> list[int]:
    """The tokens that the chat template writes after an assistant's end-of-turn token."""
    said = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
    text = processor.apply_chat_template(said, tokenize=False)
    after = text.rpartition(processor.tokenizer.convert_ids_to_tokens(Encoder(processor).end_id))[2]
    return processor.tokenizer(after, add_special_tokens=False)["input_ids"]


def first_loss(
    trainer_class: Any, models: tuple[Any, Any], processor: Any, more: list[int], config: Any = DPOConfig, **given: Any
) -> float:
    model, reference = map(copy.deepcopy, models)
    with tempfile.TemporaryDirectory() as folder:
        settings = {
            "per_device_train_batch_size": 4, "max_steps": 1, "use_cpu": True, "bf16": False, "report_to": "none",
            "logging_steps": 1, "save_strategy": "no", "disable_tqdm": True, "gradient_checkpointing": False,
            "max_length": None, **given,
        }  # fmt: skip
        trainer = trainer_class(
            model, reference, config(folder, **settings), train_dataset=rows(), processing_class=processor
        )
        if more:
            encoder = trainer.collator.encoder
            plain = encoder.completion_ids
            encoder.completion_ids = lambda *arguments: [*plain(*arguments), *more]
        trainer.train()
    return next(line["loss"] for line in trainer.state.log_history if "loss" in line)


def main() -> None:
    for checkpoint in sys.argv[1:] or [str(BASE_MODEL)]:
        processor = AutoProcessor.from_pretrained(checkpoint)
        model = AutoModelForImageTextToText.from_pretrained(checkpoint, dtype=torch.float32)
        reference = copy.deepcopy(model)
        torch.manual_seed(0)
        with torch.no_grad():
            for parameter in reference.parameters():
                parameter.add_(0.01 * torch.randn_like(parameter))
        more = tail(processor)
        print(
            f"{checkpoint}: {type(model).__name__}, after the end-of-turn token: {processor.tokenizer.decode(more)!r}"
        )
        for name, given in CASES.items():
            if "max_length" in given:
                given = {**given, "max_length": given["max_length"] + prompt_length(processor)}
            theirs = first_loss(DPOTrainer, (model, reference), processor, [], **given)
            ours, same = (first_loss(MPOTrainer, (model, reference), processor, one, **given) for one in ([], more))
            print(
                f"  {name:24} TRL {theirs:.6f}   mixpo {ours:.6f} ({ours - theirs:+.6f})   "
                f"same tokens {same:.6f} ({same - theirs:+.6f})",
                flush=True,
            )
        paper = first_loss(MPOTrainer, (model, reference), processor, more, MPOConfig)
        print(f"  MPOConfig's defaults, the same tokens: {paper:.6f}", flush=True)


def prompt_length(processor: Any) -> int:
    return len(Encoder(processor)(rows()[0]).prompt_ids)


if __name__ == "__main__":
    main()
