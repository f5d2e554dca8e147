"""Signs of a training gone wrong, as the page shows them: from the trainings' logs and from the evaluations."""

from collections.abc import Iterable

from mixpo import notes
from mixpo.files import RunFiles
from mixpo.notes import Sign

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
        for sign in notes.read(files.checkpoints(section) / "signatures.json", list[Sign]) or []:
            if sign.sign in TRAINING:
                found.append(f"{section}: {TRAINING[sign.sign].format(before=sign.before, after=sign.after)}")
    for section in evaluations:
        for sign in notes.read(files.evaluation(section).json("signatures"), list[Sign]) or []:
            found.append(f"{section}: {sign.text}")
    return found
