"""What reviews come to: win rate with its interval, agreement of two reviewers, agreement of people and verifier."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from mixpo.evaluation.statistics import Share, wilson
from mixpo.report.reviews import Answer, Preference


@dataclass(frozen=True, slots=True)
class Kappa:
    """Cohen's kappa of two reviewers on the items that both judged."""

    reviewers: tuple[str, str]
    value: float | None
    """None where both said the same of every item: chance agreement is 1 then, and kappa is not defined."""
    agreement: float
    n: int


@dataclass(frozen=True, slots=True)
class Summary:
    """The reviews of one contest."""

    contest: str
    reviewers: list[str]
    items: int
    choices: dict[Preference, int]
    """How often each was said, over all answers."""
    wins: Share | None
    """Of the items that people decided, the share in which the first text won; None when none was decided."""
    verifier: Share | None
    """Of the items that people and verifier decided, the share in which they say the same."""
    kappas: list[Kappa]
    left: Share | None
    """Of the decided answers, the share that chose the left text: far from one half, place decided, not quality."""


def summaries(answers: Sequence[Answer]) -> list[Summary]:
    """One for each contest, in the order in which they first appear."""
    by_contest: dict[str, list[Answer]] = defaultdict(list)
    for answer in answers:
        by_contest[answer.contest].append(answer)
    return [_summary(contest, found) for contest, found in by_contest.items()]


def _summary(contest: str, answers: list[Answer]) -> Summary:
    by_item: dict[str, list[Answer]] = defaultdict(list)
    for answer in answers:
        by_item[answer.item_id].append(answer)
    decided = {item: winner for item, found in by_item.items() if (winner := majority(found)) is not None}
    preferred = {answer.item_id: answer.preferred for answer in answers}
    judged = [item for item in decided if preferred[item] in (Preference.FIRST, Preference.SECOND)]
    reviewers = list(dict.fromkeys(answer.reviewer for answer in answers))
    sided = [a for a in answers if a.choice in (Preference.FIRST, Preference.SECOND)]
    return Summary(
        contest=contest,
        reviewers=reviewers,
        items=len(by_item),
        choices={choice: sum(answer.choice is choice for answer in answers) for choice in Preference},
        wins=_share([winner is Preference.FIRST for winner in decided.values()]),
        verifier=_share([decided[item] == preferred[item] for item in judged]),
        kappas=[kappa(answers, one, other) for n, one in enumerate(reviewers) for other in reviewers[n + 1 :]],
        left=_share([(a.choice is Preference.FIRST) == a.first_was_left for a in sided]),
    )


def majority(answers: Sequence[Answer]) -> Preference | None:
    """The text that more reviewers hold for better; None when as many say the one as the other."""
    votes = Counter(answer.choice for answer in answers)
    difference = votes[Preference.FIRST] - votes[Preference.SECOND]
    return None if difference == 0 else Preference.FIRST if difference > 0 else Preference.SECOND


def kappa(answers: Sequence[Answer], one: str, other: str) -> Kappa:
    """Cohen 1960, over the four choices: (agreement - chance) / (1 - chance)."""
    said: dict[str, dict[str, Preference]] = defaultdict(dict)
    for answer in answers:
        said[answer.reviewer][answer.item_id] = answer.choice
    shared = [item for item in said[one] if item in said[other]]
    n = len(shared)
    if n == 0:
        return Kappa((one, other), None, 0.0, 0)
    agreement = sum(said[one][item] is said[other][item] for item in shared) / n
    first, second = (Counter(said[name][item] for item in shared) for name in (one, other))
    chance = sum(first[choice] * second[choice] for choice in Preference) / n**2
    return Kappa((one, other), (agreement - chance) / (1 - chance) if chance < 1 else None, agreement, n)


def _share(hits: Sequence[bool]) -> Share | None:
    if not hits:
        return None
    value = sum(hits) / len(hits)
    return Share(value, *wilson(value, len(hits)), len(hits))
