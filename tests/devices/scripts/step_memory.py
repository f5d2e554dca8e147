"""Peak memory of whole optimizer steps by torch's caching allocator: `step_memory.py CASES.json`, a result each.

A case names a model of `benchmarks/published.py`, its pairs, and fields of `mixpo.training.setup.Setup`. A step has two
micro-batches (reference, policy, backward), then clipping and the optimizer; the second step is measured. With several
devices it is one of them: FSDP2 with torch's fake process group, in the units that accelerate makes.
"""

import gc
import json
import sys
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from peft import LoraConfig
from torch import Tensor, nn

from devices.cases import MODELS, examples, make, setup_from
from devices.on_null_gpu import counted
from mixpo.batches.layout import Batch, Layout, lay_out
from mixpo.losses.mix import mix
from mixpo.losses.objective import Objective
from mixpo.models import attention
from mixpo.models.head import output_head
from mixpo.models.load import switch_dropout_off
from mixpo.training.activations import HALF
from mixpo.training.adapters import with_adapter
from mixpo.training.optimizer_step import terms_of
from mixpo.training.scoring import score
from mixpo.training.setup import Setup

CUDA = torch.device("cuda")
OPTIMIZERS = {
    "adamw_torch_fused": lambda given: torch.optim.AdamW(given, lr=1e-6, fused=True),
    "adamw_torch": lambda given: torch.optim.AdamW(given, lr=1e-6),
    "sgd": lambda given: torch.optim.SGD(given, lr=1e-6),
}


