"""What a section's content was decided by, kept beside it: a changed recipe redoes what changed, and nothing else.

`sections/<name>.json` of a run holds the values that decide (a config's `RUNTIME` fields do not: they say how it is
computed), digests of the sections that were read, and of the user's files.
"""

import dataclasses
import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mixpo.config import build, plain
from mixpo.errors import DataError, RecipeError
from mixpo.files import BASE_MODEL, RunFiles
from mixpo.json_lines import from_json
from mixpo.references import references, trained_by
from mixpo.text_files import damaged, parse_json, read_bytes, write_text

DATA = {".json", ".jsonl", ".gz", ".csv", ".tsv", ".parquet", ".arrow", ".xlsx"}
"""Files of a data folder whose content counts; its pictures are not read."""
PROBE = 1 << 20
"""Bytes at either end of a model's file that tell it from another model's; smaller files are read whole."""


@dataclass(frozen=True, kw_only=True)
class Fingerprint:
    """One section's."""

    step: str
    values: dict[str, Any]
    """The fields that decide the content, as plain values."""
    reads: dict[str, str] = field(default_factory=dict)
    """Field of a reference -> digest of the section that is read; empty: not known."""
    files: dict[str, dict[str, Any]] = field(default_factory=dict)
    """A user's file, as the recipe names it -> its `digest`, and the `stamps` (sizes, times) it had then."""
    finished: bool = False
    digest: str = ""

    def __post_init__(self) -> None:
        if not all(isinstance(file.get("digest"), str) and "stamps" in file for file in self.files.values()):
            raise ValueError("a file needs `digest` and `stamps`")
        if not self.digest:
            decided = [self.step, self.values, self.reads, {name: file["digest"] for name, file in self.files.items()}]
            digest = hashlib.blake2b(json.dumps(decided, sort_keys=True).encode(), digest_size=16)
            object.__setattr__(self, "digest", digest.hexdigest())


def fingerprint(step: str, config: Any, digests: Mapping[str, str], before: Fingerprint | None) -> Fingerprint:
    """The section's as it would be made now; `digests`: of the sections before it, by name.

    `before`, the one it has, saves reading the user's files that have not been touched since.
    """
    known = before.files if before else {}
    return Fingerprint(
        step=step,
        values=_own(config),
        reads={reference.field: digests.get(reference.section, "") for reference in references(vars(config))},
        files={name: _marked(path, probe, known.get(name)) for name, path, probe in _user_files(config)},
    )


def deciding(config: Any) -> dict[str, Any]:
    """The plain values of a config without those that decide nothing (`RUNTIME`, its `idle`), nested ones too."""
    runtime, found = (*getattr(config, "RUNTIME", ()), *getattr(config, "idle", ())), {}
    for item in dataclasses.fields(config):
        if item.name not in runtime:
            value = getattr(config, item.name)
            found[item.name] = deciding(value) if dataclasses.is_dataclass(value) else plain(value)
            if isinstance(found[item.name], dict):  # of `trainer: {…}` and `images: {…}`, some keys decide nothing
                found[item.name] = {k: v for k, v in found[item.name].items() if f"{item.name}.{k}" not in runtime}
    return found


def changes(before: Fingerprint, now: Fingerprint, config: Any) -> list[str]:
    """What of the section's own decides otherwise now, a few words each; what it reads is not looked at."""
    grows = getattr(config, "GROWS", ())
    found: list[str] = []
    for name, new in now.values.items():
        old = before.values.get(name, new)
        if name in grows:  # what was added is made; what was left out stays, and is remembered (`grown`)
            old, new = _named(old), _named(new)
            both = old.keys() & new.keys()
            old, new = {key: old[key] for key in both}, {key: new[key] for key in both}
        found += _differences(old, new, name)
    changed = [name for name, file in now.files.items() if file["digest"] != before.files.get(name, file)["digest"]]
    return found + [f"{name} has changed" for name in changed]


