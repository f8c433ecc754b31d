"""Dropping with a searched factor: DAREx-q (Deng et al., 2024, arXiv 2410.09344, section 4.1, unlabelled variant)."""

from __future__ import annotations

import math
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from deltakit import rng
from deltakit.checkpoint.pump import Progress, silent
from deltakit.delta.terms.base import Float32
from deltakit.errors import InputError, RecipeError
from deltakit.merge.compute.calibration import Calibrator, calibrator_of, read_over
from deltakit.registry import did_you_mean
from deltakit.sparsify.drop import Drop
from deltakit.sparsify.flow import Flow, Grain
from deltakit.tensors import to_float32

if TYPE_CHECKING:
    from deltakit.calibrate.stages import Stage
    from deltakit.calibrate.walk import Read, States, Walker

__all__ = ["DropSearched"]


@dataclass(frozen=True)
class DropSearched:
    """Keep each element with probability `density`, by DARE's own masks, and divide the kept ones by q.

    q is that of `steps` + 1 candidates from density (DARE itself) to 1, evenly spaced in their logarithms, which
    changes the output on one batch of text least: the mean of |output of base + kept / q - output of the fine-tune|.
    scope "model" takes one q, judged by the last layer's output (the paper's); "layer" one for each layer, judged by
    that layer's output, behind the layers that are dropped already. RecipeError unless 0 < density <= 1.
    """

    grain: ClassVar[Grain] = "model"
    calibrated: ClassVar[bool] = True
    density: float
    scope: str = "model"
    steps: int = 10

    def __post_init__(self) -> None:
        rng.threshold(self.density)
        if self.scope not in ("model", "layer"):
            raise RecipeError(f"darex has no scope {self.scope!r}", remedy=did_you_mean(self.scope, ["model", "layer"]))
        if self.steps < 1:
            raise RecipeError(f"steps {self.steps}: a search needs at least 1", remedy="10 is usual")

    @property
    def idle(self) -> bool:
        """Density 1 keeps everything as it is."""
        return Drop(self.density).idle

    @property
    def unbiased(self) -> bool:
        """Dividing by more than the probability makes the mean smaller."""
        return self.idle

    @property
    def candidates(self) -> tuple[float, ...]:
        """The values of q that are tried, ascending."""
        least = rng.probability(self.density)
        return tuple(float(least ** (1.0 - k / self.steps)) for k in range(self.steps + 1))

    def on(self, flow: Flow) -> Flow:
        """The flow with dropped elements at zero; q is found by a walk on text, of all candidates side by side."""
        dropped = Drop(self.density, rescale=False).on(flow)
        search = _Search(self, flow, dropped, calibrator_of(flow))

        def pull(name: str, lo: int, hi: int) -> Float32:
            return dropped.pull(name, lo, hi) / np.float32(search.divisor(name))

        return replace(dropped, pull=pull, measures=(*flow.measures, search.measure))


@dataclass
class _Search:
    """The chosen q of each tensor, found once, when it is first needed."""

    step: DropSearched
    flow: Flow
    dropped: Flow
    calibrator: Calibrator
    found: dict[str, float] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def divisor(self, name: str, progress: Progress = silent) -> float:
        """q of a tensor; tensors that lie in no layer have that of the model's last."""
        with self.lock:
            if not self.found:
                self._search(progress)
            return self.found[name] if name in self.found else self.found[""]

    def measure(self, progress: Progress) -> None:
        """Search ahead."""
        self.divisor("", progress)

    def _search(self, progress: Progress) -> None:
        from deltakit.calibrate.batches import Batches

        batches = self.calibrator.batches()
        walker = self.calibrator.walker(Batches(batches[0], len(batches[0])))
        progress.start("calibration", len(walker.stages), "layers")
        try:
            if self.step.scope == "model":
                self._whole(walker, progress)
            else:
                self._layers(walker, progress)
        finally:
            progress.stop()

    def _whole(self, walker: Walker, progress: Progress) -> None:
        """All candidates and the fine-tune walk side by side; the outputs at the end are compared."""
        ways = self.step.candidates
        states: dict[float, States | None] = {q: None for q in (0.0, *ways)}
        errors: dict[float, float] = {}
        for stage in walker.stages:
            last = stage is walker.stages[-1]
            tensors = self._tensors(stage)
            wanted = self._run(walker, stage, tensors.tuned, states[0.0])
            states[0.0] = wanted
            for q in ways:
                given = self._run(walker, stage, tensors.at(q), states[q])
                if last:
                    errors[q] = _distance(given, wanted)
                else:
                    states[q] = given
            progress.advance(1, stage.name)
        self.found = {"": _best(errors)}

    def _layers(self, walker: Walker, progress: Progress) -> None:
        """Each layer chooses for itself, given what the layers before it have chosen."""
        kept: States | None = None
        full: States | None = None
        found: dict[str, float] = {}
        for stage in walker.stages:
            tensors = self._tensors(stage)
            full = self._run(walker, stage, tensors.tuned, full)
            errors = {q: _distance(self._run(walker, stage, tensors.at(q), kept), full) for q in self.step.candidates}
            found[""] = _best(errors)
            if stage is not walker.stages[-1]:
                kept = self._run(walker, stage, tensors.at(found[""]), kept)
            found |= {name: found[""] for stored in stage.names for name in self.calibrator.names(stored)}
            progress.advance(1, stage.name)
        self.found = found

    def _run(self, walker: Walker, stage: Stage, read: Read, states: States | None) -> States:
        walker.load(stage, read)
        return walker.advance(stage, states)

    def _tensors(self, stage: Stage) -> _Tensors:
        """The stage's tensors, read once for all candidates."""
        reads = [read_over(self.calibrator, self.flow, p) for p in (self._base, self.flow.pull, self.dropped.pull)]
        base, delta, kept = ({n: read(n) for n in stage.needs} for read in reads)
        changed = {n for n in stage.needs if any(m in self.flow.specs for m in self.calibrator.names(n))}
        return _Tensors(base, {n: delta[n] for n in changed}, {n: kept[n] for n in changed})

    def _base(self, name: str, lo: int, hi: int) -> Float32:
        spec = self.calibrator.base.specs[name]
        return to_float32(self.calibrator.base.buffer(name, lo, hi), spec.dtype).reshape(hi - lo, spec.row_size)


@dataclass(frozen=True)
class _Tensors:
    """One stage's tensors: the base's, the delta's, and what is kept of the delta."""

    base: Mapping[str, Any]
    delta: Mapping[str, Float32]
    kept: Mapping[str, Float32]

    def tuned(self, name: str) -> Any:
        """The fine-tune's."""
        return self.base[name] + self.delta[name] if name in self.delta else self.base[name]

    def at(self, q: float) -> Read:
        """base + kept / q."""
        return lambda n: self.base[n] + self.kept[n] / np.float32(q) if n in self.kept else self.base[n]


def _best(errors: Mapping[float, float]) -> float:
    """The q of the least error, the smallest of several. InputError where no output was finite."""
    finite = {q: error for q, error in errors.items() if math.isfinite(error)}
    if not finite:
        raise InputError("the outputs of this model are not finite on the text", remedy="check its weights")
    return min(sorted(finite), key=lambda q: finite[q])


def _distance(given: States, wanted: States) -> float:
    """The mean of |difference| over all outputs of one batch; float64 sums."""
    (a,), (b,) = given, wanted
    first, second = (s[0] if isinstance(s, tuple | list) else s for s in (a, b))
    return float((first - second).abs().double().mean())
