"""An opened model of a merge: its tensors, the files beside them, and who it is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

from deltakit.checkpoint.fingerprint import fingerprint
from deltakit.checkpoint.open import Checkpoint
from deltakit.checkpoint.sidecar import Sidecar
from deltakit.delta.experts import Apart, layout_of, packs
from deltakit.delta.open import Model, open_model
from deltakit.tensors import TensorMap, TensorSpec, prefetch

__all__ = ["Source", "View", "experts_apart", "open_source"]


@dataclass(frozen=True)
class View:
    """Some tensors of a map under other names: `names` maps the new name to the old; one may be seen twice."""

    source: TensorMap
    names: Mapping[str, str]

    @cached_property
    def specs(self) -> Mapping[str, TensorSpec]:
        """Sorted by the new names."""
        return {n: self.source.specs[self.names[n]] for n in sorted(self.names)}

    @property
    def order(self) -> tuple[str, ...]:
        """As the tensors lie on disk, where that is known."""
        place = {n: i for i, n in enumerate(getattr(self.source, "order", self.source.specs))}
        return tuple(sorted(self.names, key=lambda n: (place[self.names[n]], n)))

    def prefetch(self, name: str) -> None:
        """Pass the hint on."""
        prefetch(self.source, self.names[name])

    def buffer(self, name: str, lo: int = 0, hi: int | None = None) -> memoryview:
        """The bytes of the tensor behind the name."""
        return self.source.buffer(self.names[name], lo, hi)


@dataclass(frozen=True)
class Source:
    """`label` is how the recipe names the model, `text` what it opened; `tensors` may be a view (renamed, grown,
    dequantised) of what was opened; `reads` are the open checkpoints beneath; `opened` is what was opened, without any
    view, or None for what an earlier stage makes."""

    label: str
    text: str
    tensors: TensorMap
    sidecar: Sidecar
    fingerprint: str
    reads: tuple[Checkpoint, ...] = ()
    opened: Model | None = None

    def view(self, change: Callable[[TensorMap], TensorMap]) -> Source:
        """The same model seen through a view of its tensors."""
        return replace(self, tensors=change(self.tensors))


def experts_apart(sources: Mapping[str, Source]) -> Mapping[str, Source]:
    """The models with packed experts taken apart, where one of them has any: each expert then has its own density,
    ranks and singular values, and layouts meet."""
    if not any(packs(s.tensors.specs) for s in sources.values()):
        return sources
    return {label: s.view(lambda t: Apart(t, layout_of(t.specs))) for label, s in sources.items()}


def open_source(label: str, text: str) -> Source:
    """Open a MODEL string; only headers are read. The errors of `open_model`."""
    model = open_model(text, dequantise=True)
    reads = (model.tensors,) if isinstance(model.tensors, Checkpoint) else ()
    reads = reads or ((model.base,) if model.base is not None else ())
    return Source(label, text, model.tensors, model.sidecar, fingerprint(model.tensors), reads, model)
