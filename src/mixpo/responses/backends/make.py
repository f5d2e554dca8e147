"""A backend by name; its module, and the library behind it, is imported here and only then."""

from mixpo.responses.backend import Backend
from mixpo.responses.backends.config import BackendConfig, BackendName
from mixpo.responses.backends.server.openai_server import OpenAIServerBackend
from mixpo.responses.backends.vllm import VLLMBackend


def make_backend(config: BackendConfig, model: str) -> Backend:
    """The backend serving `model` (a folder or hub name). Raises UserError when it cannot serve."""
    if config.name == BackendName.SCRIPTED:
        from mixpo.responses.backends.scripted import ScriptedBackend

        return ScriptedBackend.load(config.script)
    if config.name == BackendName.OPENAI_SERVER:
        assert config.server is not None, "checked above"
        return OpenAIServerBackend.load(model, config.server, check=config.canaries)
    if config.name == BackendName.VLLM:
        return VLLMBackend.load(model, config.vllm, dtype=config.dtype, check=config.canaries)
    from mixpo.responses.backends.embedded.transformers import TransformersBackend

    return TransformersBackend.load(model, config)
