"""Moments of what enters each weight: Gram matrices and mean magnitudes, taken at the products themselves.

Every product of an activation with a weight is seen as torch computes it, whatever module asks for it: so linear
layers, GPT-2's transposed ones, fused and packed weights, and single experts are treated alike.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from torch.overrides import TorchFunctionMode

from deltakit.runtime.places import Place

__all__ = ["Moments", "Recorder", "Slot", "Unshared"]

Slot: TypeAlias = "tuple[str, int, int]"  # weight within the model, slice of its leading axis (packed), input axis


@dataclass(frozen=True)
class Moments:
    """What enters one tensor of a checkpoint. `axis` is the tensor's own axis that the inputs run along; a packed
    tensor (experts, out, in) has one slice per leading index, a matrix has one.

    gram: (slices, in, in), the sum of x x^T over `rows` inputs, or None if it was not asked for; magnitude: (slices,
    in), the mean of |x|, 0 where no input came; rows: (slices,) inputs seen by each slice. Tensors that share their
    inputs share these.
    """

    axis: int
    gram: torch.Tensor | None
    magnitude: torch.Tensor
    rows: tuple[int, ...]

    @property
    def nbytes(self) -> int:
        """Bytes held."""
        return sum(t.numel() * t.element_size() for t in (self.gram, self.magnitude) if t is not None)


@dataclass
class _Sum:
    """Sums over all inputs of a slot."""

    gram: torch.Tensor | None
    magnitude: torch.Tensor
    rows: int = 0

    def add(self, x: torch.Tensor) -> None:
        x = x.to(self.magnitude.dtype)
        if self.gram is not None:
            self.gram.addmm_(x.T, x)
        self.magnitude += x.abs().sum(dim=0)
        self.rows += len(x)


class Unshared(Exception):
    """Weights that were entered by the same inputs at first were entered by others later."""


class Recorder(TorchFunctionMode):
    """Within the block, products with `weights` (name within the model to tensor) are added up.

    With `share`, weights that are entered by the same inputs (query, key and value) share one sum; Unshared where they
    turn out not to be, then all begins anew without. Behind the weight `until` nothing matters: `stop` is raised there.
    Sums are float32, float64 if `double`.
    """

    def __init__(
        self,
        weights: Mapping[str, torch.Tensor],
        *,
        gram: bool = True,
        double: bool = False,
        share: bool = True,
        until: torch.Tensor | None = None,
        stop: type[BaseException] = StopIteration,
    ) -> None:
        super().__init__()
        self._weights = weights
        spans = sorted((w.data_ptr(), w.data_ptr() + w.numel() * w.element_size(), n) for n, w in weights.items())
        self._spans = [s for s in spans if s[0] < s[1]]
        self._starts = [s[0] for s in self._spans]
        self._share = share
        self._gram, self._dtype = gram, torch.float64 if double else torch.float32
        self._until, self._stop = until, stop
        self._sums: dict[Slot, _Sum] = {}
        self._leader: dict[Slot, Slot] = {}
        self._calls: dict[Slot, int] = {}
        self._now: dict[Any, Slot] = {}
        self._alive: list[torch.Tensor] = []

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        given = dict(kwargs or {})
        found = _PRODUCTS.get(func)
        if found is not None:
            x, weight, axis = found(args, given)
            if isinstance(x, torch.Tensor) and isinstance(weight, torch.Tensor):
                self._see(x, weight, axis)
        return func(*args, **given)

    def forget_inputs(self) -> None:
        """A forward pass is over. Unshared where weights that shared their inputs did so no longer."""
        self._now.clear()
        self._alive.clear()
        for slot, leader in self._leader.items():
            if self._calls[slot] != self._calls[leader]:
                raise Unshared(f"{slot[0]} shared the inputs of {leader[0]}, but not all of them")

    def moments(self, places: Mapping[str, Place]) -> dict[str, Moments]:
        """By the checkpoint's tensor names; tensors that no product was seen of are left out."""
        slots: dict[str, dict[int, Slot]] = {}
        for slot in self._leader:
            slots.setdefault(slot[0], {})[slot[1]] = slot
        found = {}
        for name in sorted(places):
            made = self._moments(places[name], slots.get(places[name].weight, {}))
            if made is not None:
                found[name] = made
        return _shared(found)

    def _moments(self, place: Place, slots: Mapping[int, Slot]) -> Moments | None:
        axes = {slot[2] for slot in slots.values()}
        if len(axes) != 1:
            return None
        axis = axes.pop()
        packed = self._weights[place.weight].dim() == 3
        slices = [int(i) for i in place.index[0]] if packed else [0]
        sums = [self._sums[self._leader[slots[i]]] if i in slots else None for i in slices]
        if all(s is None for s in sums) and not packed:
            return None
        size = self._weights[place.weight].shape[axis]
        take = place.index[axis]
        whole = len(take) == size and bool((take[1:] > take[:-1]).all())
        one = next(iter(self._sums.values()))
        at = None if whole else torch.from_numpy(take).to(one.magnitude.device)
        grams = [_taken(None if s is None else s.gram, at, (size, size), one.magnitude) for s in sums]
        means = [_taken(None if s is None else s.magnitude / max(1, s.rows), at, (size,), one.magnitude) for s in sums]
        return Moments(
            place.axes.index(axis),
            _stacked(grams) if self._gram else None,
            _stacked(means),
            tuple(0 if s is None else s.rows for s in sums),
        )

    def _span(self, pointer: int) -> tuple[int, int, str] | None:
        i = bisect_right(self._starts, pointer) - 1
        return self._spans[i] if i >= 0 and pointer < self._spans[i][1] else None

    def _see(self, x: torch.Tensor, weight: torch.Tensor, axis: int) -> None:
        """Record a product of x (..., in) with a weight, or with some of its slices."""
        span = self._span(weight.data_ptr()) if weight.numel() and x.numel() else None
        if span is None:
            return
        whole = self._weights[span[2]]
        if weight.dim() == x.dim() == whole.dim() == 3 and len(x) == len(weight) == len(whole):
            for i in range(len(weight)):
                self._see(x[i], weight[i], axis)
            return
        slot = _slot(span[2], whole, weight, (weight.data_ptr() - span[0]) // weight.element_size(), axis)
        if slot is not None and whole.shape[slot[2]] == x.shape[-1]:
            self._record(slot, x)
            if self._until is not None and weight.data_ptr() == self._until.data_ptr():
                raise self._stop

    def _record(self, slot: Slot, x: torch.Tensor) -> None:
        at = (x.data_ptr(), tuple(x.shape), x.stride(), x._version)
        self._alive.append(x)
        first = self._now.setdefault(at, slot) if self._share else slot
        leader = self._leader.setdefault(slot, first)
        self._calls[slot] = self._calls.get(slot, 0) + 1
        if leader != slot:
            if first != leader:
                raise Unshared(f"{slot[0]} shared the inputs of {leader[0]}, but not all of them")
            return
        if slot not in self._sums:
            size = x.shape[-1]
            gram = torch.zeros(size, size, dtype=self._dtype, device=x.device) if self._gram else None
            self._sums[slot] = _Sum(gram, torch.zeros(size, dtype=self._dtype, device=x.device))
        self._sums[slot].add(x.reshape(-1, x.shape[-1]))


def _slot(name: str, whole: torch.Tensor, weight: torch.Tensor, offset: int, axis: int) -> Slot | None:
    """Which slot a matrix that lies in a weight is; None for a part of a matrix."""
    if weight.dim() != 2 or whole.dim() not in (2, 3):
        return None
    rows, columns = whole.shape[-2:]
    slice_, rest = divmod(offset, rows * columns)
    if rest:
        return None
    last = whole.dim() - 1
    if tuple(weight.shape) == (rows, columns) and weight.stride(1) == 1:
        return name, slice_, last if axis == 1 else last - 1
    if tuple(weight.shape) == (columns, rows) and weight.stride(0) == 1:
        return name, slice_, last - 1 if axis == 1 else last
    return None


def _taken(
    found: torch.Tensor | None, at: torch.Tensor | None, shape: tuple[int, ...], like: torch.Tensor
) -> torch.Tensor:
    """Some of the inputs (an axis of a tensor that is packed along its inputs); zeros where nothing was seen."""
    values = torch.zeros(shape, dtype=like.dtype, device=like.device) if found is None else found
    if at is None:
        return values
    return values[at][:, at] if values.dim() == 2 else values[at]


def _stacked(parts: list[torch.Tensor]) -> torch.Tensor:
    return parts[0].unsqueeze(0) if len(parts) == 1 else torch.stack(parts)


def _shared(found: dict[str, Moments]) -> dict[str, Moments]:
    """Moments over one and the same memory become one object, so that what is made of them is made once."""
    first: dict[Any, Moments] = {}
    made = {}
    for name, moments in found.items():
        base = moments.gram if moments.gram is not None else moments.magnitude
        key = (base.data_ptr(), base.shape, moments.axis, moments.rows)
        made[name] = first.setdefault(key, moments)
    return made


_Found: TypeAlias = "Callable[[tuple[Any, ...], Mapping[str, Any]], tuple[Any, Any, int]]"


def _pair(i: str, j: str, axis: int, first: int = 0) -> _Found:
    """How to find the activation and the weight among the arguments, and the weight's input axis (of a matrix)."""

    def found(args: tuple[Any, ...], given: Mapping[str, Any]) -> tuple[Any, Any, int]:
        x = args[first] if len(args) > first else given.get(i)
        weight = args[first + 1] if len(args) > first + 1 else given.get(j)
        return x, weight, axis

    return found


_PRODUCTS: dict[Any, _Found] = {
    torch.nn.functional.linear: _pair("input", "weight", 1),
    torch.addmm: _pair("mat1", "mat2", 0, first=1),
    torch.Tensor.addmm: _pair("mat1", "mat2", 0, first=1),
    torch.mm: _pair("input", "mat2", 0),
    torch.Tensor.mm: _pair("self", "mat2", 0),
    torch.matmul: _pair("input", "other", 0),
    torch.Tensor.matmul: _pair("self", "other", 0),
    torch.Tensor.__matmul__: _pair("self", "other", 0),
    torch.bmm: _pair("input", "mat2", 0),
    torch.Tensor.bmm: _pair("self", "mat2", 0),
}
