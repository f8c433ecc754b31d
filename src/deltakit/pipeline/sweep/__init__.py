"""Sweeps: candidates of a merge scored on items held out for the choice, the winner scored once on others."""

from __future__ import annotations

from deltakit.registry import Registry

__all__ = ["SAMPLERS"]

SAMPLERS = Registry(
    "sampler",
    {"grid": "deltakit.pipeline.sweep.grid:Grid", "optuna": "deltakit.pipeline.sweep.tpe:Optuna"},
    group="deltakit.samplers",
)
