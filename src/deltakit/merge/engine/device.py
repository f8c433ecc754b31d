"""Kernels on another device: the same program, step by step in torch, with the same bits.

Every step is one operation in float32 with its own rounding, so nothing is contracted, and a GPU gives what the CPU
does. Measurements (thresholds, majority, angles) stay on the CPU, and so does what ranks rows. A range that the device
has no room for is done on the CPU, with a warning.
"""

from __future__ import annotations

import logging
import math
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from deltakit.errors import RecipeError
from deltakit.tensors import TensorSpec, as_bytes, torch_dtype

if TYPE_CHECKING:
    import torch

    from deltakit.merge.engine.fused import Kernel
    from deltakit.merge.engine.program import Step

__all__ = ["check_device", "in_use", "runs_on", "used"]

_LOG = logging.getLogger("deltakit")
_STEP, _M1, _M2 = 0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB
_FULL = threading.Event()  # said once


class _Use:
    """The one device of this process's merge; threads of the pump see it, too."""

    name: str = ""


def in_use() -> str:
    """The device that kernels run on; "" is the CPU with compiled kernels."""
    return _Use.name


@contextmanager
def used(device: str) -> Iterator[None]:
    """Kernels run on `device` ("cuda", "cuda:1") within; "cpu" and "" mean the compiled ones. Several processes of a
    launcher take a device each. RecipeError if there is no such device."""
    if device == "cuda" and "LOCAL_RANK" in os.environ:
        device = f"cuda:{os.environ['LOCAL_RANK']}"
    check_device(device)
    before, _Use.name = _Use.name, "" if device == "cpu" else device
    try:
        yield
    finally:
        _Use.name = before


def check_device(device: str) -> None:
    """RecipeError for a device that is not there."""
    if device in ("", "cpu"):
        return
    import torch

    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        first = str(error).strip().partition("\n")[0]
        raise RecipeError(f"device {device!r}: {first}", remedy="leave --device out, or give --device cpu") from None


def runs_on(kernel: Kernel, device: str, lo: int, hi: int, spec: TensorSpec) -> memoryview | None:
    """Rows lo..hi as bytes of `spec`'s dtype; None where the CPU has to do it: rows that are ranked, a device that is
    full, or numbers that an election cannot go on with (the CPU names them)."""
    import torch

    if any(s.limits is not None or s.row for m in kernel.program.members for s in m.steps):
        return None
    try:
        made = _combined(kernel, device, lo, hi, spec)
    except torch.OutOfMemoryError:
        if not _FULL.is_set():
            _FULL.set()
            _LOG.warning("%s has no room for a range of this merge: it is done on the CPU instead", device)
        return None
    return None if made is None else as_bytes(made.cpu().contiguous().view(torch.uint8).numpy())


def _combined(kernel: Kernel, device: str, lo: int, hi: int, spec: TensorSpec) -> torch.Tensor | None:
    import torch

    start = lo * spec.row_size
    base, *rest = (_read(s, lo, hi, device) for s in kernel.program.sources)
    sources, deltas = iter(rest), []
    for member in kernel.program.members:
        x = torch.zeros_like(base)
        for i, (_, coef) in enumerate(member.parts):
            part = next(sources) - base
            part = part if coef == 1.0 else part * _f32(coef)
            x = part if i == 0 else x + part
        for step in member.steps:
            x = _step(x, step, start)
        deltas.append(x)
    total = _reduced(kernel, base, deltas)
    if total is None:
        return None
    for step in kernel.after:
        total = _step(total, step, start)
    if not kernel.whole:
        total = torch.where(total != 0, base + total, base)
    return total.to(torch_dtype(spec.dtype))


def _read(source: Any, lo: int, hi: int, device: str) -> torch.Tensor:
    """Rows of a tensor as flat float32 on the device."""
    import torch

    raw = bytearray(source.tensors.buffer(source.name, lo, hi))
    kind = torch_dtype(source.tensors.specs[source.name].dtype)
    return torch.frombuffer(raw, dtype=kind).to(device).to(torch.float32)


def _reduced(kernel: Kernel, base: torch.Tensor, deltas: list[torch.Tensor]) -> torch.Tensor | None:
    """The weighted sum, or the elected mean; None where a sum that elects is not finite."""
    from deltakit.merge.engine.fused import ELECT

    rest, scale, tie = (_f32(n) for n in kernel.numbers)
    if kernel.reducer == ELECT:
        return _elected(deltas, kernel.weights, scale, tie)
    total = deltas[0] * _f32(kernel.weights[0])
    for x, weight in zip(deltas[1:], kernel.weights[1:], strict=True):
        total = total + x * _f32(weight)
    return total + base * rest if rest else total


def _elected(deltas: list[torch.Tensor], weights: tuple[float, ...], scale: float, tie: float) -> torch.Tensor | None:
    import torch

    plain = deltas[0]
    for x in deltas[1:]:
        plain = plain + x
    if not bool(torch.isfinite(plain).all()):
        return None
    positive = plain > 0 if tie < 0 else plain >= 0
    total, share = torch.zeros_like(plain), torch.zeros_like(plain)
    for x, weight in zip(deltas, weights, strict=True):
        agrees = torch.where(positive, x > 0, x < 0)
        total = total + torch.where(agrees, x * _f32(weight), torch.zeros_like(x))
        share = share + agrees * _f32(weight)
    return total / torch.where(share > 0, share, torch.ones_like(share)) * scale


def _step(x: torch.Tensor, step: Step, start: int) -> torch.Tensor:
    """A drop by its seeded mask, or a trim."""
    import torch

    from deltakit.merge.engine.program import DROP

    zero = torch.zeros_like(x)
    if step.code == DROP:
        return torch.where(_lanes(x, step.key, start) <= step.limit, x * _f32(step.value), zero)
    return torch.where(x.abs() >= _f32(step.value), x, zero)


def _lanes(x: torch.Tensor, key: int, start: int) -> torch.Tensor:
    """Those of `deltakit.rng` for elements from `start` on; int64 holds the 64 bits of a word, which wrap alike."""
    import torch

    first, end = start // 2, (start + x.numel() + 1) // 2
    z = torch.arange(first + 1, end + 1, dtype=torch.int64, device=x.device) * _signed(_STEP) + _signed(key)
    z = (z ^ _shifted(z, 30)) * _signed(_M1)
    z = (z ^ _shifted(z, 27)) * _signed(_M2)
    z = z ^ _shifted(z, 31)
    pair = torch.stack([z & 0xFFFFFFFF, _shifted(z, 32)], dim=1).flatten()
    return pair[start % 2 : start % 2 + x.numel()]


def _shifted(z: torch.Tensor, by: int) -> torch.Tensor:
    """A shift to the right that brings in zeros."""
    return (z >> by) & ((1 << (64 - by)) - 1)


def _signed(word: int) -> int:
    """The signed integer of the same 64 bits."""
    return word - (1 << 64) if word >= 1 << 63 else word


def _f32(number: float) -> float:
    """A number as float32 has it: torch multiplies float32 tensors by it in float32."""
    import numpy as np

    return float(np.float32(number)) if math.isfinite(number) else number
