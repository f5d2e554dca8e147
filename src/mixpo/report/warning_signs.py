"""Signs of a training gone wrong, as the page shows them: from the trainings' logs and from the evaluations."""

from collections.abc import Iterable

from mixpo.files import RunFiles
from mixpo.text_files import read_json

TRAINING = {
    "chosen_falls": "the chosen completions became less probable ({before:.1f} nats, {after:.1f} at the end); "
    "where the evaluation is worse, raise generation_weight or beta, or lower learning_rate",
    "overfits": "the margin grew while held-out pairs were told apart worse ({before:.0%}, {after:.0%} at the end): "
    "stop earlier (fewer epochs) or take more pairs",
}


def signs(files: RunFiles, trainings: Iterable[str], evaluations: Iterable[str]) -> list[str]:
    """A sentence for each sign, in the order of the run's sections; [] when there is none."""
    found = []
    for section in trainings:
        for sign in read_json(files.checkpoints(section) / "signatures.json") or []:
            found.append(f"{section}: {TRAINING[sign['sign']].format(**sign)}")
    for section in evaluations:
        for sign in read_json(files.evaluation(section).json("signatures")) or []:
            found.append(f"{section}: {sign['text']}")
    return found
