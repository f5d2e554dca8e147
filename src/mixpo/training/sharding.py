"""What FSDP2 and DeepSpeed's ZeRO ask of a training: precision, a reference that is sharded too, weights made whole.

Which of them runs is read off the accelerator, never off the arguments: `accelerate launch` leaves those empty.
"""

import copy
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from accelerate.utils import DistributedType
from torch import Tensor, nn

from mixpo.errors import UserError
from mixpo.training.config import MPOConfig, check_sharded

SIXTEEN = {"bf16": torch.bfloat16, "fp16": torch.float16}


class Sharding:
    """How an accelerator divides a model among the processes: not at all (one process, DDP), by FSDP2 or by ZeRO."""

    def __init__(self, accelerator: Any):
        """Raises UserError for FSDP's first version."""
        kind = accelerator.distributed_type
        self.accelerator = accelerator
        self.fsdp = kind is DistributedType.FSDP
        self.zero = accelerator.state.deepspeed_plugin.zero_stage if kind is DistributedType.DEEPSPEED else 0
        self.dtype = SIXTEEN.get(accelerator.mixed_precision)
        """The 16-bit type that is computed in; None: float32."""
        if self.fsdp and not accelerator.is_fsdp2:
            raise UserError("FSDP needs its second version: write `fsdp_version: 2` (`fsdp_config: {version: 2}`)")

    @property
    def engine(self) -> bool:
        """Whether an engine stands between the trainer and its model: weights, or what the optimizer knows of them,
        are then divided, and no autocast wraps the forward pass: weights themselves are cast."""
        return self.fsdp or self.zero > 0

    @property
    def weights(self) -> bool:
        """Whether a process has a share of each weight only, gathered module by module: every process must run the
        same modules equally often, or the others wait for ever."""
        return self.fsdp or self.zero == 3

    @property
    def precision(self) -> str:
        """The precision that log-probabilities are computed in, in a word."""
        return f"{self.accelerator.mixed_precision}{' weights' if self.engine and self.dtype else ''}"

    def settle(self, args: MPOConfig) -> None:
        """Before the model is prepared. Raises UserError for arguments that need whole weights on each process."""
        asked = "DeepSpeed" if args.deepspeed_plugin is not None else "FSDP" if args.fsdp else ""
        if asked and not self.engine:
            raise UserError(
                f"{asked} was asked for, but accelerate does not use it here: it needs a GPU for each process"
            )
        check_sharded(args, self.engine)
        if not self.fsdp:
            return
        # Gradients are added up in shards: without it, each process would keep whole ones between micro-batches.
        self.accelerator.gradient_state.plugin_kwargs.setdefault("sync_each_batch", True)
        if self.dtype is not None:
            from torch.distributed.fsdp import MixedPrecisionPolicy

            # accelerate's own casts what leaves the model too: log-probabilities in bfloat16 resolve 1 nat at 128.
            policy = MixedPrecisionPolicy(param_dtype=self.dtype, reduce_dtype=torch.float32)
            self.accelerator.state.fsdp_plugin.mixed_precision_policy = policy

    def autocast(self) -> AbstractContextManager[Any]:
        """What accelerate wraps the policy's forward in, for a model that it has not wrapped."""
        return nullcontext() if self.engine else self.accelerator.autocast()

    @contextmanager
    def before_last(self, model: nn.Module, last: bool) -> Iterator[None]:
        """Around the backward pass of a row: all but the last of a micro-batch only add to the gradient."""
        state = self.accelerator.gradient_state
        synced = state.sync_gradients
        with nullcontext() if last or self.engine else self.accelerator.no_sync(model):
            # DeepSpeed steps when accelerate says that gradients are complete.
            state._set_sync_gradients(synced and (last or not self.zero))
            try:
                yield
            finally:
                state._set_sync_gradients(synced)

    # -- a frozen model beside the policy --------------------------------------------------------------------------

    def frozen(self, model: nn.Module) -> nn.Module:
        """A frozen model as the engine computes the policy: sharded like it, in its precision, on its device.

        Without an engine, weights that autocast would cast at every step are cast once: the values stay the same.
        """
        if self.dtype is not None:
            hold(model, self.dtype, everything=self.engine)
        if self.fsdp:
            return self._by_fsdp(model)
        if self.zero == 3:
            return self._by_zero(model)
        return model.to(self.accelerator.device)

    def _by_fsdp(self, model: Any) -> nn.Module:
        from accelerate.utils.fsdp_utils import fsdp2_prepare_model

        state = self.accelerator.state
        plugin = state.fsdp_plugin
        # What is found out of this model (which layers are units) must not be taken for the policy's.
        state.fsdp_plugin = copy.copy(plugin)
        try:
            model = fsdp2_prepare_model(self.accelerator, model)
        finally:
            state.fsdp_plugin = plugin
        model.set_reshard_after_forward(True)  # no backward pass follows for which to keep the last ones
        return model

    def _by_zero(self, model: nn.Module) -> nn.Module:
        import deepspeed

        config = _for_frozen(self.accelerator.state.deepspeed_plugin.deepspeed_config)
        engine, *_ = deepspeed.initialize(model=model, config=config)
        engine.eval()
        return engine

    def release(self, model: nn.Module) -> None:
        """FSDP2 lets go of weights that it holds gathered for a backward pass, when none follows.

        Whoever changes `requires_grad` (peft, switching an adapter on again) must change it on the shards.
        """
        if self.fsdp:
            from torch.distributed.fsdp import FSDPModule

            for module in model.modules():
                if isinstance(module, FSDPModule):
                    module.reshard()

    # -- whole weights ---------------------------------------------------------------------------------------------

    def whole(self, model: nn.Module) -> Iterator[tuple[str, Tensor]]:
        """Name and value of each weight and persistent buffer, whole, in the precision in which it is trained.

        One at a time is gathered on the device; every process must go through all of them. A weight that two modules
        share comes once, by its first name.
        """
        shared = set()
        for name, value in model.state_dict(keep_vars=True).items():
            if id(value) in shared:
                continue
            shared.add(id(value))
            yield name.replace("_checkpoint_wrapped_module.", ""), self.gathered(value)

    @torch.no_grad()
    def gathered(self, value: Any) -> Tensor:
        """A weight whole; every process must ask for it."""
        if self.fsdp and hasattr(value, "full_tensor"):
            return value.detach().to(value.device_mesh.device_type).full_tensor()
        if self.zero and value.requires_grad and hasattr(value, "_z3_optimizer" if self.zero == 3 else "_hp_mapping"):
            from deepspeed.utils import safe_get_full_fp32_param

            return safe_get_full_fp32_param(value)
        if hasattr(value, "ds_id"):
            import deepspeed

            with deepspeed.zero.GatheredParameters([value]):
                return value.detach().clone()
        return value.detach()


