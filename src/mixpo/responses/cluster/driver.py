"""The step `sample` on a Ray cluster: an actor per device holds a backend, blocks of questions are dealt to them.

The driver deals out where each block's questions stand, not the questions; an actor reads them, samples, and commits
the block as a shard of its own, named by what is in it. An actor that is lost (killed, its node preempted) is started
anew by Ray and its block done again into the same shard, so every response is there exactly once. A rerun, on a
cluster or without, does only what is missing.
"""

import contextlib
import hashlib
import json
import logging
import os
import signal
import socket
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from itertools import islice
from typing import Any

from mixpo.errors import MissingExtra, UserError, first_line
from mixpo.files import RunFiles
from mixpo.ids import Ids
from mixpo.images import ImageRoots
from mixpo.progress import say, track
from mixpo.records import Dropped, Question, Response
from mixpo.responses.backend import Backend
from mixpo.responses.backends.config import BackendConfig, BackendName
from mixpo.responses.backends.make import load_backend
from mixpo.responses.balance import Judge
from mixpo.responses.cluster.storage import (
    Placed,
    image_roots,
    question_files,
    read_questions,
    write_shard,
    written_ids,
)
from mixpo.responses.ledger import Progress, Whole, blocks
from mixpo.responses.sample import Config, is_selected, questions_per_block, sample, wanted
from mixpo.signals import ENDING


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """Where the actors run, and where they read and write when that is not the run folder."""

    address: str = "auto"
    """`auto`: the running cluster, or else one on this machine; `local`: always one of its own; or an address."""
    workers: int = 0
    """Actors; 0: one per GPU of the cluster (per `tensor_parallel_size` GPUs of a node with vLLM), or per core where
    there is no GPU."""
    questions: str = ""
    """Path or address (s3://…) of questions as JSON lines or Parquet; empty: the run folder's."""
    out: str = ""
    """Path or address that gets `responses/<section>` and `dropped/<section>`; empty: the run folder."""


@dataclass(frozen=True, kw_only=True)
class ActorSetup:
    """All that an actor has to know. Every path is absolute: an actor's working directory is its own."""

    config: Config
    model: str
    questions: str
    responses: str
    dropped: str
    judge: Judge | None

    @cached_property
    def files(self) -> list[str]:
        return question_files(self.questions)


@dataclass(frozen=True, kw_only=True)
class Block:
    """A block of questions: where it begins, how many they are, what of it is written already."""

    number: int
    file: int
    at: int
    size: int
    first: str
    """Id of its first question."""
    written: tuple[str, ...]
    left_out: tuple[str, ...]

    @property
    def shard(self) -> str:
        """The same for the same block with the same records missing; never that of another one."""
        digest = hashlib.blake2b(json.dumps(asdict(self)).encode(), digest_size=4).hexdigest()
        return f"part-{self.number:05d}-{digest}.jsonl"


@dataclass(frozen=True, slots=True)
class Committed:
    """A block that is done."""

    number: int
    records: int
    worker: str
    """`<host>:<process>` of the actor that did it."""


class SamplingActor:
    """One actor. Its backend is loaded with its first block."""

    def __init__(self, job: ActorSetup):
        self.job = job

    @cached_property
    def backend(self) -> Backend:
        return load_backend(self.job.config.backend, self.job.model, self.job.config.inputs)

    @cached_property
    def images(self) -> ImageRoots:
        return image_roots(self.job.questions)

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        """Does a block. A user's mistake is a row of its own: raised, Ray would wrap it in its own traceback."""
        block = Block(**json.loads(row["block"]))
        worker = f"{socket.gethostname()}:{os.getpid()}"
        try:
            return {"number": block.number, "records": self.commit(block), "worker": worker, "error": ""}
        except UserError as error:
            return {"number": block.number, "records": 0, "worker": worker, "error": str(error)}

    def commit(self, block: Block) -> int:
        """Samples the block and writes what is missing of it; returns how many responses it has in all."""
        job = self.job
        questions = list(
            islice((placed.question for placed in placed_questions(job, block.file, block.at)), block.size)
        )
        whole: Whole[Question, Response] = Whole(questions, wanted(job.config))
        records = sum(
            not isinstance(record, Dropped)
            for record in whole.collect(sample(questions, self.backend, self.images, job.config, job.judge))
        )
        write_shard(job.responses, block.shard, whole.records(set(block.written)))
        # After the responses: a `Dropped` record also says that its question is done.
        write_shard(job.dropped, block.shard, whole.left_out(set(block.left_out)))
        return records


def placed_questions(job: ActorSetup, file: int = 0, at: int = 0) -> Iterator[Placed]:
    """The questions to ask, from a place on."""
    placed = read_questions(job.files, file, at)
    return (one for one in placed if is_selected(one.question, job.config.which))


