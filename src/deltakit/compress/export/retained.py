"""What an exported adapter keeps of its delta, measured from the folder as it lies on disk."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from deltakit.checkpoint.open import Checkpoint
from deltakit.compress.numbers import loss
from deltakit.delta.adapter import adapter_delta, open_adapter
from deltakit.delta.expression import Delta, Entry

__all__ = ["Retained", "energy_of", "measure"]


@dataclass(frozen=True)
class Retained:
    """Squared norms: of the delta in a tensor, and of what the adapter leaves of it."""

    energy: float
    lost: float

    @property
    def share(self) -> float:
        """1 is everything; 0, nothing."""
        return 1.0 - self.lost / self.energy if self.energy else 1.0


def measure(folder: Path, base: Checkpoint, delta: Delta, names: Iterable[str]) -> Mapping[str, Retained]:
    """For each of these tensors what the adapter in `folder` retains of `delta` (bound to `base`)."""
    stored = adapter_delta(open_adapter(folder), base, proved=True)  # it was made of this base just now
    return {n: _retained(delta.entries[n], stored.entries[n]) for n in sorted(names)}


def energy_of(entry: Entry) -> float:
    """The squared norm of a tensor's delta, rows that the base lacks apart."""
    return loss(entry, entry)[1]


def _retained(entry: Entry, stored: Entry) -> Retained:
    lost, energy = loss(entry, stored)
    return Retained(energy, lost)
