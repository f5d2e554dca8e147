"""Signs, in a training's log, that preference optimisation goes wrong; looked for while it runs.

chosen_falls    the chosen completions become less probable: likelihood displacement (Razin et al. 2024,
                arXiv 2410.08847), usual for DPO alone; the generation loss is there to prevent it;
                accuracy often rises all the same
overfits        the reward margin on the training pairs grows while pairs of held-out questions are told apart worse
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from transformers import TrainerCallback

from mixpo.progress import say
from mixpo.text_files import write_text

FALL = 0.05
"""Share of its first value by which the chosen completions' log-probability has to fall."""
WORSE = 0.05
"""Points of held-out accuracy (a share) that have to be lost since its best value."""
FEWEST = 8
"""Lines of a log below which nothing is said."""

MESSAGES = {
    "chosen_falls": "note: {where}: the log-probability of the chosen completions falls from {before:.1f} to "
    "{after:.1f} nats; should the evaluation come out worse, raise generation_weight or beta, or lower learning_rate",
    "overfits": "warning: {where}: the reward margin still grows, but held-out pairs are told apart worse "
    "({before:.0%}, now {after:.0%}): stop earlier (fewer epochs) or take more pairs",
}


def signs(log: Sequence[Mapping[str, float]]) -> dict[str, dict[str, float]]:
    """Name -> its values before and after, for each sign that the log's lines show. First and last quarter are
    compared; a log of fewer than `FEWEST` lines shows none."""
    found = {}
    chosen = [line["logps/chosen"] for line in log if "logps/chosen" in line]
    if len(chosen) >= FEWEST:
        before, after = _ends(chosen)
        if before - after > FALL * abs(before):
            found["chosen_falls"] = {"before": before, "after": after}
    margins = [line["rewards/margins"] for line in log if "rewards/margins" in line]
    held_out = [line["eval_rewards/accuracies"] for line in log if "eval_rewards/accuracies" in line]
    if len(margins) >= FEWEST and len(held_out) >= 2:
        before, after = _ends(margins)
        if after > before and max(held_out) - held_out[-1] > WORSE:
            found["overfits"] = {"before": max(held_out), "after": held_out[-1]}
    return found


def _ends(values: Sequence[float]) -> tuple[float, float]:
    """Means of the first and the last quarter."""
    quarter = max(1, len(values) // 4)
    return sum(values[:quarter]) / quarter, sum(values[-quarter:]) / quarter


class Watch(TrainerCallback):
    """Says each sign once, when it first shows, and writes what shows at the end to `signatures.json`."""

    def __init__(self, name: str, folder: Path):
        self.name = name
        self.folder = folder
        self.said: set[str] = set()

    def on_log(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if not state.is_world_process_zero:
            return
        for sign, values in signs(state.log_history).items():
            if sign not in self.said:
                self.said.add(sign)
                say(MESSAGES[sign].format(where=f"{self.name}, step {state.global_step}", **values))

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if state.is_world_process_zero:
            found = [{"sign": sign, **values} for sign, values in signs(state.log_history).items()]
            write_text(self.folder / "signatures.json", json.dumps(found, indent=1) + "\n")
