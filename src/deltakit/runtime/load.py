"""Build a running model from a TensorMap: weights go from their map into memory, never through a folder on disk."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch

from deltakit.errors import CheckpointError, MismatchError
from deltakit.runtime.skeleton import model_class, model_config
from deltakit.runtime.threads import threads_for
from deltakit.tensors import TensorMap, dtype_code, read, torch_dtype

if TYPE_CHECKING:
    from deltakit.checkpoint import Sidecar

__all__ = ["build", "load_model", "rounded", "stored_dtype"]


def stored_dtype(tensors: TensorMap) -> str:
    """The dtype code that holds most of the float elements ("F32" where there are none)."""
    count: Counter[str] = Counter()
    for spec in tensors.specs.values():
        if spec.is_float:
            count[spec.dtype] += spec.numel
    return max(sorted(count), key=lambda code: count[code]) if count else "F32"


def load_model(tensors: TensorMap, sidecar: Sidecar, dtype: str | None = None, device: str = "cpu") -> Any:
    """A transformers model in evaluation mode on `device`, all floats in `dtype` (None: as most of them are stored).

    Names and shapes must fit the config exactly; a tied head may be absent. Raises MismatchError that lists every
    missing, unexpected and misshapen tensor.
    """
    wanted = torch_dtype(dtype_code(dtype) if dtype else stored_dtype(tensors))
    config = model_config(sidecar)
    with threads_for(sum(spec.numel for spec in tensors.specs.values())):
        state = {name: rounded(tensors, name, wanted) for name in sorted(tensors.specs)}
        return build(config, state, wanted).to(device)


def build(config: Any, state: Mapping[str, torch.Tensor], dtype: torch.dtype) -> Any:
    """The model of a config that holds `state`, in evaluation mode. MismatchError lists all that does not fit."""
    with _quiet():
        model, info = model_class(config).from_pretrained(
            None, config=config, state_dict=state, dtype=dtype, output_loading_info=True, ignore_mismatched_sizes=True
        )
    _check(info, state)
    return model.eval().requires_grad_(False)


def rounded(tensors: TensorMap, name: str, dtype: torch.dtype) -> torch.Tensor:
    """One tensor in `dtype` (integers as they are); CheckpointError if it is not finite there."""
    found = read(tensors, name)
    if not found.is_floating_point():
        return found
    found = found.to(dtype)
    if not torch.isfinite(found).all():
        raise CheckpointError(
            f"tensor {name!r} is not finite in {dtype}", remedy="find the step that made the NaN or Inf"
        )
    return found


def _check(info: Mapping[str, Any], state: Mapping[str, torch.Tensor]) -> None:
    """Turn transformers' loading report into one error that names everything."""
    details = [f"missing: {n}" for n in sorted(info["missing_keys"])]
    details += [f"unexpected: {n} {list(state[n].shape)}" for n in sorted(info["unexpected_keys"])]
    for name, found, expected in sorted(info["mismatched_keys"]):
        details.append(f"shape: {name} is {list(found)}, the config says {list(expected)}")
    details += [str(message) for message in info.get("error_msgs") or ()]
    if details:
        remedy = "the config.json and the weights belong to different models; compare both with `deltakit inspect`"
        raise MismatchError("the weights do not fit the model's config", remedy=remedy, details=details)


@contextmanager
def _quiet() -> Iterator[None]:
    """No progress bar and no loading report from transformers: `_check` says it all. Restores both settings."""
    from transformers.utils import logging

    bars, level = logging.is_progress_bar_enabled(), logging.get_verbosity()
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()
