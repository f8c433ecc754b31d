"""What tests of spherical methods share: a family on disk, and slow float64 versions on whole tensors."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from support.merging import Arrays, draw, rounded, store, tune, values

Vector = NDArray[np.float64]
Oracle = Callable[[list[Vector]], Vector]  # whole tensors, flattened -> the merged one


def unit(v: Vector) -> Vector:
    size = np.linalg.norm(v)
    return v / size if size > 0 else v * 0


def bend(a: Vector, b: Vector, t: float) -> Vector:
    """Slerp of two vectors."""
    cosine = float(unit(a) @ unit(b))
    if not a.any() or not b.any() or abs(cosine) > 0.9995:
        return (1 - t) * a + t * b
    angle = np.arccos(cosine)
    return (np.sin((1 - t) * angle) * a + np.sin(t * angle) * b) / np.sin(angle)


def relatives(folder: Path, dtype: str, count: int, size: float = 0.7) -> tuple[Arrays, list[Arrays], str, list[str]]:
    """(base, models, base's folder, models' folders); one model keeps the base's norm."""
    base = draw(0, dtype)
    models = [tune(base, 10 + i, dtype, size=size) for i in range(count)]
    models[0]["norm.weight"] = base["norm.weight"].copy()
    where = [store(folder / f"m{i}", m, dtype) for i, m in enumerate(models)]
    return base, models, store(folder / "base", base, dtype), where


def check_against(oracle: Oracle, made: Any, models: list[Arrays], dtype: str, base: Arrays | None = None) -> None:
    """The merged model is the oracle's, tensor by tensor: of the models, or (over a base) of their deltas. Tolerance:
    the last bits of float32, behind which a narrow dtype is rounded."""
    found = values(made)
    for name, some in found.items():
        origin = np.zeros(some.size) if base is None else base[name].astype(np.float64).ravel()
        vectors = [m[name].astype(np.float64).ravel() - origin for m in models]
        want = rounded({"t": (origin + oracle(vectors)).reshape(some.shape)}, dtype)["t"]
        ulp = {"BF16": 2**-7, "F16": 2**-10, "F32": 2**-20}[dtype]
        assert np.allclose(some, want, rtol=ulp, atol=2e-6), name
