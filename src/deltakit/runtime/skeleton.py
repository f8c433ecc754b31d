"""Which transformers class a checkpoint's config asks for, and its config object; no weights, no code from outside."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from deltakit.errors import InputError, UnsafeError

if TYPE_CHECKING:
    from deltakit.checkpoint import Sidecar

__all__ = ["model_class", "model_config"]


def model_config(sidecar: Sidecar) -> Any:
    """The transformers config of config.json, without keys that load code.

    Raises UnsafeError for an architecture that only remote code defines, InputError for a missing or quantised config.
    """
    import transformers

    raw = sidecar.config
    if raw is None:
        raise InputError(
            "the model has no config.json", remedy="use a Hugging Face folder: config.json beside the weights"
        )
    kind = raw.get("model_type")
    if kind not in transformers.CONFIG_MAPPING:
        known = "its code would have to be downloaded (auto_map)" if "auto_map" in raw else "this transformers lacks it"
        error = UnsafeError if "auto_map" in raw else InputError
        raise error(f"model_type {kind!r}: {known}", remedy="use an architecture that transformers itself contains")
    if raw.get("quantization_config"):
        raise InputError("the checkpoint is quantised (quantization_config)", remedy="use its unquantised weights")
    clean = sidecar.cleaned()[0].config
    return transformers.CONFIG_MAPPING[kind].from_dict(clean)


def model_class(config: Any) -> Any:
    """The transformers class that `architectures` names, else the causal language model of the config's type."""
    import transformers

    for name in config.architectures or ():
        found = getattr(transformers, name, None)
        if isinstance(found, type) and issubclass(found, transformers.PreTrainedModel):
            return found
        raise InputError(
            f"architecture {name!r} is not in transformers", remedy="correct `architectures` in config.json"
        )
    mapping = transformers.MODEL_FOR_CAUSAL_LM_MAPPING
    if type(config) not in mapping:
        raise InputError(f"model_type {config.model_type!r} has no causal language model", remedy="name a causal model")
    return mapping[type(config)]