def grown(before: Fingerprint, now: Fingerprint, config: Any) -> tuple[Fingerprint, bool]:
    """`now` with what it leaves out of what may grow, which lies there still; and whether there is more than before."""
    values, more = dict(now.values), False
    for name in getattr(config, "GROWS", ()):
        old, new = _named(before.values.get(name, {})), _named(now.values[name])
        more = more or any(key not in old for key in new)
        listed = isinstance(now.values[name], list)
        values[name] = [*new.values(), *(old[key] for key in old if key not in new)] if listed else {**old, **new}
    reads = {**{field: digest for field, digest in before.reads.items() if "." in field}, **now.reads}
    return dataclasses.replace(now, values=values, reads=reads, files={**before.files, **now.files}), more


def _named(values: Any) -> dict[str, Any]:
    """What may grow, by name: a mapping as it is; of a list each text, and each mapping by its `name`."""
    if isinstance(values, dict):
        return values
    listed = values if isinstance(values, list) else [values]
    return {str(value.get("name", "") if isinstance(value, dict) else value): value for value in listed}


def _differences(old: Any, new: Any, where: str) -> Iterator[str]:
    if isinstance(old, dict) and isinstance(new, dict):
        for key in [*old, *(key for key in new if key not in old)]:
            yield from _differences(old.get(key), new.get(key), f"{where}.{key}")
    elif old != new and not (isinstance(new, list) and new == [old]):  # older versions took one text for the list
        yield f"{where} was {old!r} and is now {new!r}"


def load(name: str, config_type: type, files: RunFiles) -> Fingerprint | None:
    """The fingerprint that a section has; of a folder that an older version wrote, the one its recipe tells.

    Fields that it lacks are at their defaults. None: the section has not begun, or is on its way to `earlier/`.
    Raises DataError for a file that is damaged.
    """
    path = files.fingerprint(name)
    if os.path.lexists(path):
        saved = read(path)
        if saved is not None and not saved.finished and not any(map(_holds, set(files.of_section(name)) - {path})):
            return None  # it was refused at its start: what was wrong in its recipe can be mended
        return None if saved is None else dataclasses.replace(saved, values=_completed(saved.values, config_type))
    if not files.of_section(name):
        return None
    values = files.saved_recipe().get("steps", {}).get(name)
    if not isinstance(values, dict):
        return UNKNOWN
    finished = files.json(f"timings/{name}").exists()
    step = str(values.get("uses", name))
    return Fingerprint(step=step, values=_completed(values, config_type), finished=finished)


def _holds(path: Path) -> bool:
    """Whether there is anything in what a section has: it begins with files that are empty."""
    return any(one.stat().st_size for one in (path, *path.rglob("*")) if one.is_file())


def read(path: Path) -> Fingerprint | None:
    """The fingerprint in a file; None when its section is on its way to `earlier/`. Raises DataError."""
    try:
        text = read_bytes(path).decode()
        return None if moving(parse_json(text)) else from_json(Fingerprint, text)
    except (OSError, ValueError, TypeError) as error:
        raise _damaged(path, error) from error


def moved_to(path: Path) -> str:
    """`moving` of what a file holds. Raises DataError."""
    try:
        return moving(parse_json(read_bytes(path).decode()))
    except (OSError, ValueError) as error:
        raise _damaged(path, error) from error


def _damaged(path: Path, error: Exception) -> DataError:
    advice = f"delete the folder {path.parent}, then run again: "
    return damaged(path, error, f"{advice}what lies in the run is then compared with its recipe.yaml")


def moving(saved: Any) -> str:
    """The folder of `earlier/` that a section's results are on their way to; empty: they stay."""
    target = saved.get(MOVED) if isinstance(saved, dict) else None
    return target if isinstance(target, str) and OWN.fullmatch(target) else ""


OWN = re.compile(r"[\w-]+")
"""Names of sections, and of folders in `earlier/`: nothing else is moved, or moved to."""
UNKNOWN = Fingerprint(step="", values={}, finished=True)
"""Of results that neither a fingerprint nor a saved recipe tells of."""
MOVED = "moved to"
"""The key in a section's fingerprint that says where its results are on their way to (`mixpo.redo`)."""