def plan(job: ActorSetup) -> tuple[list[Block], Progress[Placed]]:
    """The blocks that lack a record, in flat memory but for the ids of what is written."""
    ids = wanted(job.config)
    left_out: Ids = written_ids(job.dropped)
    progress: Progress[Placed] = Progress(written_ids(job.responses), left_out, lambda placed: ids(placed.question))
    todo = []
    for number, block in progress.unfinished(blocks(placed_questions(job), questions_per_block(job.config))):
        todo.append(
            Block(
                number=number,
                file=block[0].file,
                at=block[0].at,
                size=len(block),
                first=block[0].id,
                written=tuple(id for placed in block for id in ids(placed.question) if id in progress.written),
                left_out=tuple(placed.id for placed in block if placed.id in left_out),
            )
        )
    return todo, progress


def sample_on_ray(job: ActorSetup, todo: list[Block], cluster: Cluster) -> Iterator[Committed]:
    """Does the blocks, in the order they get done. Raises UserError when the model or a place cannot be used."""
    ray = _ray()
    with _connected(ray, cluster.address):
        context = ray.data.DataContext.get_current()
        context.enable_progress_bars = False
        nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        device, size = _devices(nodes, cluster.workers, _gpus_of_an_actor(job.config.backend))
        rows = [{"block": json.dumps(asdict(block))} for block in todo]
        done = ray.data.from_items(rows, override_num_blocks=len(rows)).map(
            SamplingActor,
            fn_constructor_args=(job,),
            # One block in an actor's hands: the next goes to whoever is free first.
            compute=ray.data.ActorPoolStrategy(size=min(size, len(rows)), max_tasks_in_flight_per_actor=1),
            **device,
        )
        for row in done.iter_rows():
            if row["error"]:
                raise UserError(row["error"])
            yield Committed(row["number"], row["records"], row["worker"])


def _ray() -> Any:
    # Nothing is reported to anybody unless the user asks for it.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise MissingExtra("ray", "ray") from error
    return ray


@contextlib.contextmanager
def _connected(ray: Any, address: str) -> Iterator[None]:
    """A cluster for as long as it is needed; one that the caller is connected to stays so."""
    if ray.is_initialized():
        yield
        return
    options = {"logging_level": logging.ERROR, "log_to_driver": False}
    # Only numbers and names pass through the object store; its default takes a third of the machine's memory.
    own = {"include_dashboard": False, "object_store_memory": 2**27}
    before = {number: signal.getsignal(number) for number in ENDING}
    try:
        if address == "auto":
            with contextlib.suppress(ConnectionError):
                ray.init(address="auto", **options)
        elif address != "local":
            ray.init(address=address, **options)
        if not ray.is_initialized():
            ray.init(address="local", **own, **options)
    except (ConnectionError, RuntimeError, ValueError) as error:
        reason = first_line(error)
        raise UserError(f"no Ray cluster at {address!r} ({reason}); check the address, or use --ray auto") from error
    if threading.current_thread() is threading.main_thread():  # Ray's own handler ends the process with status 15
        for number, handler in before.items():
            signal.signal(number, handler)
    try:
        yield
    finally:
        ray.shutdown()


def _gpus_of_an_actor(config: BackendConfig) -> int:
    return config.vllm.gpus if config.name == BackendName.VLLM else 1


def _devices(nodes: Sequence[Mapping[str, float]], workers: int, gpus: int) -> tuple[dict[str, float], int]:
    """What an actor asks the cluster for, and how many actors there are, 1 at least.

    `nodes`: each node's resources, as Ray names them; `gpus`: those of one actor, which are of one node. Raises
    UserError when no node has so many.
    """
    most = [int(node.get("GPU", 0)) for node in nodes]
    if not any(most) and gpus == 1:
        return {"num_cpus": 1}, workers or max(1, sum(int(node.get("CPU", 0)) for node in nodes))
    places = sum(count // gpus for count in most)
    if not places:
        raise UserError(
            f"an actor needs {gpus} GPUs of one node (vllm.tensor_parallel_size), and the cluster's nodes have "
            f"{max(most, default=0)} at most; set a smaller tensor_parallel_size, or use larger nodes"
        )
    return {"num_gpus": gpus}, workers or places


def job_of(config: Config, files: RunFiles, cluster: Cluster, judge: Judge | None) -> ActorSetup:
    """The step's places, those of the run folder unless the cluster has others."""
    out = cluster.out.rstrip("/") or str(files.root.resolve())
    return ActorSetup(
        config=config,
        model=files.model(config.model),
        questions=cluster.questions or str(files.questions(config.questions).folder.resolve()),
        responses=f"{out}/responses/{config.name}",
        dropped=f"{out}/dropped/{config.name}",
        judge=judge,
    )


def run(config: Config, files: RunFiles, cluster: Cluster, judge: Judge | None = None) -> None:
    """Writes what is missing, each block a shard of its own."""
    job = job_of(config, files, cluster, judge)
    todo, progress = plan(job)
    if not todo:
        say(f"{config.name}: all responses are there ({progress.total:,} asked for)")
        return
    bar = track(sample_on_ray(job, todo, cluster), f"{config.name}: blocks", total=len(todo))
    records = sum(block.records for block in bar)
    say(f"{config.name}: {records:,} responses in {len(todo)} blocks, {progress.finished:,} were there")
