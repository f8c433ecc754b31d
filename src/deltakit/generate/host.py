"""Keeps one model in memory and serves another by overwriting its weights, where the two have the same shape."""

from __future__ import annotations

from typing import Any, Protocol

from deltakit.checkpoint.sidecar import Sidecar
from deltakit.errors import RecipeError, ResourceError
from deltakit.generate.engine import Engine
from deltakit.generate.stops import eos_ids
from deltakit.runtime import Witness, load_model, load_tokenizer, stored_dtype, swappable, write_weights
from deltakit.tensors import TensorMap, dtype_code

__all__ = ["Host", "Opened", "pick_device"]

# Keys of config.json that change nothing about how the model computes.
_COSMETIC = ("architectures", "dtype", "torch_dtype", "transformers_version", "use_cache")


class Opened(Protocol):
    """What `deltakit.delta.open_model` gives, as far as it matters here."""

    @property
    def tensors(self) -> TensorMap: ...

    @property
    def sidecar(self) -> Sidecar: ...


def pick_device(name: str = "auto") -> str:
    """ "auto" is cuda where there is one, else cpu. ResourceError for a cuda device where there is none, RecipeError
    for a name that torch does not know."""
    import torch

    if name != "auto":
        try:
            torch.device(name)
        except RuntimeError:
            raise RecipeError(f"unknown device {name!r}", remedy="use auto, cpu, cuda or cuda:1") from None

    there = torch.cuda.is_available()
    if name.startswith("cuda") and not there:
        raise ResourceError(f"device {name!r}: torch finds no CUDA device", remedy="use --device cpu, or auto")
    return ("cuda" if there else "cpu") if name == "auto" else name


class Host:
    """Serves models one after the other. dtype "auto" is float32 on the CPU, elsewhere as the weights are stored.

    `limits` are the engines' batch_tokens and max_rows. `swapped` tells whether the last model was written over the one
    before; `content` is the digest of its bytes.
    """

    def __init__(self, device: str = "auto", dtype: str = "auto", batch_tokens: int = 0, max_rows: int = 0) -> None:
        self.device = pick_device(device)
        self._dtype = dtype
        self.limits: dict[str, Any] = {k: v for k, v in (("batch_tokens", batch_tokens), ("max_rows", max_rows)) if v}
        self._model: Any = None
        self._config: Any = None
        self._tokenizer: tuple[Any, Any] = (None, None)
        self.swapped, self.content, self.dtype = False, "", ""

    def serve(self, opened: Opened) -> Engine:
        """An engine over this model. Engines of earlier models must not be used any more."""
        witness = Witness(opened.tensors)
        self.dtype = self._dtype_of(witness)
        config = {k: v for k, v in (opened.sidecar.cleaned()[0].config or {}).items() if k not in _COSMETIC}
        same = self._model is not None and config == self._config and str(self._model.dtype) == f"torch.{self.dtype}"
        self.swapped = same and not swappable(self._model, witness)
        if self.swapped:
            write_weights(self._model, witness)
        else:
            self._model = None  # before the next is built: both at once may not fit
            self._model = load_model(witness, opened.sidecar, self.dtype, self.device)
        self._config, self.content = config, witness.content()
        tokenizer = self._tokenizer_of(opened.sidecar)
        return Engine(self._model, tokenizer, eos_ids(tokenizer, opened.sidecar), **self.limits)

    def dtype_of(self, opened: Opened) -> str:
        """The dtype that a model is computed in, which becomes `dtype`."""
        self.dtype = self._dtype_of(opened.tensors)
        return self.dtype

    def _dtype_of(self, tensors: TensorMap) -> str:
        stored = stored_dtype(tensors) if self.device != "cpu" else "F32"
        code = stored if self._dtype == "auto" else dtype_code(self._dtype)
        return {"F32": "float32", "BF16": "bfloat16", "F16": "float16", "F64": "float64"}[code]

    def _tokenizer_of(self, sidecar: Sidecar) -> Any:
        """The tokenizer of these files, made anew only when one of them differs from the last model's."""
        files = {n: c for n, c in sidecar.files.items() if not n.endswith("config.json") or n.startswith("tokenizer")}
        if self._tokenizer[0] != files:
            self._tokenizer = (files, load_tokenizer(sidecar))
        return self._tokenizer[1]
