"""Compression in true sequence: each layer is coded for the inputs that the coded layers before it really give.

The fine-tune's own frame is walked. A layer's second moments are taken with its weights as they were trained; then its
tensors are coded, in parallel, decoded as a reader of the archive will see them, put into the layer, and the text goes
through it once. (The public code of Delta-CoMe, arXiv 2406.08903, goes through once for every bit width.) What an
earlier run finished is decoded and put in likewise, so that a resumed run ends in the same bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from deltakit.calibrate.sampling import Sampling, check_runnable, open_walker
from deltakit.checkpoint.sidecar import Sidecar
from deltakit.compress.hessian import Hessian
from deltakit.compress.run.device import SMALLER, room_on
from deltakit.compress.run.encode import Encoder
from deltakit.compress.run.hessians import LayerHessians
from deltakit.compress.run.operands import Operands
from deltakit.delta.applied import Applied
from deltakit.delta.expression import Entries
from deltakit.delta.file.segments import Segments
from deltakit.tensors import TensorSpec

if TYPE_CHECKING:
    from deltakit.calibrate.batches import Batches
    from deltakit.calibrate.stages import Stage
    from deltakit.calibrate.walk import Read, States, Walker

__all__ = ["Walk", "files_of", "restored"]

_FLOAT = 4  # bytes: weights, moments and states are float32 on a walk


@dataclass(frozen=True)
class Walk:
    """A walk through a fine-tune on some text, before it begins."""

    operands: Operands
    sampling: Sampling
    batches: Batches
    device: str = "cpu"

    @classmethod
    def of(cls, operands: Operands, sampling: Sampling, device: str = "cpu") -> Walk:
        """Opens the text, and checks before a weight is read that the model can run. Errors: those of
        `check_runnable` and of `Sampling.batches`."""
        sidecar = files_of(operands)
        check_runnable(sidecar, "calibration")
        return cls(operands, sampling, sampling.batches(sidecar), device)

    @property
    def note(self) -> dict[str, Any]:
        """What decides the moments, JSON-able."""
        return {"calibration": self.sampling.described(self.batches)}

    @property
    def hessians(self) -> Mapping[str, Hessian]:
        """None is known before the walk."""
        return {}

    def unseen(self, names: Iterable[str]) -> list[str]:
        """What lies beside the model that takes the text (a vision tower), and tables that are looked up. That no token
        reaches an expert, or that packed ones hold their inputs along the middle axis, shows on the walk."""
        walker = open_walker(self.operands.delta.specs, files_of(self.operands), self.batches, self.device)
        return [n for n in names if n not in walker.entered]

    def fill(self, encoder: Encoder, segments: Segments) -> None:
        """Make every segment that is not finished. ResourceError where memory ends, with what a layer takes."""
        specs = encoder.delta.specs
        tuned = Applied(self.operands.base, encoder.delta)
        walker = open_walker(specs, files_of(self.operands), self.batches, self.device)
        states: States | None = None
        for stage in walker.stages:
            with room_on(self.device, f"calibrating {stage.name}", _need(walker, stage, specs), SMALLER):
                walker.load(stage, self._reading(tuned, encoder, segments, stage))
                self.code(walker, stage, states, encoder, segments)
                if stage is not walker.stages[-1]:
                    coded = restored(tuned, segments)
                    walker.replace(stage, {n: coded(n) for n in stage.names if encoder.covers(n)})
                    states = walker.advance(stage, states)
        segments.pull(specs, encoder.entry)

    def code(self, walker: Walker, stage: Stage, states: States | None, encoder: Encoder, segments: Segments) -> None:
        """Code a stage's tensors. The moments are taken only where something is left to code by them."""
        found: Mapping[str, Hessian] = {}
        if segments.left(n for n in stage.names if encoder.covers(n)):
            found = LayerHessians(walker.moments(stage, states), encoder.delta.specs)
        segments.pull(stage.names, lambda n: encoder.entry(n, found.get(n)))

    def _reading(self, tuned: Applied, encoder: Encoder, segments: Segments, stage: Stage) -> Read:
        """A stage's own weights as they were trained; those it borrows of others (a tied embedding) as coded."""
        from deltakit.calibrate.walk import reader

        trained, coded = reader(tuned), restored(tuned, segments)
        return lambda n: trained(n) if n in stage.places or not encoder.covers(n) else coded(n)


def files_of(operands: Operands) -> Sidecar:
    """The fine-tune's files over the base's."""
    return operands.base.sidecar.with_files(operands.delta.sidecar.files)


def restored(tuned: Applied, segments: Segments) -> Read:
    """Tensors as whoever applies the archive will have them; nothing of them is kept."""
    from deltakit.calibrate.walk import reader

    entries = Entries(tuned.specs, segments.entry, keep=False)
    return reader(Applied(tuned.base, replace(tuned.delta, entries=entries)))


def _need(walker: Walker, stage: Stage, specs: Mapping[str, TensorSpec]) -> str:
    """What a stage takes beside its moments, in words."""
    weights = _FLOAT * sum(specs[n].numel for n in stage.needs)
    states = 2 * _FLOAT * walker.batches.tokens * int(walker.model.config.get_text_config().hidden_size)
    return f"its weights take {weights:,} bytes, what flows into and out of it {states:,}"
