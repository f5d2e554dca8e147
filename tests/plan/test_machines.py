"""Names of machines, as people write them."""

import pytest

from mixpo.errors import UserError
from mixpo.plan.machines import CARDS, card_named, cards, machine_named

EIGHT = ("8h100", "8 H100s", "h100:8", "h100x8", "h100 x 8", "H100 *8", "8-h100", "h100-8", "8xH100(80GB)",
         "8 x NVIDIA H100 80GB HBM3", "8xH100_80GB", "8x H100-SXM5-80g")  # fmt: skip


@pytest.mark.parametrize(
    ("name", "devices", "memory", "bf16"),
    [
        ("8xh100", 8, 80e9, 989e12),
        ("64xa100", 64, 80e9, 312e12),
        (" 8 x H100 ", 8, 80e9, 989e12),
        ("2xA100-40GB", 2, 40e9, 312e12),
        ("rtx4090", 1, 24e9, 165.2e12),
        ("4090", 1, 24e9, 165.2e12),
        ("8xl40s", 8, 48e9, 362e12),
        ("b200", 1, 180e9, 2250e12),
        ("mi300x", 1, 192e9, 1307e12),
        ("1xh100", 1, 80e9, 989e12),
        ("4 h200", 4, 141e9, 989e12),
        *((name, 8, 80e9, 989e12) for name in EIGHT),
        *((name, 2, 24e9, 165.2e12) for name in ("2x4090", "2 x RTX 4090", "4090x2", "2×rtx4090 24GB", "rtx 4090 : 2")),
        ("8×a100-80gb", 8, 80e9, 312e12),
        ("A100 80GB", 1, 80e9, 312e12),
        ("A100 (40 GB)", 1, 40e9, 312e12),
        ("2xL40S", 2, 48e9, 362e12),
        ("4 L40", 4, 48e9, 181e12),
    ],
)
def test_so_many_of_a_card(name, devices, memory, bf16):
    machine = machine_named(name)
    assert (machine.devices, machine.memory, machine.peak("bf16")) == (devices, memory, bf16)
    assert machine.peak("fp16") == bf16
    assert 0 < machine.peak("float32") <= machine.peak("tf32") < bf16


@pytest.mark.parametrize("name", ["NVIDIA H100 80GB HBM3", "NVIDIA GeForce RTX 4090", "NVIDIA A100-SXM4-40GB",
                                  "NVIDIA A100-SXM4-80GB", "NVIDIA L40S", "NVIDIA H100 PCIe"])  # fmt: skip
def test_cards_are_known_by_their_drivers_names(name):
    assert card_named(name) in CARDS
    assert ("40" in name) == ("40" in str(card_named(name)))


def test_every_card_is_found_by_its_own_name():
    assert [card_named(name) for name in CARDS] == list(CARDS)


@pytest.mark.parametrize("name", ["8xh1000", "tpu", "0xh100", "h100x0", "8", "a100 90GB", "4090 x"])
def test_an_unknown_card_says_the_known_ones(name):
    with pytest.raises(UserError, match=r"no machine is called .*; write .* 8xh100: h100, .*mi355x; or cpu"):
        machine_named(name)


def test_the_closest_card_is_named():
    with pytest.raises(UserError, match=r"'8xh1000' \(did you mean 'h100'\?\)"):
        machine_named("8xh1000")


def test_the_cards_are_a_table():
    head, *lines = cards().splitlines()
    assert "GB" in head
    assert [line.split()[0] for line in lines[: len(CARDS)]] == list(CARDS)
    assert "h100            80       989     494       67" in lines


def test_the_cpu_is_measured():
    machine = machine_named("CPU")
    assert (machine.name, machine.devices, machine.memory) == ("cpu", 1, None)
    assert machine.peak("float32") > 1e9
    assert machine.peak("bf16") is None