@torch.no_grad()
def hold(model: nn.Module, dtype: torch.dtype, *, everything: bool) -> None:
    """Keeps a frozen model's float32 weights in `dtype`: all of them, or those of linear layers alone, which autocast
    would cast before each product (embeddings and norms it computes as they are).

    Buffers stay: rotary frequencies rounded to 16 bits are other positions. So does the convolution that a vision tower
    begins with: models take the type of their first weight for that of all (SmolVLM).
    """
    kept = {
        id(weight)
        for module in model.modules()
        if not everything and not isinstance(module, nn.Linear)
        for weight in module.parameters(recurse=False)
    }
    for weight in model.parameters():
        if weight.dtype == torch.float32 and id(weight) not in kept and not hasattr(weight, "ds_id"):
            weight.data = weight.data.to(dtype)


def skeleton(model: nn.Module) -> Any:
    """A copy whose weights are shapes only (on the device "meta"): what whole weights are put into when it is saved."""
    memo = {
        id(weight): nn.Parameter(
            torch.empty(getattr(weight, "ds_shape", weight.shape), dtype=weight.dtype, device="meta"),
            requires_grad=weight.requires_grad,
        )
        for weight in model.parameters()
    }
    return copy.deepcopy(model, memo)


def copied(model: nn.Module) -> nn.Module:
    """A deep copy; of a model that ZeRO-3 partitioned when it was loaded, a partitioned one, made weight by weight."""
    weights = list(model.parameters())
    if not any(hasattr(weight, "ds_id") for weight in weights):
        return copy.deepcopy(model)
    import deepspeed
    from transformers.integrations.deepspeed import deepspeed_config

    config = _for_frozen(deepspeed_config())
    memo: dict[int, Any] = {}
    for weight in weights:
        with deepspeed.zero.GatheredParameters([weight]):
            whole = nn.Parameter(weight.detach().clone(), requires_grad=False)
        deepspeed.zero.Init(module=nn.ParameterList([whole]), config_dict_or_path=config)
        memo[id(weight)] = whole
    return copy.deepcopy(model, memo)


def _for_frozen(config: Any) -> dict[str, Any]:
    """DeepSpeed's configuration without what is for training, or is filled in only when the policy is prepared."""
    config = {name: value for name, value in copy.deepcopy(config).items() if name not in ("optimizer", "scheduler")}
    stage = config["zero_optimization"]
    stage.pop("offload_optimizer", None)
    config["zero_optimization"] = {name: value for name, value in stage.items() if value != "auto"}
    return {name: value for name, value in config.items() if value != "auto"}


def numel(weight: Tensor) -> int:
    """Elements of the whole weight; what ZeRO-3 has partitioned is empty."""
    return getattr(weight, "ds_numel", weight.numel())
