"""Pairs of one question together: in the order of the data, in a micro-batch, and in a row.

What it does to a batch: an optimizer step of 256 pairs with `pairs_per_group: 4` holds the pairs of about 64
questions instead of about 256. Every pair still comes once an epoch, at every place of the order equally often in
expectation; but the pairs of a step are less independent, so its gradient varies more.
"""

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from torch.utils.data import Sampler

from mixpo.batches.encode import Example


@dataclass(frozen=True, kw_only=True, slots=True)
class PromptGroup:
    """A prompt with the completions of all its examples, each of them once."""

    prompt: Example
    """An example whose prompt and images are those of all."""
    completions: list[list[int]]


def group(examples: Sequence[Example]) -> tuple[list[PromptGroup], list[int], list[int] | None]:
    """The examples' groups, and the number of the chosen and the rejected completion of each that is counted.

    Completions are numbered group by group. Examples without a key stay alone. The last item is None when no example
    has a rejected completion.
    """
    members: dict[Hashable, list[int]] = {}
    for number, example in enumerate(examples):
        members.setdefault(number if example.key is None else example.key, []).append(number)
    groups = []
    numbers: list[list[int]] = [[] for _ in examples]
    count = 0
    for indices in members.values():
        places: dict[tuple[int, ...], int] = {}
        for index in indices:
            for completion in examples[index].completions:
                numbers[index].append(count + places.setdefault(tuple(completion), len(places)))
        groups.append(PromptGroup(prompt=examples[indices[0]], completions=[list(completion) for completion in places]))
        count += len(places)
    pairs = [of_pair for of_pair, example in zip(numbers, examples, strict=True) if example.counted]
    chosen = [of_pair[0] for of_pair in pairs]
    if all(len(of_pair) == 1 for of_pair in numbers):
        return groups, chosen, None
    return groups, chosen, [of_pair[1] for of_pair in pairs]


def split(examples: Sequence[Example], parts: int) -> list[list[Example]]:
    """The examples in `parts` micro-batches of equal size (to one); the same for every rank count.

    Examples of one prompt stand together, and beside others of like length.
    """
    longest: dict[bytes | None, int] = {}
    for example in examples:
        longest[example.key] = max(longest.get(example.key, 0), example.length)

    def order(example: Example) -> tuple[int, bytes, int]:
        apart = example.key is None
        return (example.length if apart else longest[example.key], example.key or b"", example.length)

    ordered = sorted(examples, key=order)
    bounds = [round(len(ordered) * number / parts) for number in range(parts + 1)]
    return [ordered[start:end] for start, end in pairwise(bounds)]


def passes(examples: Sequence[Example], budget: int | None) -> list[list[Example]]:
    """The examples by forward pass; one of nothing where there are none. `budget`: as for `rows_within`, or no bound.

    Where tokens attend to images apart, a pass has prompts with one number of images, those with most last: of fewer,
    it would pad with blank ones, which tokens before the first image look at (transformers' Mllama), and of none,
    layers are left out.
    """
    alike: dict[int, list[Example]] = {}
    for example in sorted(examples, key=lambda example: example.attended):
        alike.setdefault(example.attended, []).append(example)
    return [row for some in alike.values() for row in ([some] if budget is None else rows_within(some, budget))] or [[]]


def rows_within(examples: Sequence[Example], budget: int) -> list[list[Example]]:
    """The examples cut, in their order, where a shared row of more than `budget` tokens would begin.

    An example that is longer by itself stays alone: prompts and completions are never cut.
    """
    rows: list[list[Example]] = []
    tokens = 0
    seen: set[Hashable] = set()
    for number, example in enumerate(examples):
        key = number if example.key is None else example.key
        new = {(key, tuple(completion)) for completion in example.completions} - seen
        more = sum(len(ids) for _, ids in new) + (0 if key in seen else len(example.prompt_ids))
        if not rows or tokens + more > budget:
            rows.append([])
            tokens, seen = 0, set()
            more = example.length
            new = {(key, tuple(completion)) for completion in example.completions}
        rows[-1].append(example)
        tokens += more
        seen |= {key, *new}
    return rows


def question_ids(dataset: Any) -> Sequence[Hashable] | None:
    """The question of each row: the data set's own `question_ids`, or its column of that name in the singular.

    None where there is neither (nor a length): images are not opened to find out.
    """
    own = getattr(dataset, "question_ids", None)
    if own is not None:
        return own
    if "question_id" in (getattr(dataset, "column_names", None) or ()) and hasattr(dataset, "__len__"):
        return dataset["question_id"]
    if isinstance(dataset, list) and dataset and all("question_id" in row for row in dataset):
        return [row["question_id"] for row in dataset]
    return None


class GroupedSampler(Sampler[int]):
    """Every row once an epoch, in random order, up to `pairs_per_group` rows of one question in succession.

    `questions` names the question of each row. The order follows from the seed and the epoch alone.
    """

    def __init__(self, questions: Sequence[Hashable], pairs_per_group: int, seed: int):
        self.questions = questions
        self.pairs_per_group = pairs_per_group
        self.seed = seed
        self.epoch = 0

    @classmethod
    def of(cls, dataset: Any, pairs_per_group: int, seed: int) -> "GroupedSampler | None":
        """None for groups of one, and for rows whose questions are not known (`question_ids`)."""
        questions = question_ids(dataset) if pairs_per_group > 1 else None
        return None if questions is None else cls(questions, pairs_per_group, seed)

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.questions)

    def __iter__(self) -> Iterator[int]:
        generator = torch.Generator().manual_seed(self.seed + 1_000_003 * self.epoch)
        # Rows are shuffled first, so that which of a question's rows share a group is random, too.
        rows = torch.randperm(len(self.questions), generator=generator).tolist()
        members: dict[Hashable, list[int]] = {}
        for row in rows:
            members.setdefault(self.questions[row], []).append(row)
        groups = [
            indices[start : start + self.pairs_per_group]
            for indices in members.values()
            for start in range(0, len(indices), self.pairs_per_group)
        ]
        for number in torch.randperm(len(groups), generator=generator).tolist():
            yield from groups[number]
