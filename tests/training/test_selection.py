"""Which records are trained on."""

from dataclasses import dataclass

from mixpo.training.selection import at_most, split_held_out


@dataclass
class Record:
    question_id: str


RECORDS = [Record(f"q{number // 3}") for number in range(3000)]


def test_at_most_keeps_the_order_and_depends_on_the_seed():
    drawn = at_most(RECORDS, 50, 0)
    assert len(drawn) == 50
    numbers = [RECORDS.index(record) for record in drawn]
    assert numbers == sorted(numbers)
    assert at_most(RECORDS, 50, 0) == drawn != at_most(RECORDS, 50, 1)
    assert at_most(RECORDS, None, 0) == at_most(RECORDS, 5000, 0) == RECORDS


def test_held_out_questions_share_no_pair_with_the_others():
    kept, held_out = split_held_out(RECORDS, 0.1)
    assert len(kept) + len(held_out) == 3000
    assert not {record.question_id for record in kept} & {record.question_id for record in held_out}
    assert 60 < len({record.question_id for record in held_out}) < 140
    assert split_held_out(RECORDS, 0.0) == (RECORDS, [])
