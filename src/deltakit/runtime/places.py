"""Where each tensor of a checkpoint lies within a running model: renamed, transposed, or packed with others.

Found by sending coordinates instead of weights through transformers' own conversion from the model's layout to the
checkpoint's. So fused and packed weights of any architecture are placed exactly, and without a table of ours.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from deltakit.errors import MismatchError
from deltakit.runtime.hollow import weights_of

__all__ = ["Place", "find_places"]

Index = NDArray[np.int64]


@dataclass(frozen=True)
class Place:
    """A checkpoint's tensor is weight[ix_(*index)] with its axes in the order `axes` (those of the weight; an axis
    that the tensor lacks has a single index and comes not in `axes`). `whole` if it is the weight as it is."""

    weight: str
    index: tuple[Index, ...]
    axes: tuple[int, ...]
    whole: bool

    def put(self, weight: torch.Tensor, values: torch.Tensor) -> None:
        """Write the tensor's values into the weight, in place."""
        if self.whole:
            weight.copy_(values)
            return
        lacking = [a for a in range(weight.dim()) if a not in self.axes]
        straight = values.permute([self.axes.index(a) for a in range(weight.dim()) if a in self.axes])
        for axis in lacking:
            straight = straight.unsqueeze(axis)
        at = tuple(_span(i) for i in self.index)
        if all(isinstance(s, slice) for s in at):
            weight[at] = straight.to(weight.dtype)
        else:
            weight[tuple(torch.from_numpy(i) for i in np.ix_(*self.index))] = straight.to(weight.dtype)


def find_places(model: Any, weights: Iterable[str], names: Iterable[str] = ()) -> dict[str, Place]:
    """The places of all checkpoint tensors that make up `weights` (names within the model), sorted by tensor name.

    `names` are the checkpoint's: a name that differs from transformers' by the base model's prefix alone is found.
    MismatchError for a conversion that mixes elements of several weights into one tensor.
    """
    shapes = {n: tuple(w.shape) for n, w in weights_of(model).items()}
    asked = [n for n in weights if n in shapes]
    which = _sent(model, {n: _full(shapes[n], i) for i, n in enumerate(asked)})
    depth = max((len(shapes[n]) for n in asked), default=0)
    passes = [_sent(model, {n: _along(shapes[n], axis) for n in asked}) for axis in range(depth)]
    known = _stored_names(model, set(names))
    found = {}
    for name, tag in which.items():
        source = asked[int(_first(tag))] if tag.numel() else name
        if tag.untyped_storage().nbytes() > tag.element_size() and bool((tag != _first(tag)).any()):
            raise MismatchError(
                f"tensor {name!r} is mixed from several weights", remedy="this architecture is not known"
            )
        found[known(name)] = _place(source, shapes[source], [p[name] for p in passes])
    return {n: found[n] for n in sorted(found)}


def _sent(model: Any, coordinates: dict[str, torch.Tensor]) -> Mapping[str, torch.Tensor]:
    """Tensors in the model's layout as they would be stored."""
    from transformers.core_model_loading import revert_weight_conversion

    found: Mapping[str, torch.Tensor] = revert_weight_conversion(model, coordinates)
    return found


def _full(shape: tuple[int, ...], value: int) -> torch.Tensor:
    return torch.tensor(value, dtype=torch.int32).expand(shape)


def _along(shape: tuple[int, ...], axis: int) -> torch.Tensor:
    """Each element's coordinate on an axis; takes the memory of that axis alone."""
    if axis >= len(shape):
        return _full(shape, 0)
    line = torch.arange(shape[axis], dtype=torch.int32)
    return line.reshape([-1 if a == axis else 1 for a in range(len(shape))]).expand(shape)


def _place(weight: str, shape: tuple[int, ...], coordinates: list[torch.Tensor]) -> Place:
    index, axes = [], dict[int, int]()
    for axis in range(len(shape)):
        at = coordinates[axis]
        own = next((a for a in range(at.dim()) if at.numel() and at.shape[a] > 1 and _varies(at, a)), None)
        line = _first(at).reshape(1) if own is None else _line(at, own)
        index.append(line.numpy().astype(np.int64))
        if own is not None:
            axes[own] = axis
    order = _complete(axes, coordinates[0].dim() if coordinates else 0, [len(i) for i in index])
    straight = order == tuple(range(len(shape)))
    whole = straight and all(len(i) == n and bool((i == np.arange(n)).all()) for i, n in zip(index, shape, strict=True))
    return Place(weight, tuple(index), order, whole or 0 in shape)


def _complete(axes: dict[int, int], dims: int, lengths: list[int]) -> tuple[int, ...]:
    """The weight's axis of each axis of the tensor; axes of length one never vary and take what is left, in order."""
    left = [a for a in range(len(lengths)) if a not in axes.values() and lengths[a] <= 1]
    spare = iter(left[max(0, len(left) - (dims - len(axes))) :])
    return tuple(axes[a] if a in axes else next(spare) for a in range(dims))


def _first(at: torch.Tensor) -> torch.Tensor:
    return at[(0,) * at.dim()] if at.numel() else torch.zeros((), dtype=at.dtype)


def _varies(at: torch.Tensor, axis: int) -> bool:
    line = _line(at, axis)
    return bool((line != line[0]).any())


def _line(at: torch.Tensor, axis: int) -> torch.Tensor:
    return at[tuple(slice(None) if a == axis else 0 for a in range(at.dim()))]


def _span(index: Index) -> Any:
    """A slice where the index is a run, else the index."""
    if len(index) and bool((np.diff(index) == 1).all()):
        return slice(int(index[0]), int(index[-1]) + 1)
    return index


def _stored_names(model: Any, names: set[str]) -> Any:
    """Transformers' name to the checkpoint's."""
    prefix = model.base_model_prefix + "."

    def known(name: str) -> str:
        for other in (name, name.removeprefix(prefix), prefix + name):
            if other in names:
                return other
        return name

    return known
