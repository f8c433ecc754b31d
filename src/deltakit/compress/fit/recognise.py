"""Recognises a delta that is a product of thin factors under the rounding of the weights: a merged LoRA.

What a merge leaves is tuned = round(base + B A): B A plus an error of up to half a unit in the last place of each
weight. The sum of ulp**2 / 12 over all weights says how much energy such an error has, and sqrt(mean) * (sqrt(m) +
sqrt(n)) how far its singular values reach (Marchenko and Pastur, 1967). A delta whose singular values behind the r-th
hold no more than that has rank r. Its factors are then fitted to the weights by least squares: a weight that is
rounded finely counts more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from deltakit import rng
from deltakit.delta.expression import Entry
from deltakit.delta.measure.threads import one_thread
from deltakit.delta.terms.base import Float32, base_floats
from deltakit.delta.terms.lowrank import LowRank
from deltakit.tensors import TensorSpec

if TYPE_CHECKING:
    import torch

__all__ = ["factors", "recognised", "roundings"]

Float64 = NDArray[np.float64]

_DIGITS = {"BF16": 7, "F16": 10, "F32": 23}  # of the mantissa behind the point
_LEAST = {"BF16": -133, "F16": -24, "F32": -149}  # the exponent of the smallest step
_MOST, _ROOM = 128, 16  # the largest rank that is looked for, and how many directions more
_EDGE, _ENERGY = 1.3, 1.25  # how far above its expectation an error of rounding may lie
_SAMPLE = 512  # rows and columns of a first look, which spares most full fine-tunes the second
_ROUNDS, _WORK = 3, 2e10  # of weighted fitting, and the products that one of them may take


def recognised(entry: Entry, values: Float32, limit: int) -> LowRank | None:
    """The factors of a delta that has them, in at most `limit` bytes; `values` is its matrix. None for all others."""
    spec = entry.shared_spec
    term = entry.parts[0].term if len(entry.parts) == 1 and entry.parts[0].coef == 1.0 else None
    base, name = getattr(term, "base", None), getattr(term, "name", "")
    if term is None or base is None or name not in base.specs or spec.dtype not in _DIGITS:
        return None
    old = base_floats(base, name, 0, spec.rows, spec.dtype).reshape(values.shape)
    found = factors(values, old, spec.dtype)
    if found is None:
        return None
    made = _stored(spec, *found, float(np.square(roundings(old + values, spec.dtype)).sum() / 12))
    return made if made.nbytes <= limit else None


def factors(delta: Float32, base: Float32, dtype: str) -> tuple[Float32, Float32] | None:
    """U (m, r) and V (n, r) with delta = U Vᵀ up to the rounding of base + delta to `dtype`, all (m, n); None where the
    delta has no low rank."""
    right = _span(delta, base, dtype)
    if right is None:
        return None
    with one_thread():
        return _fitted(delta, roundings(base + delta, dtype), right)


def roundings(values: Float32, dtype: str) -> Float32:
    """The unit in the last place of each of `values` in `dtype`."""
    exponents = np.where(values == 0, _LEAST[dtype], np.frexp(values)[1] - 1 - _DIGITS[dtype])
    return np.ldexp(np.float32(1), np.maximum(exponents, _LEAST[dtype])).astype(np.float32)


def _span(delta: Float32, base: Float32, dtype: str) -> Float64 | None:
    """Directions (r, n) of the rows of a delta of low rank."""
    if min(delta.shape) < 8:
        return None
    rows, columns = (slice(None, None, max(1, size // _SAMPLE)) for size in delta.shape)
    small = delta[rows, columns]
    telling = min(small.shape) > 2 * (_MOST + _ROOM) and small.size < delta.size
    if telling and _low(small, roundings(base[rows, columns] + small, dtype)) is None:
        return None
    return _low(delta, roundings(base + delta, dtype))


def _low(delta: Float32, units: Float32) -> Float64 | None:
    """The right singular vectors that stand out of the rounding, if nothing else does."""
    import torch

    noise = float(np.square(units, dtype=np.float64).sum()) / 12
    energy = float(np.square(delta, dtype=np.float64).sum())
    if energy < 2 * noise:  # what is mostly rounding says nothing
        return None
    m, n = delta.shape
    count = min(m, n, _MOST + _ROOM)
    with one_thread():
        wide = torch.from_numpy(np.ascontiguousarray(delta)).double()
        basis = torch.linalg.qr(wide @ _signs(n, count))[0]
        basis = torch.linalg.qr(wide @ torch.linalg.qr(wide.T @ basis)[0])[0]
        _, s, right = torch.linalg.svd(basis.T @ wide, full_matrices=False)
        values, vectors = s.numpy(), right.numpy()
    edge = _EDGE * np.sqrt(noise / (m * n)) * (np.sqrt(m) + np.sqrt(n))
    rank = int((values > max(edge, 1e-7 * values[0])).sum())
    rest = energy - float(np.square(values[:rank]).sum())
    low = 0 < rank <= min(_MOST, min(m, n) // 4) and rest <= _ENERGY * noise + 1e-12 * energy
    return np.asarray(vectors[:rank]) if low else None


def _signs(rows: int, columns: int) -> torch.Tensor:
    """Signs by chance, the same everywhere."""
    import torch

    bits = np.unpackbits(rng.words(0, 0, rows * columns // 64 + 1).view(np.uint8))[: rows * columns]
    return torch.from_numpy(bits.reshape(rows, columns).astype(np.float64) * 2 - 1)


def _fitted(delta: Float32, units: Float32, right: Float64) -> tuple[Float32, Float32]:
    """Weighted least squares from both sides in turn: a weight that is rounded finely says more."""
    import torch

    floor = np.float32(np.sqrt(np.square(units, dtype=np.float64).mean()) / 64)  # zeros must not rule
    weights = torch.from_numpy(1 / np.square(np.maximum(units, floor), dtype=np.float64))
    weights /= weights.mean()
    wide = torch.from_numpy(np.ascontiguousarray(delta)).double()
    v = torch.from_numpy(np.ascontiguousarray(right.T))
    u = wide @ v
    for _ in range(_ROUNDS if wide.numel() * v.shape[1] ** 2 <= _WORK else 0):
        u = _side(wide, weights, v)
        v = _side(wide.T, weights.T, u)
    left, s, turn = torch.linalg.svd(u @ torch.linalg.qr(v)[1].T, full_matrices=False)
    v = torch.linalg.qr(v)[0] @ turn.T
    root = s.sqrt()
    return (left * root).float().numpy(), (v * root).float().numpy()


def _side(wide: Any, weights: Any, v: Any) -> Any:
    """For each row i the u that makes sum_j w_ij (d_ij - u v_j)**2 least."""
    import torch

    r = v.shape[1]
    pairs = (v[:, :, None] * v[:, None, :]).reshape(len(v), r * r)
    left = (weights @ pairs).reshape(-1, r, r)
    left += 1e-12 * left.diagonal(dim1=1, dim2=2).mean(dim=1)[:, None, None] * torch.eye(r, dtype=torch.float64)
    return torch.linalg.solve(left, (weights * wide) @ v)


def _stored(spec: TensorSpec, u: Float32, v: Float32, noise: float) -> LowRank:
    """Factors in float16 where that adds next to nothing to the rounding, else in float32."""
    made = LowRank.of(spec, u, v, "F16")
    a, _, b = made.factors()
    with one_thread():
        added = float(np.square(a @ b.T - u @ v.T, dtype=np.float64).sum())
    return made if added <= 0.02 * noise else LowRank.of(spec, u, v, "F32")
