"""NaN and infinite weights of the inputs: where a merge stumbles over one, all of them are counted and named."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from deltakit.checkpoint.nonfinite import count_nonfinite
from deltakit.checkpoint.open import Checkpoint
from deltakit.errors import NonFiniteError
from deltakit.tensors import TensorMap, row_blocks

__all__ = ["counted", "nonfinite"]


@contextmanager
def counted(checkpoints: Sequence[Checkpoint]) -> Iterator[None]:
    """A NonFiniteError that leaves this block names every tensor of the inputs with such values, and counts them.

    Only then are the inputs read once more. Where they are finite, and only what was computed is not (a difference, a
    cast to float16), the error stays as it is.
    """
    try:
        yield
    except NonFiniteError as wrong:
        found = [f"{c.source}: {line}" for c in checkpoints for line in nonfinite(c)]
        if not found:
            raise
        raise NonFiniteError(
            f"non-finite values in {len(found)} tensors of the inputs; nothing was written",
            remedy="look at the inputs with `deltakit inspect`; or allow them: allow_nonfinite: true",
            details=(*found, *(wrong.details or (wrong.message,))),
        ) from wrong


def nonfinite(source: TensorMap) -> Iterator[str]:
    """A line for each float tensor that holds NaN or infinite values; reads everything."""
    for name, spec in source.specs.items():
        counts = [count_nonfinite(source.buffer(name, lo, hi), spec.dtype) for lo, hi in row_blocks(spec)]
        nan, infinite = sum(c[0] for c in counts), sum(c[1] for c in counts)
        if nan or infinite:
            yield f"{name}: {nan} NaN and {infinite} infinite of {spec.numel} values ({spec.dtype})"
