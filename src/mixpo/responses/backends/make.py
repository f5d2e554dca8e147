"""A backend by name; its module, and the library behind it, is imported here and only then."""

from mixpo.devices import CPU, grouped, places, visible
from mixpo.model_inputs import AS_IS, ModelInputs
from mixpo.responses.backend import Backend
from mixpo.responses.backends.config import BackendConfig, BackendName
from mixpo.responses.backends.server.openai_server import OpenAIServerBackend
from mixpo.responses.backends.vllm import VLLMBackend


def load_backend(config: BackendConfig, model: str, inputs: ModelInputs = AS_IS) -> Backend:
    """The backend serving `model` (a folder or hub name), in this process. Raises UserError when it cannot serve."""
    if config.name == BackendName.SCRIPTED:
        from mixpo.responses.backends.scripted import ScriptedBackend

        return ScriptedBackend.load(config.script)
    if config.name == BackendName.OPENAI_SERVER:
        assert config.server is not None, "checked above"
        return OpenAIServerBackend.load(model, config.server, inputs, check=config.canaries)
    if config.name == BackendName.VLLM:
        return VLLMBackend.load(model, config.vllm, inputs, dtype=config.dtype, check=config.canaries)
    from mixpo.responses.backends.embedded.transformers import TransformersBackend

    return TransformersBackend.load(model, config, inputs)


def make_backend(config: BackendConfig, model: str, inputs: ModelInputs = AS_IS) -> Backend:
    """The same, spread over this machine's GPUs, or processes, where it is embedded and there are several."""
    groups = _groups(config)
    if len(groups) < 2:
        return load_backend(config, model, inputs)
    from mixpo.responses.backends.spread import SpreadBackend

    return SpreadBackend(config, model, groups, inputs)


def is_spread(backend: Backend) -> bool:
    """Whether it works in several processes: what is in a batch with what is then a matter of chance."""
    from mixpo.responses.backends.spread import SpreadBackend

    return isinstance(backend, SpreadBackend)


def _groups(config: BackendConfig) -> list[str]:
    """The GPUs of each process, as CUDA_VISIBLE_DEVICES names them: one, or as many as an engine of vLLM takes.

    `CPU` for one on the processor; none for a backend that has no device of its own, or was told which.
    """
    if config.name == BackendName.VLLM:
        return grouped(visible(), config.vllm.gpus)
    if config.name != BackendName.TRANSFORMERS or config.device not in ("auto", CPU):
        return []
    return places(on_processor=config.device == CPU)
