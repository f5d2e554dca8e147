"""Drawing tokens: the noise, the candidates, the frequencies."""

import math

import pytest
import torch

from mixpo.responses.backend import SamplingParams
from mixpo.responses.backends.embedded.draw import candidates, gumbel, mix, noise_key, sampler

LOGITS = torch.tensor([[2.0, 1.0, 0.0, -1.0, -30.0]])


def draws(params: SamplingParams, count: int, logits: torch.Tensor = LOGITS) -> torch.Tensor:
    """Frequencies of each token over `count` samples of one request, at position 3."""
    keys = torch.tensor([noise_key(0, "scenes-17", sample) for sample in range(count)])
    tokens = sampler(params)(logits.expand(count, -1), keys, torch.full((count,), 3))
    return torch.bincount(tokens, minlength=logits.shape[1])


def test_mix_is_splitmix64():
    """The first outputs of SplitMix64 from seed 0 (counter k * 0x9E3779B97F4A7C15), as published by its authors."""
    golden = 0x9E3779B97F4A7C15 - 2**64
    published = [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F]
    numbers = mix(torch.tensor([1, 2, 3]) * golden)
    assert [number % 2**64 for number in numbers.tolist()] == published


def test_gumbel_has_mean_and_variance_of_the_distribution():
    """Mean 0.5772 (Euler's constant), variance pi^2 / 6 = 1.6449; 200,000 draws: standard errors 0.003 and 0.01."""
    noise = gumbel(torch.arange(200), torch.zeros(200, dtype=torch.long), torch.arange(1000).expand(200, -1))
    assert noise.mean().item() == pytest.approx(0.5772, abs=0.012)
    assert noise.var().item() == pytest.approx(math.pi**2 / 6, abs=0.04)


def test_noise_differs_by_each_part_of_its_key():
    base = noise_key(0, "a", 1)
    assert len({base, noise_key(1, "a", 1), noise_key(0, "b", 1), noise_key(0, "a", 2), noise_key(1, "0/a", 1)}) == 5
    tokens = torch.arange(4)[None]
    one = gumbel(torch.tensor([base]), torch.tensor([0]), tokens)
    assert not torch.equal(one, gumbel(torch.tensor([base]), torch.tensor([1]), tokens))
    assert len(one.unique()) == 4


def test_noise_does_not_depend_on_the_batch():
    keys, positions, tokens = torch.arange(6) * 977, torch.arange(6), torch.arange(30).view(6, 5)
    whole = gumbel(keys, positions, tokens)
    order = torch.tensor([4, 0, 5])
    assert torch.equal(gumbel(keys[order], positions[order], tokens[order]), whole[order])


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        (SamplingParams(temperature=1, top_k=0), [0.6439, 0.2369, 0.0871, 0.0321, 0.0]),
        # exp(2 / 0.5) : exp(1 / 0.5) : 1 : exp(-2) = 54.6 : 7.39 : 1 : 0.135
        (SamplingParams(temperature=0.5, top_k=0), [0.8650, 0.1171, 0.0158, 0.0021, 0.0]),
        # e : 1, the rest cut
        (SamplingParams(temperature=1, top_k=2), [0.7311, 0.2689, 0.0, 0.0, 0.0]),
        # 0.6439 < 0.7 <= 0.6439 + 0.2369: two tokens reach the mass
        (SamplingParams(temperature=1, top_k=0, top_p=0.7), [0.7311, 0.2689, 0.0, 0.0, 0.0]),
        (SamplingParams(temperature=1, top_k=0, top_p=0.6), [1.0, 0.0, 0.0, 0.0, 0.0]),
        (SamplingParams(temperature=0), [1.0, 0.0, 0.0, 0.0, 0.0]),
    ],
)
def test_frequencies(params, expected):
    """Chi-squared over the tokens that can come: below 16.3, the 0.999 quantile for 3 degrees of freedom."""
    count = 20_000
    found = draws(params, count)
    assert all(found[token] == 0 for token, share in enumerate(expected) if share == 0)
    chi_squared = sum((found[t].item() - count * p) ** 2 / (count * p) for t, p in enumerate(expected) if p)
    assert chi_squared < 16.3


def test_top_k_larger_than_the_vocabulary_keeps_all():
    values, tokens = candidates(LOGITS, SamplingParams(temperature=1, top_k=50))
    assert values.tolist() == LOGITS.tolist()
    assert tokens.tolist() == [[0, 1, 2, 3, 4]]
