"""Regression mean: each linear layer gives, in least squares, what its models' layers give on their own inputs.

RegMean: Jin et al., 2023, arXiv 2212.09849, section 3.2 and equation 2. RegMean++: arXiv 2508.03121, section 3.
"""

from __future__ import annotations

import math
import re
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from deltakit.checkpoint.pump import Progress, silent
from deltakit.delta.measure.threads import one_thread
from deltakit.delta.terms.base import Float32
from deltakit.errors import InputError, RecipeError
from deltakit.merge.compute.calibration import Calibrator, calibrator_of, read_over, whole_rows
from deltakit.merge.compute.spool import Spool
from deltakit.merge.method import Group, Needs
from deltakit.sparsify.flow import Flow
from deltakit.tensors import TensorSpec

if TYPE_CHECKING:
    import torch

    from deltakit.calibrate.moments import Moments
    from deltakit.calibrate.stages import Stage
    from deltakit.calibrate.walk import States, Walker

__all__ = ["RegressionMean"]

_RIDGE = 1e-6  # of each entry of the diagonal: as good as nothing beside alpha, and what alpha 1 is solved by
_FLOOR = 1e-12  # of the diagonal's mean: an input that no text reaches takes the weighted mean

_TRIES = 12
_LAYER = re.compile(r"(^.*?\.\d+)\.")  # up to the first number in a name: the layer
_ROWS = 4096  # output rows multiplied at a time in float64


@dataclass(frozen=True)
class RegressionMean:
    """delta = (sum w_i G_i)^-1 sum w_i G_i delta_i, with G_i = X_i^T X_i over the inputs of model i, its off-diagonal
    entries times `alpha`, per token. Tensors that no activation is multiplied with are averaged by the weights.

    On deltas it is the same as on models, and equal models give that model. `sequential` (RegMean++): X_i are what
    model i's layer sees behind the merged layers before it, else what it sees within model i. A G_i of a packed tensor
    is that of each expert. A ridge towards the weighted mean, 1e-6 of the diagonal, keeps the sum invertible.
    """

    symmetric: ClassVar[bool] = True
    unbiased: ClassVar[bool] = False
    needs: ClassVar[Needs] = "models"
    scaled: ClassVar[bool] = False
    calibrated: ClassVar[bool] = True
    alpha: float = 0.9
    sequential: bool = False

    def __post_init__(self) -> None:
        if not 0.0 <= self.alpha <= 1.0:
            raise RecipeError(
                f"alpha {self.alpha} is not in [0, 1]", remedy="1 is the plain regression, 0 looks at channels alone"
            )

    def check(self, weights: Sequence[float]) -> None:
        """A mean needs positive weights."""
        if any(w <= 0 for w in weights):
            raise RecipeError(
                f"weights {', '.join(f'{w:g}' for w in weights)}: a regression mean needs weights above 0",
                remedy="leave a model out instead of giving it weight 0",
            )

    def coefficients(self, weights: Sequence[float]) -> tuple[float, ...] | None:
        """A lone delta is its own mean."""
        return (1.0,) if len(weights) == 1 else None

    def cost(self, specs: Mapping[str, TensorSpec]) -> tuple[str, ...]:
        """What it takes, for the plan: temporary disk, and about how much memory, told from shapes alone."""
        layers: dict[str, int] = {}
        disk = 0
        for name, spec in specs.items():
            if spec.is_float and len(spec.shape) in (2, 3):
                slices, (rows, columns) = spec.numel // max(1, math.prod(spec.shape[-2:])), spec.shape[-2:]
                # a weight and its delta in float32, its equations in float64: inputs x inputs, outputs x inputs
                held = slices * (rows * columns * 20 + (12 * columns**2 if "embed" not in name else 0))
                number = _LAYER.search(name)
                layers[number[1] if number else name] = layers.get(number[1] if number else name, 0) + held
                disk += spec.numel * 4
        return (
            f"matrices that activations enter are solved, all else is averaged; up to {disk / 1e9:.3g} GB of temporary "
            f"disk, about {max(layers.values(), default=0) / 1e9:.2g} GB of memory for one layer",
        )

    def over(self, group: Group) -> Flow:
        """The merged delta; one walk of all models side by side solves it, layer by layer."""
        solved = _Solved(self, group, calibrator_of(group), Spool(group.flows[0].specs))

        def pull(name: str, lo: int, hi: int) -> Float32:
            spool = solved.of()
            return spool.rows(name, lo, hi) if name in spool else solved.mean(name, lo, hi)

        measures = tuple(m for f in group.flows for m in f.measures)
        return Flow(group.flows[0].specs, pull, "", 0, (*measures, solved.measure))


