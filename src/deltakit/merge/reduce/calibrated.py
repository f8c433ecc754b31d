"""Singular value calibration (Li et al., 2026, arXiv 2602.05536), on what another method merged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

from deltakit.checkpoint.pump import cores
from deltakit.delta.measure.decompose import triplets
from deltakit.delta.measure.threads import one_thread
from deltakit.delta.once import Whole
from deltakit.delta.terms.base import Float32
from deltakit.errors import RecipeError
from deltakit.merge.compute.whole import pull_whole
from deltakit.merge.method import Group, Method, Needs
from deltakit.merge.reduce.per_matrix import is_matrix
from deltakit.sparsify.flow import Flow, through

if TYPE_CHECKING:
    import torch

__all__ = ["Calibrated"]


@dataclass(frozen=True)
class Calibrated:
    """With the merged delta U S Vᵀ of a matrix: the response of task i along u_r is a_i = u_rᵀ delta_i, that of the
    merge a = s_r v_rᵀ; s_r is multiplied by N / sum over i of max(alpha, <a, a_i> / |a_i|²). What tasks share counts
    once where the merge counted it several times. Deltas enter unweighted; lambda lies in the merge."""

    symmetric: ClassVar[bool] = True
    unbiased: ClassVar[bool] = False
    identity: ClassVar[bool] = False
    needs: ClassVar[Needs] = "base"
    scaled: ClassVar[bool] = True
    merger: Method
    alpha: float = 1.0

    def __post_init__(self) -> None:
        if not self.alpha > 0.0:
            raise RecipeError(f"alpha {self.alpha} is not above 0", remedy="1 leaves what no merge amplified as it is")
        if self.merger.reduce.needs != "base" or self.merger.whole or self.merger.each or not self.merger.symmetric:
            raise RecipeError(
                "svc works behind merges of whole deltas over a base", remedy="e.g. task_arithmetic, tsv_m"
            )

    def check(self, weights: Sequence[float]) -> None:
        """What the merger says."""
        self.merger.reduce.check(weights)

    def coefficients(self, weights: Sequence[float]) -> tuple[float, ...] | None:
        """Never a mere sum."""
        return None

    def over(self, group: Group) -> Flow:
        """The merged delta with other singular values."""
        merged = through(self.merger.reduce.over(group), self.merger.post)
        return Flow(merged.specs, CalibratedRows(group.flows, merged, self.alpha), "", 0, merged.measures)


@dataclass(frozen=True)
class CalibratedRows:
    """The pull of a calibrated merge."""

    flows: tuple[Flow, ...]
    merged: Flow
    alpha: float
    made: Whole = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "made", Whole(self._matrix, kept=cores() + 1))

    def __call__(self, name: str, lo: int, hi: int) -> Float32:
        spec = self.merged.specs[name]
        found = len(spec.shape) == 2 and is_matrix(name, spec, 2)
        return (self.made.pull if found else self.merged.pull)(name, lo, hi)

    def _matrix(self, name: str) -> Float32:
        import torch

        merged, *tasks = (torch.from_numpy(pull_whole(f.pull, f.specs, name)) for f in (self.merged, *self.flows))
        with one_thread():
            left, values, right = triplets(merged, min(merged.shape))
            total = sum((self._ratio(left, values, right, t.double()) for t in tasks), torch.zeros_like(values))
            made: Float32 = ((left * (values * len(tasks) / total)) @ right.T).float().numpy()
            return made

    def _ratio(self, left: torch.Tensor, values: torch.Tensor, right: torch.Tensor, task: torch.Tensor) -> torch.Tensor:
        """max(alpha, <a, a_i> / |a_i|²) for every direction; alpha where the task has no part in it."""
        import torch

        response = left.T @ task
        norms = (response * response).sum(dim=1)
        ratio = values * (response * right.T).sum(dim=1) / torch.where(norms > 0, norms, 1.0)
        return torch.where(norms > 0, ratio, 0.0).clamp(min=self.alpha)
