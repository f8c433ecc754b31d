"""Whether models come from the parent that they are merged over, judged from a sample of their weights.

Fine-tunes of one parent lie close to it: cosines near 1, differences of a small part of its norm. Weights trained
apart are as good as orthogonal: cosine near 0, a difference of sqrt(2) times the norm or more; sums of them are noise.
DARE's authors find that dropping fails where |delta| is above about 0.01, as over a wrong base (arXiv 2311.03099).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from deltakit.delta.terms.base import Float32
from deltakit.errors import MismatchError
from deltakit.tensors import TensorMap, TensorSpec, to_float32

__all__ = ["FAR", "UNRELATED", "Kinship", "Sampled", "check_parents", "kinship"]

UNRELATED = 0.1  # median cosine below which weights have nothing to do with each other
FAR = 0.5  # median ratio above which the base is hardly the parent
_LARGE, _MOVED = 0.01, 0.2  # median |delta| and ratio that together say the same
_TENSORS, _STRETCHES, _WIDTH = 32, 8, 1024  # what is sampled: at most 256 Ki elements of each model
_ENOUGH = 512  # elements of one tensor below which a cosine means nothing


@dataclass(frozen=True)
class Kinship:
    """Medians over the sampled matrices: ||model - base|| / ||base||, the cosine of model and base, and |model - base|
    of single elements. `matrices` is how many were sampled."""

    ratio: float
    cosine: float
    delta: float
    matrices: int

    @property
    def unrelated(self) -> bool:
        """Trained apart: no direction in common."""
        return self.cosine < UNRELATED

    @property
    def far(self) -> bool:
        """So far from the base that it is hardly the parent. (Weights of a toy's size have large deltas anyhow, so the
        absolute rule counts only beside a ratio.)"""
        return self.ratio > FAR or (self.delta > _LARGE and self.ratio > _MOVED)

    def __str__(self) -> str:
        return (
            f"median over {self.matrices} matrices: difference {self.ratio:.3g} times the base's norm, "
            f"cosine {self.cosine:.2f}, |delta| {self.delta:.2g}"
        )


@dataclass(frozen=True)
class Sampled:
    """The kinship of each model that could be judged, by label, and a line for each that is far from its base."""

    kinships: Mapping[str, Kinship]
    warnings: tuple[str, ...] = ()


def check_parents(
    base: TensorMap,
    models: Sequence[tuple[str, TensorMap]],
    *,
    base_label: str = "the base",
    allow_unrelated: bool = False,
    strict: bool = False,
) -> Sampled:
    """Compare each labelled model with the base, or with the model that stands in for it; reads some MB of each.

    Raises MismatchError with every model that is unrelated (unless allowed) and, with `strict`, every one that is far
    from its base; else those are warnings.
    """
    found = {label: kin for label, model in models if (kin := kinship(base, model)) is not None}
    apart = [f"{label}: unrelated to {base_label} ({kin})" for label, kin in found.items() if kin.unrelated]
    far = [
        f"{label}: far from {base_label}, which may not be its parent ({kin})"
        for label, kin in found.items()
        if kin.far and not kin.unrelated
    ]
    refused = ([] if allow_unrelated else apart) + (far if strict else [])
    if refused:
        raise MismatchError(_why(refused, apart), remedy=_remedy(refused, apart), details=refused)
    return Sampled(found, tuple(apart + far))


def _why(refused: Sequence[str], apart: Sequence[str]) -> str:
    if any(line in apart for line in refused):
        return (
            "the weights of these models were trained apart: they have the same shapes, but no common parent, "
            "and a sum of unrelated weights is noise"
        )
    return "these models lie far from their base (strict)"


def _remedy(refused: Sequence[str], apart: Sequence[str]) -> str:
    true = "name the true parent as base, and merge only its fine-tunes"
    return (
        f"{true}; or allow it by --allow-unrelated (in a recipe: allow_unrelated: true)"
        if any(r in apart for r in refused)
        else true
    )


def kinship(base: TensorMap, model: TensorMap) -> Kinship | None:
    """How near a model lies to a base, from a bounded and deterministic sample of the matrices that both have. None
    where there is nothing to judge by: norms, biases, tiny tensors and tensors of zeros say nothing."""
    ratios, cosines, moved = [], [], []
    for name in _names(base.specs, model.specs):
        old, new = (np.concatenate([*_windows(m, name, base, model)]).astype(np.float64) for m in (base, model))
        norms = float(np.linalg.norm(old)), float(np.linalg.norm(new))
        if min(norms) > 0.0 and all(map(math.isfinite, norms)):
            ratios.append(float(np.linalg.norm(new - old)) / norms[0])
            cosines.append(float(old @ new) / (norms[0] * norms[1]))
            moved.append(np.abs(new - old))
    if not ratios:
        return None
    delta = float(np.median(np.concatenate(moved)))
    return Kinship(float(np.median(ratios)), float(np.median(cosines)), delta, len(ratios))


def _names(base: Mapping[str, TensorSpec], model: Mapping[str, TensorSpec]) -> list[str]:
    """Matrices with rows in common, large enough to tell, at most so many, spread evenly over the names."""
    fit = [n for n, s in base.items() if n in model and _tells(s, model[n])]
    return [fit[i] for i in _spread(len(fit), _TENSORS)]


def _tells(base: TensorSpec, model: TensorSpec) -> bool:
    shapes = len(base.shape) == len(model.shape) >= 2 and base.shape[1:] == model.shape[1:]
    return shapes and base.is_float and model.is_float and min(base.rows, model.rows) * base.row_size >= _ENOUGH


def _spread(count: int, most: int) -> list[int]:
    """At most `most` of `count` places, first and last among them."""
    return list(range(count)) if count <= most else [i * (count - 1) // (most - 1) for i in range(most)]


def _windows(source: TensorMap, name: str, base: TensorMap, model: TensorMap) -> Iterator[Float32]:
    """Stretches of some rows, at places that differ from stretch to stretch; the same places in both models."""
    spec = source.specs[name]
    rows = min(base.specs[name].rows, model.specs[name].rows)
    group = min(rows, max(1, _WIDTH // spec.row_size))
    width = min(group * spec.row_size, _WIDTH)
    for k, lo in enumerate(_spread(rows - group + 1, _STRETCHES)):
        at = (group * spec.row_size - width) * k // (_STRETCHES - 1)
        raw = source.buffer(name, lo, lo + group)[at * spec.itemsize : (at + width) * spec.itemsize]
        yield to_float32(raw, spec.dtype)