@dataclass
class _Solved:
    """The merged deltas of all tensors that activations enter, found once, when one of them is first needed."""

    reducer: RegressionMean
    group: Group
    calibrator: Calibrator
    spool: Spool
    done: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock)

    def of(self, progress: Progress = silent) -> Spool:
        """The spool, filled."""
        with self.lock:
            if not self.done:
                self._walk(progress)
                self.done = True
            return self.spool

    def measure(self, progress: Progress) -> None:
        """Walk ahead."""
        self.of(progress)

    def mean(self, name: str, lo: int, hi: int) -> Float32:
        """sum of w * delta / sum of w, of a tensor that is averaged."""
        total = np.float32(sum(self.group.weights))
        parts = [
            f.pull(name, lo, hi) * np.float32(w) for f, w in zip(self.group.flows, self.group.weights, strict=True)
        ]
        return sum(parts[1:], start=parts[0]) / total

    def _walk(self, progress: Progress) -> None:
        group = self.group
        walkers = self._walkers()
        reads = [read_over(self.calibrator, group.flows[0], m) for m in group.models]
        states: list[States | None] = [None] * len(walkers)
        stages = walkers[0].stages
        progress.start("calibration", len(stages) * len(walkers), "layers")
        try:
            for stage in stages:
                sums: dict[str, _Normal] = {}
                for i, (walker, read) in enumerate(zip(walkers, reads, strict=True)):
                    walker.load(stage, read)
                    watched, given = walker.watch(stage, states[i])
                    moments = self.calibrator.moments(watched)
                    with one_thread():
                        self._add(sums, i, moments, walker.batches.tokens)
                    if not self.reducer.sequential:
                        states[i] = given
                    progress.advance(1, stage.name)
                with one_thread():
                    for name in sorted(sums):
                        rows = group.flows[0].specs[name].rows
                        self.spool.put(name, sums.pop(name).solution(self.mean(name, 0, rows)))
                if self.reducer.sequential:
                    states = self._behind(stage, walkers, states)
        finally:
            progress.stop()

    def _walkers(self) -> list[Walker]:
        """One for each model; models that see the same text share one."""
        made: dict[Any, Walker] = {}
        found = []
        for flow in self.group.flows:
            text = self.calibrator.text_of(flow.model)
            if text not in made:
                made[text] = self.calibrator.walker(self.calibrator.batches(text))
            found.append(made[text])
        return found

    def _add(self, sums: dict[str, _Normal], i: int, moments: dict[str, Moments], tokens: int) -> None:
        flow, weight = self.group.flows[i], self.group.weights[i]
        for name, moment in moments.items():
            if name in flow.specs:
                delta = whole_rows(flow, flow.pull, name)
                sums.setdefault(name, _Normal(self.reducer.alpha)).add(moment, delta, weight, tokens)

    def _behind(self, stage: Stage, walkers: Sequence[Walker], states: Sequence[States | None]) -> list[States | None]:
        """What the merged stage gives on each text; once where the text is the same."""
        flow = self.group.flows[0]

        def merged(name: str, lo: int, hi: int) -> Float32:
            rows = self.spool.rows(name, lo, hi) if name in self.spool else self.mean(name, lo, hi)
            return self.group.base(name, lo, hi) + rows

        read = read_over(self.calibrator, flow, merged)
        given: dict[int, States] = {}
        for walker, before in zip(walkers, states, strict=True):
            if id(walker) not in given and stage is not walkers[0].stages[-1]:
                own = next(s for s in walker.stages if s.layer == stage.layer)
                walker.load(own, read)
                given[id(walker)] = walker.advance(own, before)
        return [given.get(id(walker)) for walker in walkers]


@dataclass
class _Normal:
    """The normal equations of one tensor, summed over models, float64: the inputs along the last axis."""

    alpha: float
    axis: int = 1
    shape: tuple[int, ...] = ()
    left: torch.Tensor | None = None  # (slices, in, in): sum of w G
    right: torch.Tensor | None = None  # (slices, out, in): sum of w delta G

    def add(self, moment: Moments, delta: Float32, weight: float, tokens: int) -> None:
        """One model's share, with G per token and its off-diagonals shrunk."""
        import torch

        assert moment.gram is not None
        gram = moment.gram.double() * (weight / tokens)
        diagonal = torch.diagonal(gram, dim1=1, dim2=2).clone()
        gram *= self.alpha
        torch.diagonal(gram, dim1=1, dim2=2).copy_(diagonal)
        self.axis, self.shape = moment.axis, delta.shape
        moved = _inputs_last(torch.from_numpy(delta).to(gram.device), moment.axis)
        if self.left is None or self.right is None:
            self.left, self.right = gram, torch.zeros(moved.shape, dtype=gram.dtype, device=gram.device)
        else:
            self.left += gram
        for lo in range(0, moved.shape[1], _ROWS):
            self.right[:, lo : lo + _ROWS] += moved[:, lo : lo + _ROWS].double() @ gram

    def solution(self, mean: Float32) -> Float32:
        """The merged delta, float32, in the tensor's own shape. `mean` is the weighted mean of the deltas."""
        import torch

        assert self.left is not None
        assert self.right is not None
        means = _inputs_last(torch.from_numpy(mean.reshape(self.shape)).to(self.left.device), self.axis)
        found = torch.empty_like(means)
        for left, right, rest, out in zip(self.left, self.right, means, found, strict=True):
            out.copy_(_solved(left, right, rest))
        back = found if self.axis == len(self.shape) - 1 else found.transpose(1, 2)
        return np.ascontiguousarray(back.reshape(self.shape).cpu().numpy())


def _inputs_last(delta: torch.Tensor, axis: int) -> torch.Tensor:
    """(slices, out, in) of a matrix or a packed tensor whose inputs run along `axis`."""
    packed = delta if delta.dim() == 3 else delta.unsqueeze(0)
    return packed if axis == delta.dim() - 1 else packed.transpose(1, 2)


def _solved(left: torch.Tensor, right: torch.Tensor, mean: torch.Tensor) -> torch.Tensor:
    """X with X (left + ridge) = right + mean * ridge. The ridge grows until the factorisation holds."""
    import torch

    diagonal = torch.diagonal(left).clone()
    size = float(diagonal.mean()) if len(left) else 0.0
    ridge = _RIDGE * diagonal + (_FLOOR * size if size > 0.0 else 1.0)
    for _ in range(_TRIES):
        lifted = left.clone()
        torch.diagonal(lifted).add_(ridge)
        factor, failed = torch.linalg.cholesky_ex(lifted)
        if int(failed) == 0:
            found: torch.Tensor = torch.cholesky_solve((right + mean * ridge).T, factor).T
            return found
        ridge *= 10.0
    raise InputError("the activations of a layer are too large to be solved for", remedy="check the models' weights")
