"""What a plan is expected to give: bytes and error, tensor by tensor and by kind of codec."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

__all__ = ["Forecast", "by_codec", "described", "total_error"]


@dataclass(frozen=True)
class Forecast:
    """One matrix: the codec's name, payload bytes, squared error, and the error of leaving the delta out (`energy`)."""

    codec: str
    nbytes: int
    error: float
    energy: float

    @property
    def relative(self) -> float:
        """Error over energy."""
        return self.error / self.energy if self.energy else 0.0


def total_error(forecasts: Mapping[str, Forecast]) -> float:
    """The relative squared error of all together."""
    energy = sum(f.energy for f in forecasts.values())
    return sum(f.error for f in forecasts.values()) / energy if energy else 0.0


def by_codec(forecasts: Mapping[str, Forecast]) -> list[dict[str, Any]]:
    """Per codec, by name: matrices, bytes, their share of all energy, their relative error."""
    whole = sum(f.energy for f in forecasts.values())
    found = []
    for codec in sorted({f.codec for f in forecasts.values()}):
        mine = {name: f for name, f in forecasts.items() if f.codec == codec}
        energy = sum(f.energy for f in mine.values())
        found.append(
            {
                "codec": codec,
                "matrices": len(mine),
                "bytes": sum(f.nbytes for f in mine.values()),
                "energy": energy / whole if whole else 0.0,
                "relative_error": total_error(mine),
            }  # fmt: skip
        )
    return found


def described(forecasts: Mapping[str, Forecast]) -> dict[str, Any]:
    """All of it, JSON-able; empty where nothing was looked at."""
    if not forecasts:
        return {}
    tensors = {n: {**asdict(f), "relative_error": f.relative} for n, f in sorted(forecasts.items())}
    return {"relative_error": total_error(forecasts), "codecs": by_codec(forecasts), "tensors": tensors}
