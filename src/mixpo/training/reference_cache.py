"""The reference's log-probabilities on disk: computed once, used in every epoch, for every objective, after a kill.

A folder holds `cache.json` (what they were computed with) and one `logps-<rank>.bin` a process: records of 12 bytes,
the digest of a completion with its prompt and images (8) and its log-probability (float32). A record is written whole
or, after a kill, cut off at the end of the file and dropped when the cache is opened again. Once a process has had all
of its rows, `complete-<rank>-of-<n>.json` says so, and how its file begins: one that differs is deleted and made again.
"""

import hashlib
import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate.utils import broadcast_object_list
from torch import Tensor
from torch.utils.data import ConcatDataset

from mixpo import notes
from mixpo.batches.layout import Batch
from mixpo.errors import DataError, UserError
from mixpo.model_inputs import AS_IS
from mixpo.models.picture_limits import limits_of
from mixpo.progress import say, track
from mixpo.removing import refuse_link
from mixpo.text_files import appended, damaged, opened, read_json, sync, write_text, writing
from mixpo.training.sharding import Sharding

RECORD = np.dtype([("key", "<u8"), ("logps", "<f4")])


class ReferenceCache:
    """A `Reference` that looks up what was computed before."""

    def __init__(self, folder: Path, made_with: dict[str, str], rank: int = 0):
        """Opens or begins the cache. Raises UserError when it was made with something else, and says with what.

        `made_with` names what the log-probabilities follow from: weights, processor, template, precision.
        """
        self.folder = folder
        self.rank = rank
        self.path = folder / f"logps-{rank}.bin"
        about = folder / "cache.json"
        before = notes.read(about, dict[str, Any])
        changed = [name for name in made_with if before is not None and before.get(name) != made_with[name]]
        if changed:
            raise UserError(
                f"the cached reference log-probabilities in {folder} were computed with another "
                f"{' and '.join(changed)}; delete the folder or name another one"
            )
        with writing(folder):
            folder.mkdir(parents=True, exist_ok=True)
        if before is None and rank == 0:  # two processes would write it under the same name for the moment
            write_text(about, json.dumps(made_with, indent=1))
        refuse_link(self.path)
        torn = self.path.stat().st_size % RECORD.itemsize if self.path.exists() else 0
        if torn:
            os.truncate(self.path, self.path.stat().st_size - torn)
        self.load()

    def load(self) -> None:
        """Reads what all processes have written."""
        parts = [_records(path) for path in sorted(self.folder.glob("logps-*.bin"))]
        records = np.concatenate([np.empty(0, RECORD), *parts])
        _, first = np.unique(records["key"], return_index=True)
        self._keys, self._logps = records["key"][first], records["logps"][first]

    def __len__(self) -> int:
        return len(self._keys)

    def has(self, batch: Batch) -> bool:
        wanted = np.array(batch.keys, dtype=np.uint64)[batch.scored]
        return bool(np.isin(wanted, self._keys).all())

    def append(self, batch: Batch, logps: Tensor) -> None:
        """Writes the completions' log-probabilities, (C,); `load` makes them known."""
        scored = batch.scored
        records = np.empty(len(scored), RECORD)
        records["key"] = np.array(batch.keys, dtype=np.uint64)[scored]
        records["logps"] = logps.float().cpu().numpy()[scored]
        with writing(self.path), appended(self.path) as file:
            file.write(records.tobytes())

    def place(self, sharding: Sharding) -> None:
        """Nothing of it is on a device."""

    def __call__(self, batch: Batch, chunk: int) -> Tensor:
        wanted = np.array(batch.keys, dtype=np.uint64)
        places = np.searchsorted(self._keys, wanted).clip(max=max(len(self._keys) - 1, 0))
        scored = batch.scored
        if len(scored) and (not len(self._keys) or (self._keys[places] != wanted)[scored].any()):
            raise DataError(
                f"a pair is missing from the cached reference log-probabilities in {self.folder}: the training set has "
                "changed; delete the folder or name another one"
            )
        return torch.from_numpy(self._logps[places]).to(batch.targets.device)


