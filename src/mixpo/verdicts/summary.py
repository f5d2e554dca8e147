"""What a person wants to know of many verdicts: shares of each outcome, and which questions can give pairs."""

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from mixpo.left_out import counted, source_of
from mixpo.records import Outcome, Verdict

RIGHT, WRONG = 1, 2
SHOWN = 100
"""Characters of a response in which no answer was found: its end."""


class VerdictTally:
    """The verdicts on the responses to questions with a ground truth, and how many there are to others."""

    def __init__(self, open_questions: Iterable[str] = (), sources: Iterable[str] = ()):
        """`open_questions`: ids of those without a ground truth; `sources`: names that ids of questions begin with."""
        self.open_questions = frozenset(open_questions)
        self.sources = sorted(sources, key=len, reverse=True)
        self.outcomes: dict[str, Counter[Outcome]] = {}
        """By source."""
        self.new = self.there = self.without_truth = self.lost = 0
        """`lost`: responses whose question is not there."""
        self.unparsed = ""
        """Id of the first response in which no answer was found."""
        self._questions: dict[str, int] = {}
        """Of each question whether right and wrong responses were seen: bits."""

    def watch(self, verdicts: Iterable[Verdict]) -> Iterator[Verdict]:
        """New verdicts as they come."""
        for verdict in verdicts:
            self.new += 1
            self.count(verdict.id, verdict.question_id, verdict.outcome)
            yield verdict

    def add(self, verdict: Verdict) -> None:
        """One that was there before."""
        self.there += 1
        self.count(verdict.id, verdict.question_id, verdict.outcome)

    def count(self, id: str, question: str, outcome: Outcome) -> None:
        """The verdict of that id, on a response to the question."""
        if outcome is Outcome.UNDECIDED and question in self.open_questions:
            self.without_truth += 1
            return
        self.outcomes.setdefault(source_of(question, self.sources), Counter())[outcome] += 1
        bit = {Outcome.CORRECT: RIGHT, Outcome.UNDECIDED: 0}.get(outcome, WRONG)
        self._questions[question] = self._questions.get(question, 0) | bit
        if outcome is Outcome.UNPARSED and not self.unparsed:
            self.unparsed = id

    def sentences(self, place: Path) -> list[str]:
        """The shares of all, those of each source where there are several, and what they mean for pairs; `place`: where
        the verdicts lie."""
        if not self._questions:
            left = counted(self.without_truth + self.lost, "response")
            return [f"{left} not judged: no question of theirs is there, with a ground truth (`answer`)"]
        total = sum(self.outcomes.values(), Counter())
        said = [f"{counted(total.total(), 'response')} to {counted(len(self._questions), 'question')}: {shares(total)}"]
        said[0] += f" ({self.new:,} new); in {place}" if self.new and self.there else f"; in {place}"
        if len(self.outcomes) > 1:
            said += [f"{source or 'others'}: {shares(counts)}" for source, counts in self.outcomes.items()]
        if self.without_truth:
            said.append(f"{counted(self.without_truth, 'response')} to questions without a ground truth, not judged")
        if self.lost:
            said.append(f"{counted(self.lost, 'response')} left out: their questions are not there")
        return [*said, self._pairing()]

    def _pairing(self) -> str:
        kinds = Counter(self._questions.values())
        both, right, wrong = kinds[RIGHT | WRONG], kinds[RIGHT], kinds[WRONG]
        said = (
            f"{counted(both, 'question')} with right and wrong responses can give pairs; {right:,} with right ones only"
        )
        said += f", {wrong:,} with none right"
        if not both:
            said += (
                ": no pairs of both; sample more responses, at a higher temperature, or ask easier or harder questions"
            )
        return said


def shares(counts: Counter[Outcome]) -> str:
    """ "924 correct (38.5 %), 1,476 incorrect (61.5 %)", in the order of `Outcome`."""
    total = counts.total()
    seen = [outcome for outcome in Outcome if counts[outcome]]
    return ", ".join(f"{counts[outcome]:,} {outcome} ({100 * counts[outcome] / total:.1f} %)" for outcome in seen)


def ending(text: str) -> str:
    """The end of a response, where its answer should stand, in one line."""
    line = " ".join(text.split())
    return line if len(line) <= SHOWN else f"… {line[-SHOWN:]}"
