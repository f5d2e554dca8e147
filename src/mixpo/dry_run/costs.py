"""What a recipe's sections work on before they run: how many records, which model, on which machine.

No weights are loaded: a model's shape is read off its config, prompts are measured on a few questions.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import Any

from mixpo.batches.encode import Encoder
from mixpo.dry_run import asked
from mixpo.dry_run.asked import Shown
from mixpo.errors import UserError, first_line
from mixpo.files import RunFiles
from mixpo.models.load import load_processor
from mixpo.plan.estimate import Writing, prompts_of
from mixpo.plan.machines import Machine, machine_named
from mixpo.plan.plan import shape_on_paper
from mixpo.prompts import user_text
from mixpo.references import Output, trained_by
from mixpo.responses.backends.config import BackendName
from mixpo.status import State, Status
from mixpo.text_files import count_lines

BYTES_A_TOKEN = 6
"""Of a response's record on disk: its text and its token ids."""
LONGEST = "every response is as long as it may be (max_new_tokens), prompts are as long as the first ones"

this_machine = cache(machine_named)
"""A CPU is measured for a second."""


@dataclass(kw_only=True)
class Cost:
    """One section's, upper bounds; None: not known."""

    work: str
    seconds: float | None = 0.0
    memory: float = 0.0
    """Bytes of a device."""
    disk: float = 0.0


@dataclass
class Ahead:
    """A recipe before it runs."""

    configs: dict[str, Any]
    found: dict[str, Status]
    files: RunFiles
    made: dict[tuple[str, Output], int | None] = field(default_factory=dict)
    """How many records of a kind a section makes at most."""
    notes: dict[str, None] = field(default_factory=dict)
    """What is assumed, each once."""
    warnings: dict[str, None] = field(default_factory=dict)

    def count(self, kind: Output, section: str) -> int | None:
        """Records of a section: those that are there, or those that it will make at most."""
        if (section, kind) not in self.made or self.is_done(section):
            folder = self.files.root / kind.folder / section
            self.made[section, kind] = sum(map(count_lines, folder.glob("part-*.jsonl")))
        return self.made[section, kind]

    def is_done(self, section: str) -> bool:
        return section in self.found and self.found[section].state is State.DONE

    @cached_property
    def machine(self) -> Machine:
        return this_machine("")

    def model(self, model: str) -> str | None:
        """The checkpoint that a recipe's model starts from; None for one that the recipe makes."""
        while section := trained_by(model):
            config = self.configs.get(section)
            if config is None:
                return self.files.model(model)
            if not hasattr(config, "model"):
                return None
            model = config.model
        return self.files.model(model)

    def shape(self, model: str, trust_remote_code: bool = False) -> Any:
        path = self.model(model)
        try:
            return None if path is None else shape_on_paper(path, trust_remote_code)
        except UserError as error:
            self.warnings[f"time and memory of {model} are not known: {first_line(error)}"] = None
            return None

    def shown(self, section: str) -> list[Shown]:
        if found := asked.stored(self.files, section):
            return found
        config = self.configs.get(section)
        if config is None or not hasattr(config, "sources"):
            return []
        return [shown for name, values in config.sources.items() for shown in asked.first(name, values, config.seed)]

    @cached_property
    def number(self) -> Callable[..., int | None]:
        """Of a benchmark's questions, counted once for all models."""
        return _once(asked.number)

    @cached_property
    def benchmark(self) -> Callable[..., list[Shown]]:
        """Its first questions."""
        return _once(asked.first)

    def writing(
        self, config: Any, model: str, shown: Callable[[], list[Shown]], style: Any, times: tuple[int, int]
    ) -> Cost:
        """A model's answers; `times`: how many questions, and how often each."""
        questions, each = times
        most, backend = config.max_new_tokens, config.backend
        count = questions * each
        work = f"at most {count:,} responses, {questions:,} x {each}, of at most {most:,} tokens"
        disk = count * most * BYTES_A_TOKEN
        if backend.name == BackendName.OPENAI_SERVER:
            where = backend.server.base_url
            return Cost(work=f"{work}; up to {count:,} requests to {where}, paid there", seconds=None, disk=disk)
        shape = None if backend.name == BackendName.SCRIPTED else self.shape(model, config.trust_remote_code)
        if shape is None:
            return Cost(work=work, seconds=0.0 if backend.name == BackendName.SCRIPTED else None, disk=disk)
        encoder = Encoder(load_processor(self.model(model) or "", inputs=config.inputs))
        words = ((question, user_text(question, style), pictures) for question, pictures in shown())
        prompts = prompts_of(words, encoder, shape.patch)
        writing = Writing(shape=shape, prompts=prompts, questions=questions, each=each, tokens=most)
        self.notes[LONGEST] = None
        return Cost(work=work, seconds=writing.seconds(self.machine), memory=writing.memory(self.machine), disk=disk)


def _once(read: Callable[[str, dict[str, Any], int], Any]) -> Callable[..., Any]:
    known: dict[str, Any] = {}

    def remembered(name: str, values: dict[str, Any], seed: int) -> Any:
        if name not in known:
            known[name] = read(name, values, seed)
        return known[name]

    return remembered