def _completed(values: dict[str, Any], config_type: type) -> dict[str, Any]:
    """Saved values as today's version would have saved them."""
    names = {item.name for item in dataclasses.fields(config_type)}
    try:
        config: Any = build(config_type, {name: value for name, value in values.items() if name in names}, "")
    except RecipeError:
        return values  # a value that is refused today: it is compared as it stands
    return _own(config)


def _own(config: Any) -> dict[str, Any]:
    """What decides of a section; its name does not."""
    return {name: value for name, value in deciding(config).items() if name != "name"}


def save(name: str, made: Fingerprint, files: RunFiles) -> None:
    write_text(files.fingerprint(name), json.dumps(dataclasses.asdict(made), ensure_ascii=False, indent=1) + "\n")


def _user_files(config: Any) -> Iterator[tuple[str, Path, bool]]:
    """The user's files that the config names: as it names them, where they lie, and whether a probe is enough."""
    for name in dict(named_files(plain(config))).values():
        path = Path(os.path.expanduser(os.path.expandvars(name)))
        if path.exists():
            yield name, path, False
            if path.name in ("meta.json", "dataset_info.json"):  # the rows lie in the files that these name
                yield f"{name}: annotations", path.parent, False
    models = [getattr(config, "model", ""), *(getattr(config, "models", None) or {}).values()]
    for model in dict.fromkeys([*models, getattr(config, "language", "")]):
        path = BASE_MODEL if model == "base" else Path(os.path.expanduser(os.path.expandvars(model)))
        if model and (path.is_dir() or (path.suffix == ".gguf" and path.is_file())):
            yield model, path, True


def named_files(values: Any, where: str = "") -> Iterator[tuple[str, str]]:
    """Where a section's plain values name a file or a folder of data, and as what."""
    for key, value in values.items() if isinstance(values, dict) else ():
        place = f"{where}.{key}" if where else str(key)
        if isinstance(value, dict) and key not in FOREIGN:
            yield from named_files(value, place)
        elif key in ("path", "script") and isinstance(value, str) and value and values.get("loader") != "huggingface":
            yield place, value


def named_models(values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Where a section's plain values name a model that is loaded here, and as what; not another section's, nor ours."""
    if (values.get("backend") or {}).get("name") in ELSEWHERE:
        return
    models = {"model": values.get("model"), **{f"models.{k}": v for k, v in (values.get("models") or {}).items()}}
    for place, model in models.items():
        if isinstance(model, str) and model != "base" and trained_by(model) is None:
            yield place, model


def named_languages(values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The same of a language model that `compose` joins."""
    if isinstance(language := values.get("language"), str):
        yield "language", language


FOREIGN = ("extra", "trainer", "meta", "chat_template")
"""Fields that hold what is another program's: a `path` in them is none of ours."""
ELSEWHERE = ("openai_server", "scripted")
"""Backends to which a model is a name: a server's path is not this machine's."""


def _marked(path: Path, probe: bool, known: dict[str, Any] | None) -> dict[str, Any]:
    """The digest of a file, or of a folder's files that hold data; read only if a size or a time has changed."""
    inside = sorted(file for file in path.rglob("*") if probe or file.suffix in DATA) if path.is_dir() else [path]
    found = [file for file in inside if file.is_file()]
    stats = [file.stat() for file in found]
    names = [str(file.relative_to(path)) for file in found]
    stamps = [[name, stat.st_size, stat.st_mtime_ns] for name, stat in zip(names, stats)]
    if known and known["stamps"] == stamps:
        return known
    digest = hashlib.sha256()
    for name, file, stat in zip(names, found, stats):
        digest.update(f"{name} {stat.st_size} ".encode())
        with file.open("rb") as stream:
            if probe and stat.st_size > 2 * PROBE:
                digest.update(stream.read(PROBE))
                stream.seek(-PROBE, os.SEEK_END)
            while block := stream.read(PROBE):
                digest.update(block)
    return {"digest": digest.hexdigest(), "stamps": stamps}
