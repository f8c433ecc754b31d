"""Which models share one base in memory, and the engine that serves them together."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from deltakit.delta.adapter import is_adapter
from deltakit.delta.file.container import is_delta
from deltakit.delta.open import parse_expression
from deltakit.errors import MismatchError, RecipeError
from deltakit.generate.engine import Engine
from deltakit.tenants import ResidentBase

__all__ = ["base_of", "companies", "named_tenants", "resident_engine"]

_LOG = logging.getLogger("deltakit")


def base_of(text: str) -> str:
    """The base that a MODEL string stands over; a checkpoint named alone is its own."""
    return parse_expression(text)[0]


def companies(models: Sequence[str]) -> list[list[str]]:
    """Models over one base together, in the order in which each base is named first."""
    found: dict[str, list[str]] = {}
    for model in models:
        base = base_of(model)
        found.setdefault(str(Path(base).resolve()) if Path(base).exists() else base, []).append(model)
    return list(found.values())


def resident_engine(
    models: Sequence[str], device: str, dtype: str, hold: str, limits: Mapping[str, Any] | None = None
) -> tuple[Engine, dict[str, str | None], list[str]]:
    """An engine over the base of these models; the name within it of each model that it serves, the base itself being
    None; and those that it cannot serve beside others (a warning says why), to be served alone. `limits`: the engine's
    batch_tokens and max_rows."""
    base = base_of(models[0])
    resident = ResidentBase.open(base, device=device, dtype=dtype, hold=hold)
    engine = Engine.over(resident, **(limits or {}))
    tenants: dict[str, str | None] = {}
    alone = []
    for model in models:
        if not parse_expression(model)[1]:
            tenants[model] = None
            continue
        try:
            resident.attach(model, model)
            tenants[model] = model
        except MismatchError as wrong:
            _LOG.warning("%s; it is served alone: %s", wrong.message, "; ".join(wrong.details[:3]) or wrong.remedy)
            alone.append(model)
    return engine, tenants, alone


def named_tenants(model: str, tenants: Sequence[str]) -> Mapping[str, str]:
    """NAME=DELTA arguments over the base of `model` as MODEL strings by name; DELTA may be a sum, "0.6*A + 0.4*B"."""
    base = base_of(model)
    if tenants and (is_delta(Path(base)) or is_adapter(Path(base))):
        raise RecipeError(f"{base!r} is no base", remedy="name a checkpoint first, its deltas by --tenant NAME=DELTA")
    found: dict[str, str] = {}
    for tenant in tenants:
        name, equals, delta = tenant.partition("=")
        if not (name and equals and delta) or name in found:
            what = "named twice" if name in found else "not NAME=DELTA"
            raise RecipeError(f"--tenant {tenant!r}: {what}", remedy="write --tenant math=math.archive")
        found[name] = f"{base} + {delta}"
    return found
