"""The base's frame: where every tensor of its checkpoint lies, in which modules, and how those see the batch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from deltakit.errors import MismatchError
from deltakit.runtime.hollow import weights_of
from deltakit.runtime.places import Place, find_places
from deltakit.tenants.layout import row_layout
from deltakit.tenants.modules import TenantLinear, TenantModule, TenantNorm, plain_class
from deltakit.tenants.vocabulary import TenantEmbedding, TenantHead

__all__ = ["Frame", "span"]


@dataclass(frozen=True)
class Frame:
    """A loaded model seen as places: tensor name to its place, place to the modules that hold that parameter."""

    model: Any
    places: Mapping[str, Place]
    layouts: Mapping[str, str]
    modules: Mapping[str, torch.nn.Module]
    sharers: Mapping[str, tuple[tuple[str, str], ...]]  # weight to (module, parameter) pairs, more where it is tied

    @classmethod
    def of(cls, model: Any, names: Mapping[str, Any]) -> Frame:
        """Of a model that was just loaded from a checkpoint with these tensor names."""
        weights = weights_of(model)
        found = find_places(model, weights, names)
        by_id: dict[int, list[tuple[str, str]]] = {}
        for weight, tensor in weights.items():
            module, _, parameter = weight.rpartition(".")
            by_id.setdefault(id(tensor), []).append((module, parameter))
        sharers = {weight: tuple(by_id[id(tensor)]) for weight, tensor in weights.items()}
        return cls(model, found, row_layout(model), dict(model.named_modules(remove_duplicate=False)), sharers)

    @property
    def embedding(self) -> str:
        """The module that looks tokens up."""
        return self._name_of(self.model.get_input_embeddings())

    @property
    def head(self) -> str:
        """The module that gives the logits; "" where there is none."""
        return self._name_of(self.model.get_output_embeddings())

    @property
    def tied(self) -> bool:
        """Whether the head's weight is the embedding's."""
        return bool(self.head) and self.modules[self.head].weight is self.modules[self.embedding].weight

    def tensor_of(self, module: str, parameter: str = "weight") -> str:
        """The checkpoint's name of a parameter that is a tensor of its own; "" where it is none."""
        weight = f"{module}.{parameter}"
        return next((n for n, p in self.places.items() if p.weight == weight and p.whole), "")

    def kind(self, module: str, parameter: str) -> type | None:
        """How a change of this parameter is computed; None where it cannot be told apart by rows."""
        found = self.modules[module]
        own = plain_class(found)
        if module == self.head and own is torch.nn.Linear:
            return TenantHead
        if _is_linear(own):
            return TenantLinear
        if module == self.embedding or own is torch.nn.Embedding:
            return TenantEmbedding
        inner = sum(1 for m in found.modules() if any(p is not None for p in m._parameters.values()))
        if parameter not in found._parameters or inner > 1:
            return None  # its children would see the rows of one tenant alone, and so would a cache
        return TenantNorm if TenantNorm.fits(found) else TenantModule

    def transposed(self, module: str) -> bool:
        """Whether the weight of a linear map is stored as (inputs, outputs)."""
        return plain_class(self.modules[module]) is not torch.nn.Linear

    def _name_of(self, module: Any) -> str:
        return next((n for n, m in self.modules.items() if m is module), "") if module is not None else ""


def _is_linear(own: type) -> bool:
    from transformers.pytorch_utils import Conv1D

    return own in (torch.nn.Linear, Conv1D)


def span(index: np.ndarray[Any, np.dtype[np.int64]], size: int) -> slice | None:
    """None: all of `size`; a slice: a run of it. MismatchError for neither."""
    if len(index) == size and bool((index == np.arange(size)).all()):
        return None
    if len(index) and bool((np.diff(index) == 1).all()):
        return slice(int(index[0]), int(index[-1]) + 1)
    raise MismatchError("a tensor that lies scattered within a weight")
