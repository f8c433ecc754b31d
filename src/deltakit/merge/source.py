"""An opened model of a merge: its tensors, the files beside them, and who it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from deltakit.checkpoint.fingerprint import fingerprint
from deltakit.checkpoint.open import Checkpoint
from deltakit.checkpoint.sidecar import Sidecar
from deltakit.delta.open import open_model
from deltakit.tensors import TensorMap

__all__ = ["Source", "open_source"]


@dataclass(frozen=True)
class Source:
    """`label` is how the recipe names the model, `text` what it opened; `tensors` may be a view (renamed, grown,
    dequantised) of what was opened; `reads` are the open checkpoints beneath."""

    label: str
    text: str
    tensors: TensorMap
    sidecar: Sidecar
    fingerprint: str
    reads: tuple[Checkpoint, ...] = ()

    def view(self, change: Callable[[TensorMap], TensorMap]) -> Source:
        """The same model seen through a view of its tensors."""
        return replace(self, tensors=change(self.tensors))


def open_source(label: str, text: str) -> Source:
    """Open a MODEL string; only headers are read. The errors of `open_model`."""
    model = open_model(text)
    reads = (model.tensors,) if isinstance(model.tensors, Checkpoint) else ()
    reads = reads or ((model.base,) if model.base is not None else ())
    return Source(label, text, model.tensors, model.sidecar, fingerprint(model.tensors), reads)
