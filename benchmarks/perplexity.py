"""What a model has forgotten of plain text: perplexity of texts that it was not trained on.

    python benchmarks/perplexity.py --text docs/method.md docs/faq.md -- sft=runs/smol/checkpoints/sft/model mpo=…

Every text is cut into windows of 256 tokens; a token's loss is in nats, the first of a window has none. The interval is
a bootstrap over windows; models are compared window by window. A vision-language model reads the text without pictures,
so that one made by `mixpo compose` can be compared with its language model before (a folder of a causal LM does too).
"""

import argparse
import json
import math
from pathlib import Path

import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForImageTextToText, AutoTokenizer

WINDOW = 256
DRAWS = 2000


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("models", nargs="+", help="NAME=FOLDER; the first is what the others are compared with")
    arguments.add_argument("--text", nargs="+", type=Path, required=True)
    arguments.add_argument("--windows", type=int, default=100, help="at most so many")
    given = arguments.parse_args()
    text = "\n\n".join(path.read_text(encoding="utf-8") for path in given.text)
    losses = {}
    for named in given.models:
        name, _, folder = named.partition("=")
        losses[name] = window_losses(folder, text, given.windows)
    first = next(iter(losses.values()))
    draws = torch.randint(len(first), (DRAWS, len(first)), generator=torch.Generator().manual_seed(0))
    for name, found in losses.items():
        means, changes = found[draws].mean(1), (found - first)[draws].mean(1)
        print(
            json.dumps(
                {
                    "model": name,
                    "windows": len(found),
                    "perplexity": round(math.exp(found.mean()), 3),
                    "interval": [round(math.exp(value), 3) for value in _interval(means)],
                    "change_nats": round(float((found - first).mean()), 4),
                    "change_interval": [round(value, 4) for value in _interval(changes)],
                }
            )
        )


def window_losses(folder: str, text: str, windows: int) -> torch.Tensor:
    """Mean loss of each window in nats a token."""
    config = AutoConfig.from_pretrained(folder)
    family = AutoModelForImageTextToText if hasattr(config, "vision_config") else AutoModelForCausalLM
    model = family.from_pretrained(folder, dtype=torch.float32).eval()
    ids = AutoTokenizer.from_pretrained(folder)(text, return_tensors="pt", add_special_tokens=False)["input_ids"][0]
    rows = ids[: len(ids) // WINDOW * WINDOW].view(-1, WINDOW)[:windows]
    found = []
    with torch.inference_mode():
        for part in rows.split(8):
            logits = model(input_ids=part).logits[:, :-1]
            loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), part[:, 1:].flatten(), reduction="none")
            found.append(loss.view(len(part), -1).mean(1))
    return torch.cat(found)


def _interval(values: torch.Tensor) -> list[float]:
    return [float(value) for value in torch.quantile(values, torch.tensor([0.025, 0.975]))]


if __name__ == "__main__":
    main()
