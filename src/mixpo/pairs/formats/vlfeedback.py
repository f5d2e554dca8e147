"""VLFeedback (arXiv 2410.09421): several models' responses to one question of one image, rated by GPT-4V.

{"id", "prompt", "img_path" or "image", "completions": {"model": […], "response": […], "annotations": [
    {"Helpfulness": {"Rating": "5", "Rationale": …}, "Ethical Considerations": …, "Visual Faithfulness": …}, …]}}

or `completions` as a list of {"model", "response", "annotations"}. Each two of a row's responses make a pair, as in the
authors' own training (vlf-silkie, run_dpo.py): the one whose mean rating over all aspects is higher is chosen; equal
ones, and those with a rating that is no number, make none. It is read only: our pairs have no ratings.
"""

import math
from collections.abc import Iterator, Mapping
from itertools import combinations
from typing import Any

from mixpo.conversations import Conversation
from mixpo.errors import BadRow
from mixpo.pairs.formats.row import ONE_QUESTION, Content, Left, refuse_beside
from mixpo.pictures import images_in
from mixpo.records import DropReason
from mixpo.values import parsed, short


def contents(row: Mapping[str, Any]) -> Iterator[Content | BadRow]:
    """The pairs of a row. Raises BadRow or Unsupported."""
    if not isinstance(row.get("prompt"), str):
        raise BadRow(f"prompt must be text, not {short(row.get('prompt'))}")
    refuse_beside(row, ONE_QUESTION)
    asked = Conversation(text=row["prompt"].strip())
    responses = _responses(row.get("completions"))
    scores = [_score(response.get("annotations")) for response in responses]
    ties = unrated = 0
    for first, second in combinations(range(len(responses)), 2):
        one, other = scores[first], scores[second]
        if one is None or other is None:
            unrated += 1
        elif one == other:
            ties += 1
        else:
            good, bad = (first, second) if one > other else (second, first)
            yield Content(
                asked=asked, chosen=responses[good].get("response"), rejected=responses[bad].get("response"),
                images=images_in(row, ("image", "img_path")), after="\n", part=f"/{good}>{bad}",
            )  # fmt: skip
    if ties:
        yield Left(DropReason.UNDECIDED, "two responses are rated the same", ties, "/tied")
    if unrated:
        yield Left(DropReason.UNDECIDED, "a rating is missing or no number", unrated, "/unrated")
    if len(responses) < 2:
        raise BadRow(f"completions holds {len(responses)} responses; a pair needs two")


def _responses(given: Any) -> list[Mapping[str, Any]]:
    """The completions one by one, from a list of mappings or, as tables have it, a mapping of lists."""
    found = parsed(given)
    if isinstance(found, Mapping):
        columns = {str(name): values for name, values in found.items() if isinstance(values, list)}
        if len({len(values) for values in columns.values()}) > 1:
            raise BadRow(f"the lists of completions are of different lengths: {short(found)}")
        found = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
    if not isinstance(found, list) or not all(isinstance(each, Mapping) for each in found):
        raise BadRow(f"completions must be a list of responses with their ratings, not {short(given)}")
    return found


def _score(annotations: Any) -> float | None:
    """The mean rating over all aspects; None where one is missing or no number."""
    found = parsed(annotations)
    if not isinstance(found, Mapping) or not found:
        return None
    try:
        ratings = [float(aspect["Rating"]) for aspect in found.values() if aspect is not None]
    except (TypeError, KeyError, ValueError):
        return None
    return sum(ratings) / len(ratings) if ratings and all(map(math.isfinite, ratings)) else None
