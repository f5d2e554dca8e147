"""The tokens that mixpo makes of preference rows, beside those of TRL's DPOTrainer, in every form that it takes.

    python benchmarks/trl_rows.py CHECKPOINT …       # in an environment that has TRL (the optional group `bench`)

Two differences are known, and taken out before the comparison: TRL scores the line break that a chat template writes
after the end-of-turn token, and its collator never lets the tokenizer put a first token before a prompt.
"""

import sys
from types import SimpleNamespace
from typing import Any

from datasets import Dataset
from PIL import Image
from transformers import AutoProcessor, ProcessorMixin
from trl import DPOConfig, DPOTrainer
from trl.trainer.dpo_trainer import DataCollatorForVisionPreference

from mixpo.batches.encode import Encoder

IMAGE = {"type": "image"}


def picture(number: int, mode: str = "RGB") -> Image.Image:
    return Image.effect_noise((60 + 7 * number, 80), 90).convert(mode)


def user(content: Any) -> dict[str, Any]:
    return {"role": "user", "content": content}


def says(content: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": content}


def words(text: str) -> dict[str, str]:
    return {"type": "text", "text": text}


def forms(mark: str, end: str) -> dict[str, dict[str, Any]]:
    """Rows by what is special about them; `mark` is the model's own for a picture, `end` its end token."""
    pair = {"chosen": [says("red")], "rejected": [says("blue")]}
    asked = {"prompt": [user("what?")]}
    parts = {side: [says([words(pair[side][0]["content"])])] for side in pair}
    turns = {side: [*pair[side], user("sure?"), says("yes")] for side in pair}
    shown = {"images": [picture(0)]}
    texts = {"chosen": " red", "rejected": " blue"}
    return {
        "image": {"image": picture(0), **asked, **pair},
        "parts": {**shown, "prompt": [user([IMAGE, words("what?")])], **parts},
        "between words": {**shown, "prompt": [user([words("see "), IMAGE, words(" what?")])], **parts},
        "two images": {"images": [picture(0), picture(1)], **asked, **pair},
        "no image of a row": {"images": [], **asked, **pair},
        "text alone": {**asked, **pair},
        "system": {**shown, "prompt": [{"role": "system", "content": "You see."}, user("what?")], **pair},
        "turns": {**shown, "prompt": [user("what?"), says("a shape"), user("colour?")], **pair},
        "completion of turns": {**shown, **asked, **turns},
        "completion of turns, text alone": {**asked, **turns},
        "implicit prompt": {side: [*asked["prompt"], *pair[side]] for side in pair},
        "implicit prompt, texts": {side: f"the colour is{texts[side]}" for side in texts},
        "texts": {**shown, "prompt": f"{mark}\nwhat?", **texts},
        "texts, ended": {**shown, "prompt": f"{mark}\nwhat?", **{side: texts[side] + end for side in texts}},
        "texts alone": {"prompt": "what?", **texts},
        "texts alone, merged": {"prompt": "wha", "chosen": "t red", "rejected": "t"},
        "RGBA": {"images": [picture(0, "RGBA")], **asked, **pair},
        "L": {"images": [picture(0, "L")], **asked, **pair},
        "P": {"images": [picture(0, "P")], **asked, **pair},
    }


def of_trl(row: dict[str, Any], processor: ProcessorMixin) -> list[tuple[list[int], list[int]]]:
    """Prompt and completion, chosen and rejected."""
    if "image" in row or "images" in row:
        batch = DataCollatorForVisionPreference(processor)([dict(row)])
        found = []
        for ids, attended, scored in zip(*(batch[name].tolist() for name in NAMES), strict=True):
            kept = [(token, mine) for token, seen, mine in zip(ids, attended, scored, strict=True) if seen]
            found.append(([token for token, mine in kept if not mine], [token for token, mine in kept if mine]))
        return found
    trainer = SimpleNamespace(_tokenizer=processor.tokenizer)
    args = DPOConfig(output_dir="unused", use_cpu=True, report_to="none", bf16=False)
    (one,) = DPOTrainer._prepare_dataset(trainer, Dataset.from_list([row]), processor, args, "train")
    return [(one["prompt_ids"], one[f"{side}_ids"]) for side in ("chosen", "rejected")]


NAMES = ("input_ids", "attention_mask", "completion_mask")


def without_break(ids: list[int], processor: ProcessorMixin, end: int) -> list[int]:
    """The completion up to its end-of-turn token, where only white space follows."""
    last = len(ids) - 1 - ids[::-1].index(end) if end in ids else len(ids)
    return ids[: last + 1] if not processor.tokenizer.decode(ids[last + 1 :]).strip() else ids


def compare(path: str) -> int:
    processor = AutoProcessor.from_pretrained(path)
    encoder = Encoder(processor)
    first = processor.tokenizer.convert_tokens_to_ids(encoder.chat.added[0]) if encoder.chat.added[0] else None
    different = 0
    for name, row in forms(encoder.chat.picture, processor.tokenizer.eos_token).items():
        try:
            theirs = of_trl(row, processor)
        except Exception as error:
            theirs = f"{type(error).__name__}: {error}"
        try:
            example = encoder(dict(row))
            ours = [(example.prompt_ids, ids) for ids in example.completions]
        except Exception as error:
            ours = f"{type(error).__name__}: {error}"
        if isinstance(theirs, list) and isinstance(ours, list):
            same = theirs == ours
            trimmed = [(prompt, without_break(ids, processor, encoder.end_id)) for prompt, ids in theirs]
            begun = [(prompt[1:] if prompt[0] == first else prompt, ids) for prompt, ids in ours]
            known = "but for the line break" if trimmed == ours else "but for the first token, and the line break"
            result = "equal" if same else known if ours in (trimmed,) or begun == trimmed else "DIFFERENT"
            if result == "DIFFERENT":
                different += 1
                print(f"  theirs {theirs}\n  ours   {ours}")
        else:
            result = f"TRL: {str(theirs)[:90]}; mixpo: {str(ours)[:90]}"
        print(f"{path.rstrip('/').rpartition('/')[2]:12} {name:32} {result}", flush=True)
    return different


if __name__ == "__main__":
    sys.exit(sum(map(compare, sys.argv[1:])))
