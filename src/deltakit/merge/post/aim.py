"""Activation-informed merging (Nobari et al., 2025, arXiv 2502.02421, section 3): a pass behind any method."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from deltakit.checkpoint.pump import Progress, silent
from deltakit.delta.terms.base import Float32
from deltakit.errors import RecipeError
from deltakit.merge.compute.calibration import Calibrator, calibrator_of
from deltakit.sparsify.flow import Flow, Grain

__all__ = ["Aim", "Importance"]


@dataclass(frozen=True)
class Importance:
    """How much a tensor's input channels matter to the base: mean |x| over the largest mean, (slices, in), along the
    tensor's `axis`; a packed tensor has one slice per leading index."""

    axis: int
    values: NDArray[np.float32]


@dataclass(frozen=True)
class Aim:
    """delta * (1 - s (1 - omega)) per input channel, s = mean |x| / max of mean |x| of the base on text.

    What matters most to the base keeps the share `omega` of its change, what is never used all of it. Embeddings,
    norms and biases, which no activation is multiplied with, are left alone. RecipeError unless 0 <= omega <= 1.
    """

    grain: ClassVar[Grain] = "row"
    calibrated: ClassVar[bool] = True
    omega: float = 0.4

    def __post_init__(self) -> None:
        if not 0.0 <= self.omega <= 1.0:
            raise RecipeError(f"omega {self.omega} is not in [0, 1]", remedy="the paper uses 0.2 to 0.6")

    @property
    def idle(self) -> bool:
        """omega 1 relaxes nothing."""
        return self.omega == 1.0

    @property
    def unbiased(self) -> bool:
        """What is relaxed is lost."""
        return self.idle

    def on(self, flow: Flow) -> Flow:
        """The relaxed delta; one walk of the base measures all tensors."""
        calibrator = calibrator_of(flow)

        def pull(name: str, lo: int, hi: int) -> Float32:
            values = flow.pull(name, lo, hi)
            found = importances(calibrator).get(name)
            if found is None:
                return values
            return values * self._factor(found, flow.specs[name].shape, lo, hi).astype(np.float32)

        return flow.with_pull(pull, lambda progress: measure(calibrator, progress))

    def _factor(self, found: Importance, shape: tuple[int, ...], lo: int, hi: int) -> Float32:
        """What rows lo..hi are multiplied with; broadcasts over (hi - lo, row_size)."""
        factor = np.float32(1) - found.values * np.float32(1 - self.omega)
        if len(shape) == 2:
            return factor if found.axis == 1 else factor[0, lo:hi, None]
        wide = factor[lo:hi, None, :] if found.axis == 2 else factor[lo:hi, :, None]
        return np.broadcast_to(wide, (hi - lo, *shape[1:])).reshape(hi - lo, -1)


def importances(calibrator: Calibrator, progress: Progress = silent) -> dict[str, Importance]:
    """Of every tensor of the base that activations enter, measured once."""
    found: dict[str, Importance] = calibrator.once("importance", lambda: _walk(calibrator, progress))
    return found


def measure(calibrator: Calibrator, progress: Progress) -> None:
    """Measure ahead."""
    importances(calibrator, progress)


def _walk(calibrator: Calibrator, progress: Progress) -> dict[str, Importance]:
    from deltakit.calibrate.walk import reader, walk

    walker = calibrator.walker(calibrator.batches())
    progress.start("calibration", len(walker.stages), "layers")
    found = {}
    try:
        for layer, moments in walk(walker, reader(calibrator.stored(calibrator.base)), gram=False):
            for name, moment in calibrator.moments(moments).items():
                mean = moment.magnitude.float().cpu().numpy()
                top = mean.max(axis=1, keepdims=True, initial=0.0)
                found[name] = Importance(moment.axis, np.divide(mean, top, out=np.zeros_like(mean), where=top > 0))
            progress.advance(1, layer.stage.name)
    finally:
        progress.stop()
    return found
