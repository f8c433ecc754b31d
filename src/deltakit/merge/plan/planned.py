"""A merge that is ready to be pulled, whatever described it: what planning hands to dry runs and writers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any

from deltakit.checkpoint.open import Checkpoint
from deltakit.checkpoint.pump import Progress, silent
from deltakit.checkpoint.sidecar import Sidecar
from deltakit.delta.lora import Wanted
from deltakit.delta.open import Model
from deltakit.merge.compute.merged import Merged
from deltakit.merge.plan.load import Load
from deltakit.tensors import TensorMap, TensorSpec

__all__ = ["Planned", "shown"]


class Planned(ABC):
    """Everything that can be settled, checked and shown before a weight is read."""

    sidecar: Sidecar  # the files beside the weights, cleaned
    removed: tuple[str, ...]  # the configuration keys that are not carried over

    @property
    @abstractmethod
    def method(self) -> str:
        """The name of the method."""

    @property
    @abstractmethod
    def tensors(self) -> TensorMap:
        """The merged model, lazily."""

    @property
    @abstractmethod
    def order(self) -> tuple[str, ...]:
        """The order of pulling: as the inputs lie on disk."""

    @property
    @abstractmethod
    def notes(self) -> tuple[str, ...]:
        """What is dropped, repaired or done otherwise than asked, a line each."""

    @property
    def warnings(self) -> tuple[str, ...]:
        """What looks wrong about the inputs, but was allowed or may be meant, a line each."""
        return ()

    @property
    def allow_nonfinite(self) -> bool:
        """Whether NaN and infinite weights may be written."""
        return False

    @property
    @abstractmethod
    def checkpoints(self) -> tuple[Checkpoint, ...]:
        """The open checkpoints that are read: watched for changes, never written to."""

    @property
    @abstractmethod
    def named(self) -> tuple[str, ...]:
        """Every MODEL string: the output lies apart from what they name."""

    @property
    @abstractmethod
    def measures(self) -> tuple[Callable[[Progress], None], ...]:
        """The passes over the inputs that the method needs (thresholds, majority sign)."""

    @property
    @abstractmethod
    def loads(self) -> tuple[Load, ...]:
        """What is made by which method, for the forecast."""

    @property
    def merged(self) -> Merged | None:
        """The one lazy delta over a named base, where the merge is one; it can be written as a delta file."""
        return None

    @property
    def parent(self) -> Model | None:
        """The named base as a MODEL string opens it, before any cast or change of vocabulary: what a delta file of the
        result stands over. None where no base is named, or it is no model on disk."""
        return None

    def model(self, source: str) -> Model:
        """The merged model as what a MODEL string names."""
        return Model(self.tensors, self.sidecar, source)

    @property
    def lora(self) -> Wanted | None:
        """What adapter the result is to be, if one."""
        return None

    @abstractmethod
    def equals(self) -> str:
        """The source that the result would equal, else "". Reads up to the first difference."""

    @abstractmethod
    def manifest(self) -> dict[str, Any]:
        """All that decides the bytes."""

    @abstractmethod
    def action(self, name: str, spec: TensorSpec) -> str:
        """What happens to a tensor."""

    def measure(self, progress: Progress = silent) -> None:
        """Run the passes over the inputs ahead of the first read."""
        for run in self.measures:
            run(progress)

    def actions(self) -> dict[str, dict[str, Any]]:
        """What happens to every tensor, JSON-able."""
        return {n: {"action": self.action(n, s), **shown(s)} for n, s in self.tensors.specs.items()}


def shown(spec: TensorSpec) -> Mapping[str, Any]:
    """A spec for people: shape, dtype, bytes."""
    return {"shape": list(spec.shape), "dtype": spec.dtype, "bytes": spec.nbytes}
