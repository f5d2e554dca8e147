"""Renames and splits the tensors of an original InternVL chat checkpoint, one shard in memory at a time.

The whole plan is checked (each source tensor used once, each target tensor made once, every shape) before a byte is
written.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import InternVLConfig, InternVLForConditionalGeneration

from mixpo.convert.config import read_json_object
from mixpo.convert.names import HEADS, Split, split_for, target_names
from mixpo.errors import DataError, UserError
from mixpo.models.weight_files import INDEX, WEIGHTS, open_weights
from mixpo.text_files import write_text

SHARD_BYTES = 4 * 2**30
DTYPES = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}


@dataclass(frozen=True)
class Stored:
    """A tensor of the source checkpoint, not loaded."""

    name: str
    file: Path
    shape: tuple[int, ...]
    dtype: torch.dtype


@dataclass(frozen=True)
class Move:
    """One source tensor and the target tensors it becomes."""

    stored: Stored
    targets: tuple[str, ...]
    split: Split

    @property
    def nbytes(self) -> int:
        return torch.Size(self.stored.shape).numel() * self.stored.dtype.itemsize


def stored_tensors(source: Path) -> list[Stored]:
    """All tensors of a checkpoint in the order of its files, from the headers alone. Raises DataError."""
    tensors: dict[str, Stored] = {}
    for file in _weight_files(source):
        with _open(file) as weights:
            for name in weights.keys():  # noqa: SIM118 (not a dictionary)
                part = weights.get_slice(name)
                if part.get_dtype() not in DTYPES:
                    raise DataError(f"{file}: {name} is {part.get_dtype()}; only {', '.join(DTYPES)} are converted")
                if name in tensors:
                    raise DataError(f"{name} is in {tensors[name].file.name} and in {file.name}; download it again")
                tensors[name] = Stored(name, file, tuple(part.get_shape()), DTYPES[part.get_dtype()])
    return list(tensors.values())


def _weight_files(source: Path) -> list[Path]:
    if (source / INDEX).exists():
        names = read_json_object(source / INDEX).get("weight_map")
        if not isinstance(names, dict) or not all(Path(str(name)).name == name for name in names.values()):
            raise DataError(f"{source / INDEX} has no weight_map of file names; download it again")
        files = [source / name for name in sorted(set(names.values()))]
    else:
        files = [source / WEIGHTS]
    for file in files:
        if not file.is_file():
            raise DataError(f"{source} has no {file.name}; give a whole checkpoint with safetensors weights")
    return files


def _open(file: Path) -> Any:
    try:
        return open_weights(file)
    except ValueError as error:
        raise DataError(f"{file.parent}/{error}; download it again") from error


def plan_moves(tensors: list[Stored], config: InternVLConfig, internlm2: bool) -> list[Move]:
    """What becomes of every source tensor.

    Raises DataError naming the first tensor that is left over, missing, made twice, or of another shape than the
    configuration says.
    """
    moves = [_move(stored, config, internlm2) for stored in tensors]
    with torch.device("meta"):
        model = InternVLForConditionalGeneration(config)
        wanted = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
        if config.tie_word_embeddings:
            del wanted["lm_head.weight"]
        made: set[str] = set()
        for move in moves:
            for name, shape in _made_shapes(move):
                if name not in wanted:
                    raise DataError(f"{move.stored.file}: {move.stored.name} is left over, the model has no {name}")
                if name in made:
                    raise DataError(f"{move.stored.file}: {move.stored.name} makes {name} a second time")
                if shape != wanted[name]:
                    raise DataError(
                        f"{move.stored.file}: {move.stored.name} gives {name} the shape {shape}, "
                        f"config.json says {wanted[name]}"
                    )
                made.add(name)
    missing = [name for name in wanted if name not in made]
    if missing:
        raise DataError(
            f"{missing[0]} has no source: {len(missing)} weights are missing; download the checkpoint again"
        )
    return moves


def _made_shapes(move: Move) -> Iterator[tuple[str, tuple[int, ...]]]:
    try:
        parts = move.split(torch.empty(move.stored.shape))
    except RuntimeError as error:
        raise DataError(
            f"{move.stored.file}: {move.stored.name} of shape {move.stored.shape} does not fit config.json"
        ) from error
    yield from zip(move.targets, (tuple(part.shape) for part in parts), strict=True)


def _move(stored: Stored, config: InternVLConfig, internlm2: bool) -> Move:
    targets = target_names(stored.name, internlm2)
    if not targets:
        raise DataError(f"{stored.file}: {stored.name} is left over, nothing in the model corresponds to it")
    text = config.text_config
    return Move(stored, targets, split_for(stored.name, text.num_attention_heads, text.num_key_value_heads))


def write_weights(moves: list[Move], folder: Path, shard_bytes: int = SHARD_BYTES) -> None:
    """Writes `model.safetensors`, or shards of at most `shard_bytes` (one tensor at least) with their index."""
    shards = _shards(moves, shard_bytes)
    weight_map: dict[str, str] = {}
    for number, shard in enumerate(shards, 1):
        name = WEIGHTS if len(shards) == 1 else f"model-{number:05d}-of-{len(shards):05d}.safetensors"
        _write_shard(shard, folder / name)
        weight_map |= {target: name for move in shard for target in move.targets}
    if len(shards) > 1:
        total = sum(move.nbytes for move in moves)
        index = {"metadata": {"total_size": total}, "weight_map": dict(sorted(weight_map.items()))}
        write_text(folder / INDEX, json.dumps(index, indent=2) + "\n")


def _write_shard(shard: list[Move], path: Path) -> None:
    """A function of its own: its tensors are gone before those of the next shard are read."""
    from safetensors.torch import save_file

    save_file(dict(_load(shard)), path, metadata={"format": "pt"})


def _shards(moves: list[Move], shard_bytes: int) -> list[list[Move]]:
    shards: list[list[Move]] = []
    room = 0
    for move in moves:
        if move.nbytes > room or not shards:
            shards.append([])
            room = shard_bytes
        shards[-1].append(move)
        room -= move.nbytes
    return shards


def _load(moves: list[Move]) -> Iterator[tuple[str, Tensor]]:
    for file in dict.fromkeys(move.stored.file for move in moves):
        with _open(file) as weights:
            for move in moves:
                if move.stored.file == file:
                    for name, part in zip(move.targets, move.split(weights.get_tensor(move.stored.name)), strict=True):
                        # A copy of its own: safetensors refuses tensors that share memory.
                        yield name, part.clone(memory_format=torch.contiguous_format)


def has_own_head(tensors: list[Stored]) -> bool:
    """Whether the checkpoint stores an output head; one that equals the embeddings is then kept as it stands."""
    return any(stored.name in HEADS for stored in tensors)


def main_dtype(tensors: list[Stored]) -> str:
    """The dtype that most numbers are stored in, by transformers' name ("bfloat16")."""
    counts: dict[torch.dtype, int] = {}
    for stored in tensors:
        counts[stored.dtype] = counts.get(stored.dtype, 0) + torch.Size(stored.shape).numel()
    if not counts:
        raise UserError("the checkpoint holds no weights; download it again")
    return str(max(counts, key=lambda dtype: counts[dtype])).removeprefix("torch.")
