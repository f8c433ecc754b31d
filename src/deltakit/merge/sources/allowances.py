"""What a merge lets pass that it would refuse otherwise."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Allowances"]


@dataclass(frozen=True)
class Allowances:
    """`unrelated`: models that were trained apart; `config_drift`: models that are run with different settings;
    `nonfinite`: NaN and infinite weights. `strict` makes a model far from its base an error."""

    unrelated: bool = False
    config_drift: bool = False
    nonfinite: bool = False
    strict: bool = False
