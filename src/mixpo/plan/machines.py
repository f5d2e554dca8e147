"""What trains: so many cards of a kind, this machine's GPUs, or its CPU.

StepMemory and peaks from the makers' data sheets, dense (without sparsity):
https://www.nvidia.com/en-us/data-center/ followed by h100, h200, hgx (B200), gb200-nvl72, a100, a40, products/a10-gpu,
l40s, l40, l4; RTX cards: the architectures' white papers (Ampere GA102, Ada, Blackwell), bfloat16 adding up in float32;
https://www.amd.com/en/products/accelerators/instinct/ followed by mi300/mi300x.html, mi300/mi325x.html,
mi350/mi355x.html. A10G: https://aws.amazon.com/ec2/instance-types/g5/.
"""

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass

import torch

from mixpo.errors import UserError
from mixpo.models.cpu_products import product
from mixpo.validation import closest

EFFICIENCY = 0.4
"""Of a GPU's peak; an assumption."""
CPU_EFFICIENCY = 0.6
"""Of the faster one of torch's own products and oneDNN's, which training takes; an assumption."""
CONTEXT = 1.5 * 2**30
"""Bytes of a GPU that CUDA, cuDNN and NCCL take before the allocator gets any."""


@dataclass(frozen=True)
class Gpu:
    """In GB, and in TFLOP/s of products in bfloat16, in TF32 and in float32."""

    memory: float
    bf16: float
    tf32: float
    float32: float


CARDS = {
    "h100": Gpu(80, 989, 494, 67), "h100-pcie": Gpu(80, 756, 378, 51), "h100-nvl": Gpu(94, 835, 417, 60),
    "h200": Gpu(141, 989, 494, 67), "b200": Gpu(180, 2250, 1125, 75), "gb200": Gpu(186, 2500, 1250, 80),
    "a100": Gpu(80, 312, 156, 19.5), "a100-40gb": Gpu(40, 312, 156, 19.5), "a40": Gpu(48, 149.7, 74.8, 37.4),
    "a10": Gpu(24, 125, 62.5, 31.2), "a10g": Gpu(24, 70, 35, 31.5), "a6000": Gpu(48, 154.8, 77.4, 38.7),
    "rtx6000ada": Gpu(48, 364.2, 182.1, 91.1), "l40s": Gpu(48, 362, 183, 91.6), "l40": Gpu(48, 181, 90.5, 90.5),
    "l4": Gpu(24, 121, 60, 30.3), "rtx3090": Gpu(24, 71, 35.6, 35.6), "rtx4090": Gpu(24, 165.2, 82.6, 82.6),
    "rtx5090": Gpu(32, 209.5, 104.8, 104.8), "mi300x": Gpu(192, 1307, 653.7, 163.4),
    "mi325x": Gpu(256, 1307, 653.7, 163.4), "mi355x": Gpu(288, 2500, 157, 157),
}  # fmt: skip
ALIASES = {
    "4090": "rtx4090", "3090": "rtx3090", "5090": "rtx5090", "rtxa6000": "a6000", "a100pcie": "a100",
}  # fmt: skip
NOISE = re.compile(r"nvidia|geforce|amd|instinct|tesla|quadro|generation|gpu|sxm\d?|hbm\d?e?|[^a-z0-9]")
MEMORY = re.compile(r"\b(\d+)\s*gb?\b")
SPELLINGS = (
    r"(?P<card>.+)",
    r"(?P<count>\d+)\s*[x×*:-]?\s*(?P<card>\D.*|\S+\d{3}.*)",
    r"(?P<card>.+?)\s*[x×*:,\s-]\s*(?P<count>\d+)",
)
"""A card, `8xh100` (8 x h100, 8h100, 2x4090 …), `h100:8` (h100 x 8, h100-8 …): the first that names a known card."""