class Answers:
    """What code asks of tensors on the GPU, which read as zeros: lengths of a row's parts, grids, tokens of images."""

    def __init__(self) -> None:
        self.prefixes: Any = None
        self.grid: Any = None

    def install(self) -> None:
        plain, product = Tensor.tolist, Tensor.prod

        def tolist(tensor: Tensor) -> Any:
            value = plain(tensor)
            if tensor.is_cuda and sys._getframe(1).f_code.co_filename.endswith("models/attention.py"):
                return self.prefixes
            if tensor.is_cuda and self.grid and tensor.ndim == 2 and tensor.shape[1] == 3:
                return self.grid
            if tensor.is_cuda and self.grid and tensor.ndim == 1 and len(value) == len(self.grid):
                return [height * width // 4 for _, height, width in self.grid]
            return value

        Tensor.tolist = tolist
        # Compiled by NVRTC at its first call, which the null GPU does not have.
        Tensor.prod = lambda tensor, *given, **named: (Tensor.sum if tensor.is_cuda else product)(
            tensor, *given, **named
        )
        self.of_qwen()

    def of_qwen(self) -> None:
        """Positions and windows, which would be computed on the GPU, from the grid on the CPU."""
        import transformers.models.qwen2_5_vl.modeling_qwen2_5_vl as qwen

        positions, lengths, windows = (
            qwen.get_vision_position_ids, qwen.get_vision_attention_seqlens, qwen.get_vision_window_index,
        )  # fmt: skip

        def window_index(_grid: Tensor, *given: Any, **named: Any) -> Any:
            index, ends = windows(torch.tensor(self.grid), *given, **named)
            return index.cuda(), ends

        def on_cpu(function: Any) -> Any:
            return lambda _grid, *given, **named: function(torch.tensor(self.grid), *given, **named)

        qwen.get_vision_position_ids = lambda *given, **named: on_cpu(positions)(*given, **named).cuda()
        qwen.get_vision_attention_seqlens = on_cpu(lengths)
        qwen.get_vision_window_index = window_index


ANSWERS = Answers()


def shard(model: Any, setup: Setup) -> None:
    """In the units that accelerate's `fsdp2_prepare_model` makes: layers, input embedding, norm with head, the rest."""
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard

    reduced = torch.bfloat16 if setup.reduce_bytes == HALF else torch.float32
    half = MixedPrecisionPolicy(param_dtype=torch.bfloat16, reduce_dtype=reduced)
    policy = half if setup.precision == "bf16" else MixedPrecisionPolicy()
    given = {"mesh": init_device_mesh("cuda", (setup.devices,)), "mp_policy": policy}
    units = set(model._no_split_modules or ())
    for module in model.modules():
        if type(module).__name__ in units:
            fully_shard(module, **given)
    head = model.get_output_embeddings()
    tied = head.weight is model.get_input_embeddings().weight
    if not tied:
        fully_shard(model.get_input_embeddings(), **given)
    tail = [model.get_decoder().norm, *([model.get_input_embeddings()] if tied else []), head]
    fully_shard(tail, reshard_after_forward=False, **given)
    fully_shard(model, **given)


class Training:
    """A model with its optimizer, and a micro-batch of it."""

    def __init__(self, config: Any, setup: Setup, pairs: dict[str, int]):
        self.setup = setup
        layout = Layout(setup.layout)
        self.model = self.made(config, setup.frozen_bytes == HALF and bool(setup.lora))
        self.reference = self.frozen(config) if setup.reference == "live" else None
        for model in filter(None, (self.model, self.reference)):
            if layout is Layout.SHARED:
                attention.prepare(model, CUDA, flex=setup.attention == "flex")
        if "vision" in setup.freeze:
            self.model.get_encoder(modality="image").requires_grad_(False)
        if "language" in setup.freeze:
            self.model.get_decoder().requires_grad_(False)
            self.model.get_output_embeddings().requires_grad_(False)
        if setup.lora:
            adapter = LoraConfig(r=setup.lora, lora_alpha=32, target_modules="all-linear")
            self.model = with_adapter(self.model, adapter).cuda()
        if setup.gradient_checkpointing:
            self.model.gradient_checkpointing_enable({"use_reentrant": False})
            if setup.lora:
                self.model.enable_input_require_grads()
        self.model.train()
        self.trained = [one for one in self.model.parameters() if one.requires_grad]
        self.optimizer = OPTIMIZERS[setup.optimizer](self.trained)
        multiple = attention.row_multiple(self.model, CUDA)
        self.batch = lay_out(examples(config, **pairs), layout, 0, multiple).to(CUDA)
        self.answer(self.batch, pairs.get("tiles", 8))

    def made(self, config: Any, half: bool = False) -> Any:
        if self.setup.shard == "none":
            model = make(config, torch.bfloat16 if half else torch.float32)
        else:
            model = make(config, torch.float32, "meta")
            shard(model, self.setup)
            model.to_empty(device="cuda")
        switch_dropout_off(model)
        return model

    def frozen(self, config: Any) -> Any:
        """A live reference: in 16 bits what autocast casts, or all of it, sharded like the policy."""
        model = self.made(config).requires_grad_(False).eval()
        if self.setup.shard != "none":
            half = self.setup.reference_bytes == HALF
            for parameter in model.parameters() if half else ():
                parameter._local_tensor.data = parameter._local_tensor.data.to(torch.bfloat16)
            model.set_reshard_after_forward(True)  # no backward pass follows for which to keep the last units
        elif self.setup.reference_bytes == HALF:
            for module in model.modules():
                if isinstance(module, nn.Linear):
                    module.to(torch.bfloat16)
        return model

    def answer(self, batch: Batch, tiles: int) -> None:
        ANSWERS.prefixes = None if batch.prefixes is None else batch.prefixes.tolist()
        grid = batch.inputs.get("image_grid_thw")
        ANSWERS.grid = [] if grid is None else [[1, 64, tiles * 16]] * len(grid)

    def logps(self, model: Any) -> Tensor:
        with torch.autocast("cuda", torch.bfloat16, enabled=self.setup.types.autocast):
            return score(model, self.batch, output_head(model), self.setup.chunk)

    @torch.no_grad()
    def referred(self) -> Tensor | None:
        if self.reference is not None:
            return self.logps(self.reference)
        if not self.setup.lora:
            return None
        with self.model.disable_adapter():
            return self.logps(self.model)

    def micro_batch(self, notes: dict[str, float]) -> None:
        reference = self.referred()
        note(notes, "reference")
        with counted() as found:
            logps = self.logps(self.model)
            notes["kept"] = torch.cuda.memory_allocated()
            note(notes, "forward")
            terms = terms_of(self.batch, logps, logps.detach() if reference is None else reference)
            mix(terms, Objective(), shift=0.0, mean_length=300.0).total.sum().backward()
        note(notes, "backward")
        notes["launches"] = found["launches"]

    def step(self) -> dict[str, float]:
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        notes: dict[str, float] = {"state": torch.cuda.memory_allocated()}
        for _ in range(1 + self.setup.accumulates):
            self.micro_batch(notes)
        torch.nn.utils.clip_grad_norm_(self.trained, 1.0)
        self.optimizer.step()
        note(notes, "optimizer")
        self.optimizer.zero_grad()
        return notes


def note(notes: dict[str, float], name: str) -> None:
    notes[name] = max(notes.get(name, 0), torch.cuda.max_memory_allocated())
    torch.cuda.reset_peak_memory_stats()


def measured(case: dict[str, Any]) -> dict[str, float]:
    """Bytes: `peak`, and the peaks of the phases; `state` is what is there between steps."""
    from torch.testing._internal.distributed.fake_pg import FakeStore

    setup = setup_from(case["setup"])
    if setup.shard != "none":
        dist.init_process_group("fake", store=FakeStore(), rank=0, world_size=setup.devices)
    try:
        training = Training(MODELS[case["model"]](), setup, case.get("pairs", {}))
        training.step()
        notes = training.step()
    finally:
        if dist.is_initialized():
            dist.destroy_process_group()
    return {**notes, "peak": max(notes[phase] for phase in ("reference", "forward", "backward", "optimizer"))}


if __name__ == "__main__":
    ANSWERS.install()
    results = []
    for case in json.loads(Path(sys.argv[1]).read_text()):
        results.append(measured(case))
        gc.collect()
        torch.cuda.empty_cache()
    print(json.dumps(results))
