"""TRL: its collator row by row, then a step of its DPOTrainer on all rows at once (random weights)."""

import sys

from datasets import load_dataset
from reading import IGNORED, colours, each, side, write
from transformers import AutoConfig, AutoModelForImageTextToText, AutoProcessor
from trl import DPOConfig, DPOTrainer
from trl.trainer.dpo_trainer import DataCollatorForVisionPreference

FOLDER, CHECKPOINT = sys.argv[1:3]


def main() -> None:
    processor = AutoProcessor.from_pretrained(CHECKPOINT)
    rows = load_dataset(FOLDER, split="train")
    collate = DataCollatorForVisionPreference(processor)

    def read(row):
        batch = collate([row])
        grid = batch.get("image_grid_thw")
        half = 0 if grid is None else len(grid) // 2
        pictures = colours(batch.get("pixel_values"), grid)
        sides = {}
        for number, name in enumerate(("chosen", "rejected")):
            seen = batch["attention_mask"][number].bool()
            tokens = batch["input_ids"][number][seen]
            labels = tokens.masked_fill(batch["completion_mask"][number][seen] == 0, IGNORED)
            sides[name] = side(processor.tokenizer, tokens, labels, pictures[number * half : (number + 1) * half])
        return sides

    write(each(rows, read), step(rows, processor), "trl", "transformers", "datasets")


def step(rows, processor) -> str:
    try:
        model = AutoModelForImageTextToText.from_config(AutoConfig.from_pretrained(CHECKPOINT))
        args = DPOConfig(
            output_dir=f"{FOLDER}-trained", max_steps=1, per_device_train_batch_size=len(rows), use_cpu=True,
            report_to=[], max_length=None, save_strategy="no", bf16=False,
        )  # fmt: skip
        trainer = DPOTrainer(model=model, args=args, train_dataset=rows, processing_class=processor)
        return f"a step of DPOTrainer, loss {trainer.train().training_loss:.4f}"
    except Exception as error:
        return f"{type(error).__name__}: {error}"


if __name__ == "__main__":
    main()
