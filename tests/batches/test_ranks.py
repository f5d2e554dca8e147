from accelerate.data_loader import BatchSamplerShard
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.data import BatchSampler

from mixpo.batches.ranks import RankShare


def test_by_hand():
    """Seven rows in batches of two for two ranks: rank 1 gets 2, 3, then 6 and a row from the start."""
    share = RankShare(rows=7, batch=2, ranks=2, rank=1)
    assert share.own([[2, 3], [6, 0]], first=0) == [[2, 3], [6]]
    assert share.own([[6, 0]], first=1) == [[6]]
    assert RankShare(rows=2, batch=2, ranks=2, rank=1).own([[0, 1]], first=0) == [[]]


def test_first_batch_of_a_step():
    """50 rows, 2 ranks, batches of 4: 7 rounds, so 3 steps of 3, 3 and 1 rounds an epoch."""
    share = RankShare(rows=50, batch=4, ranks=2, rank=0)
    assert [share.first_batch(step, accumulation=3) for step in range(7)] == [0, 3, 6, 0, 3, 6, 0]


@given(st.integers(1, 40), st.integers(1, 5), st.integers(1, 4))
def test_every_row_is_owned_once_as_accelerate_deals_them(rows, batch, ranks):
    sampler = BatchSampler(range(rows), batch, drop_last=False)
    owned = []
    counts = set()
    for rank in range(ranks):
        dealt = list(BatchSamplerShard(sampler, ranks, rank))
        counts.add(len(dealt))
        owned += [row for own in RankShare(rows, batch, ranks, rank).own(dealt, first=0) for row in own]
    assert sorted(owned) == list(range(rows))
    assert len(counts) == 1