class Scorer:
    """Scores rows for a cache with a reference that is there now, as the trainer lays them out.

    Processes that share the weights compute together (`together`): equally many batches, with an example that does not
    count where one has no more rows.
    """

    def __init__(self, trainer: Any, reference: Any):
        self.trainer = trainer
        self.reference = reference
        self.size = trainer.args.per_device_train_batch_size
        self.processes = trainer.args.world_size
        self.together = trainer.sharding.weights

    def any(self, here: bool) -> bool:
        """Whether it is so here, or on any process that computes together with this one."""
        return bool(self.trainer.processes.most(int(here))) if self.together else here

    def batches(self, rows: list[Any]) -> list[Batch]:
        """The rows by forward pass."""
        trainer = self.trainer
        examples = [trainer.continuation(example) for example in trainer.collator(rows)]
        if self.together:
            trainer.processes.meet(examples)
            examples = trainer.processes.with_vision(examples)
        # Processes that have other rows and do not compute together cannot agree on a layout.
        if self.together or self.processes == 1:
            trainer.choose_layout(examples, self.any(any(example.image_inputs for example in examples)))
        return [trainer._prepare_inputs(row) for row in trainer.processes.rows(examples, None, self.together)]

    def logps(self, batch: Batch) -> Tensor:
        return self.reference(batch, self.trainer.args.score_chunk)


def _records(path: Path) -> Any:
    try:
        with opened(path) as file:
            return np.fromfile(file, RECORD)
    except OSError as error:
        raise damaged(path, error) from error


def fill(cache: ReferenceCache, datasets: Sequence[Any], scorer: Scorer) -> None:
    """Computes what the cache does not have yet, each process its share of the rows.

    A data set is known again by its length and fingerprint (`datasets.Dataset` has one): it is then not read at all.
    """
    parts = [dataset for one in datasets for dataset in _sized(one)]
    rows: Any = ConcatDataset(parts)
    data = [[len(part), str(getattr(part, "_fingerprint", ""))] for part in parts]
    done = cache.folder / f"complete-{cache.rank}-of-{scorer.processes}.json"
    if not scorer.any((read_json(done) or {}).get("data") != data):
        return
    mine = range(cache.rank, len(rows), scorer.processes)
    first = range(0 if scorer.together else cache.rank, len(rows), scorer.processes)  # no process has more rows
    starts = range(0, len(first), scorer.size)
    for start in track(starts, "reference", len(starts)):
        for batch in scorer.batches([rows[index] for index in mine[start : start + scorer.size]]):
            if scorer.any(not cache.has(batch)):
                cache.append(batch, scorer.logps(batch))
    cache.path.touch()  # all of its rows may be another's, too
    with writing(cache.path):
        sync(cache.path)
    size = cache.path.stat().st_size
    write_text(done, json.dumps({"data": data, "bytes": size, "sha256": _beginning(cache.path, size)}))


def drop_damaged(folder: Path) -> None:
    """Before a cache is opened: deletes files that are not what was written, and says so; they are made again."""
    complete = {path: _told(path) for path in sorted(folder.glob("complete-*-of-*.json"))}
    parts = sorted(folder.glob("logps-*.bin"))
    damaged = [path for path, told in complete.items() if not told]
    if not _told(folder / "cache.json"):  # it is not known what they were computed with
        damaged += [*parts, *filter(Path.exists, [folder / "cache.json"])]
    for path, told in complete.items():
        part = folder / f"logps-{path.name.split('-')[1]}.bin"
        if told and "sha256" in told and told["sha256"] != _beginning(part, told.get("bytes")):
            damaged.append(part)
    if not damaged:
        return
    say(f"note: {', '.join(path.name for path in dict.fromkeys(damaged))} in {folder} is damaged; it is computed again")
    # Whoever had all rows may have found them in a file that goes. What tells that a file is damaged goes after it.
    for path in sorted({*damaged, *complete}, key=lambda path: path.suffix != ".bin"):
        path.unlink(missing_ok=True)


