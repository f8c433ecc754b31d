"""Compress what is named on a command line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from deltakit.checkpoint.pump import Progress, silent
from deltakit.checkpoint.ranks import ALONE, Ranks
from deltakit.checkpoint.staging import check_apart
from deltakit.compress.plan.choice import parse_choice
from deltakit.compress.plan.forecast import described
from deltakit.compress.run.archive import Compressed, compress, plans_for
from deltakit.compress.run.operands import open_operands
from deltakit.compress.run.request import Request
from deltakit.compress.run.sight import look
from deltakit.delta.file.write import plan_delta

__all__ = ["compress_files", "plan_files"]


def plan_files(request: Request, progress: Progress = silent) -> dict[str, Any]:
    """What `compress_files` would do, JSON-able; raises what it would raise before it encodes."""
    parse_choice(request.codec)  # before anything is opened
    operands = open_operands(request.base, request.tuned, request.against)
    written = plan_delta(request.out, operands.delta, overwrite=request.overwrite, inputs=list(operands.paths))
    sight = look(operands, request, dry=True)
    plan = plans_for(operands, request, sight, progress).plan(request.ratio, request.nbytes)
    payload = plan.payload
    covered = sum(row.spec.nbytes for row in plan.covered)
    actions = [row.action for row in plan.rows]
    return {
        **plan.as_dict(), "forecast": described(plan.forecasts), "output": str(request.out), "free": written["free"],
        "matrices": len(plan.covered), "exact": actions.count("exact"), "unchanged": actions.count("unchanged"),
        "payload": payload, "covered": covered, "payload_ratio": covered / payload if payload else 0.0,
        "data_free": sight.unseen(row.name for row in plan.covered) if sight.note else None, **sight.note,
    }  # fmt: skip


def compress_files(request: Request, progress: Progress = silent, crew: Ranks = ALONE) -> Compressed:
    """Compress what a request names. See `archive.compress`."""
    parse_choice(request.codec)  # before anything is opened
    operands = open_operands(request.base, request.tuned, request.against)
    check_apart(Path(request.out).resolve(), [p.resolve() for p in operands.paths])
    return compress(operands, request, progress, crew)
