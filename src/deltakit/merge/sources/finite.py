"""NaN and infinite weights of the inputs: where a merge stumbles over one, all of them are counted and named."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from deltakit.checkpoint.nonfinite import count_nonfinite
from deltakit.checkpoint.open import Checkpoint
from deltakit.errors import NonFiniteError
from deltakit.merge.sources.inputs import Inputs
from deltakit.tensors import TensorMap, TensorSpec, as_bytes, prefetch, row_blocks

__all__ = ["Watched", "counted", "nonfinite"]

_LOOK = "look at the inputs with `deltakit inspect`; or allow them: allow_nonfinite: true"
_WITHOUT = "this method compares or decomposes values, which these have not; add them up (linear), or mend the inputs"


@contextmanager
def counted(checkpoints: Sequence[Checkpoint], allowed: bool = False) -> Iterator[None]:
    """A NonFiniteError that leaves this block names every tensor of the inputs with such values, and counts them.

    Only then are the inputs read once more. Where they are finite, and only what was computed is not (a difference, a
    cast to float16), the error stays as it is. Where they were `allowed`, the method has no answer for them.
    """
    try:
        yield
    except NonFiniteError as wrong:
        found = [f"{c.source}: {line}" for c in checkpoints for line in nonfinite(c)]
        if not found:
            raise
        raise NonFiniteError(
            f"non-finite values in {len(found)} tensors of the inputs; nothing was written",
            remedy=_WITHOUT if allowed else _LOOK,
            details=(*found, *(wrong.details or (wrong.message,))),
        ) from wrong


@dataclass(frozen=True)
class Watched:
    """A merged model whose inputs are looked at range by range, just before a range is computed: a NaN that a mask or a
    limit drops would leave no trace in the result. NonFiniteError where one is met."""

    source: TensorMap
    inputs: Inputs

    @property
    def specs(self) -> Mapping[str, TensorSpec]:
        return self.source.specs

    @property
    def order(self) -> tuple[str, ...]:
        """As the source would be pulled."""
        return tuple(getattr(self.source, "order", self.source.specs))

    def prefetch(self, name: str) -> None:
        """Pass the hint on."""
        prefetch(self.source, name)

    def buffer(self, name: str, lo: int = 0, hi: int | None = None) -> memoryview:
        """Rows lo..hi, if what they are made of is finite."""
        hi = self.source.specs[name].rows if hi is None else hi
        base = self.inputs.base.specs.get(name)
        if base is not None and base.is_float and lo < base.rows:
            self._look(name, lo, min(hi, base.rows))
        return self.source.buffer(name, lo, hi)

    def _look(self, name: str, lo: int, hi: int) -> None:
        base = self.inputs.base
        sound = count_nonfinite(base.buffer(name, lo, hi), base.specs[name].dtype) == (0, 0)
        for member in self.inputs.members:
            entry = member.delta.entries[name]
            if entry.bits is not None:
                sound &= count_nonfinite(entry.bits(lo, hi), entry.spec.dtype) == (0, 0)
            elif entry.parts:
                sound &= count_nonfinite(as_bytes(member.delta.rows(name, lo, hi)), "F32") == (0, 0)
        if not sound:
            raise NonFiniteError(f"tensor {name!r}: the models hold values that are not finite")


def nonfinite(source: TensorMap) -> Iterator[str]:
    """A line for each float tensor that holds NaN or infinite values; reads everything."""
    for name, spec in source.specs.items():
        counts = [count_nonfinite(source.buffer(name, lo, hi), spec.dtype) for lo, hi in row_blocks(spec)]
        nan, infinite = sum(c[0] for c in counts), sum(c[1] for c in counts)
        if nan or infinite:
            yield f"{name}: {nan} NaN and {infinite} infinite of {spec.numel} values ({spec.dtype})"