def _told(path: Path) -> dict[str, Any]:
    """Empty for what is missing or no JSON object."""
    try:
        told = read_json(path)
    except DataError:
        return {}
    return told if isinstance(told, dict) else {}


def _beginning(path: Path, size: Any) -> str | None:
    """SHA-256 of a file's first bytes; None where there are fewer."""
    content = path.read_bytes()[:size] if path.is_file() and isinstance(size, int) else b""
    return hashlib.sha256(content).hexdigest() if len(content) == size else None


def cached(trainer: Any, live: Any, made: dict[str, str]) -> ReferenceCache:
    """The live reference's log-probabilities of all rows, computed now as far as they are not on disk yet."""
    args = trainer.args
    if args.should_save:
        drop_damaged(Path(args.reference_cache))
    trainer.accelerator.wait_for_everyone()
    cache = ReferenceCache(Path(args.reference_cache), made, args.process_index)
    fill(cache, [trainer.train_dataset, trainer.eval_dataset], Scorer(trainer, live))
    trainer.accelerator.wait_for_everyone()
    cache.load()
    return cache


def _sized(dataset: Any) -> list[Any]:
    """A data set, or several by name (for evaluation), as a list. Raises UserError for one without a length."""
    found = [] if dataset is None else list(dataset.values()) if isinstance(dataset, dict) else [dataset]
    if any(not hasattr(one, "__len__") for one in found):
        raise UserError("reference_cache needs data sets with a length; load the stream into a data set first")
    return found


def made_with(model: Any, processor: Any, sharding: Sharding) -> dict[str, str]:
    """Digests of what the reference's log-probabilities follow from; `model` is not prepared yet.

    With an engine the first process says it: others may have loaded no weights, or a share of them.
    """
    weights = weights_digest(model, sharding.gathered)
    tokenizer = getattr(processor, "tokenizer", processor)
    images = getattr(processor, "image_processor", None)
    backend = getattr(tokenizer, "backend_tokenizer", None)
    described = [
        backend.to_str() if backend is not None else json.dumps(tokenizer.get_vocab(), sort_keys=True),
        images.to_json_string() if images is not None else "",
    ]
    if (before := limits_of(processor).before) != AS_IS.images:
        described.append(str(before))
    return {
        "weights": broadcast_object_list([weights])[0] if sharding.engine else weights,
        "processor": _digest(described),
        "template": _digest([str(getattr(processor, "chat_template", None))]),
        "precision": sharding.precision,
    }


def weights_digest(model: Any, gathered: Callable[[Tensor], Tensor]) -> str:
    """Of every parameter and buffer in the checkpoint but a new adapter's, which changes nothing yet; each is
    `gathered` when its turn comes."""
    digest = hashlib.blake2b(digest_size=16)
    adapted = hasattr(model, "peft_config")
    weights = {}
    for name, tensor in model.state_dict(keep_vars=True).items():
        if adapted and model.base_model.prefix in name:
            continue
        # peft wraps the layers that it adapts.
        weights[name.removeprefix("base_model.model.").replace(".base_layer.", ".") if adapted else name] = tensor
    for name, weight in sorted(weights.items(), key=lambda item: item[0]):
        whole: Any = gathered(weight)
        digest.update(f"{name} {whole.dtype} {tuple(whole.shape)}".encode())
        digest.update(whole.cpu().contiguous().view(-1).view(torch.uint8).numpy())
    return digest.hexdigest()


def _digest(texts: Sequence[str]) -> str:
    return hashlib.blake2b("\0".join(texts).encode(), digest_size=16).hexdigest()