@dataclass(frozen=True)
class Machine:
    """What trains. `efficiency` is an assumption: the share of the peak that a training step reaches."""

    name: str
    devices: int
    peaks: dict[str, float]
    """FLOP/s of one device, dense, by the precision of its products: bf16, tf32, float32; empty where unknown."""
    memory: float | None
    """Bytes of one device that a training can have; None: a CPU's, which it shares with all else."""
    efficiency: float = EFFICIENCY

    def peak(self, precision: str) -> float | None:
        """In float16 as in bfloat16."""
        return self.peaks.get("bf16" if precision == "fp16" else precision)


def machine_named(name: str) -> Machine:
    """`8xh100`, `rtx4090`, `cpu`, or nothing: this machine, with its GPUs if it has any.

    A CPU is measured: matrix products of this process in float32, for 1 s. Raises UserError for an unknown name.
    """
    if not name.strip():
        return this_gpu() or this_cpu()
    if name.strip().lower() == "cpu":
        return this_cpu()
    for count, key in _read(name.strip().lower()):
        if key is not None and count > 0:
            return Machine(f"{count} x {key}", count, _peaks(key), CARDS[key].memory * 1e9)
    words = [*re.findall(r"[a-z]+\d+\w*", name.lower()), name]
    near = next(filter(None, (closest(word, list(CARDS)) for word in words)), "")
    raise UserError(
        f"no machine is called {name!r}{near and f' ({near})'}; write how many of which card, 8xh100: "
        f"{', '.join(CARDS)}; or cpu (`mixpo plan --machine list` prints the cards)"
    )


def _read(name: str) -> Iterator[tuple[int, str | None]]:
    """What a name may mean: how many, and the card."""
    for spelling in SPELLINGS:
        if found := re.fullmatch(spelling, name):
            parts = found.groupdict(default="1")
            yield int(parts.get("count", "1")), card_named(parts["card"])


def cards() -> str:
    """A table of all cards that are known."""
    lines = [f"{'card':<12} {'GB':>5} {'bfloat16':>9} {'TF32':>7} {'float32':>8}   TFLOP/s, dense"]
    for name, card in CARDS.items():
        lines.append(f"{name:<12} {card.memory:>5g} {card.bf16:>9g} {card.tf32:>7g} {card.float32:>8g}")
    return "\n".join([*lines, "", "so many of one: 8xh100; cpu: this machine's processor, measured"])


def card_named(name: str) -> str | None:
    """The card of a name as people or drivers write it ("NVIDIA H100 80GB HBM3"); None for an unknown one."""
    name = name.lower().replace("_", "-")
    memory = MEMORY.search(name)
    known = {NOISE.sub("", key): key for key in CARDS}
    plain = NOISE.sub("", MEMORY.sub("", name))
    for one in (plain, plain.removesuffix("s")):
        key = known.get(one) or known.get(ALIASES.get(one, one))
        if key and memory is not None:
            key = next(
                (k for k in (f"{key}-{memory[1]}gb", key) if k in CARDS and CARDS[k].memory == int(memory[1])), None
            )
        if key:
            return key
    return None


def _peaks(key: str) -> dict[str, float]:
    card = CARDS[key]
    return {"bf16": card.bf16 * 1e12, "tf32": card.tf32 * 1e12, "float32": card.float32 * 1e12}


def this_gpu(devices: int | None = None) -> Machine | None:
    """This machine's GPUs, all of them unless it is said how many take part; None without any."""
    if not torch.cuda.is_available():
        return None
    found = torch.cuda.get_device_properties(torch.cuda.current_device())
    count = torch.cuda.device_count() if devices is None else devices
    key = card_named(found.name)
    return Machine(f"{count} x {found.name}", count, _peaks(key) if key else {}, found.total_memory - CONTEXT)


def this_cpu() -> Machine:
    size = 512
    left, right = torch.randn(size, size), torch.randn(size, size)
    seconds: list[float] = []
    while sum(seconds) < 1 or len(seconds) < 20:
        start = time.perf_counter()
        product(left, right)
        seconds.append(time.perf_counter() - start)
    return Machine("cpu", 1, {"float32": 2 * size**3 / min(seconds)}, None, CPU_EFFICIENCY)
