"""`deltakit merge --auto`: a sweep, then the winner as a model."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from deltakit_cli.output import emit
from deltakit_cli.progress import progress

__all__ = ["merge_auto"]


def merge_auto(
    recipe: Path | None,
    models: Sequence[str],
    options: Mapping[str, Any],
    overrides: Sequence[str],
    output: Path,
    what: Mapping[str, Any],
    *,
    dry_run: bool,
    overwrite: bool,
    fmt: str,
) -> None:
    """Choose by tasks, then write the winner to `output`; what was found lies beside it. `what`: tasks (with commas
    between), search, limit, data. The same command, run again, goes on where it was stopped."""
    os.environ.setdefault("TQDM_DISABLE", "1")  # lm-eval's bars; ours is one for each round
    from deltakit.merge.plan.quick import read_merge
    from deltakit.pipeline.sweep.auto import auto_sweep, place_of
    from deltakit.pipeline.sweep.plan import plan_sweep, preview
    from deltakit.pipeline.sweep.run import sweep
    from deltakit.pipeline.sweep.winner import check_winner, write_winner
    from deltakit_cli.commands.sweep import show, show_plan

    merge = read_merge(recipe, models, options, overrides).model_dump(mode="json", by_alias=True, exclude_unset=True)
    names = [name.strip() for name in (what["tasks"] or "").split(",") if name.strip()]
    wanted = auto_sweep(merge, names, search=what["search"], limit=what["limit"], data=what["data"])
    check_winner(output, overwrite)
    if dry_run:
        emit(preview(plan_sweep(wanted), str(output)), show_plan, fmt)
        return
    bar, found_at = progress(fmt), place_of(output)
    found = sweep(wanted, found_at, overwrite=overwrite, reuse=True, progress=bar)
    written = write_winner(found, output, overwrite=overwrite, progress=bar)
    emit({**found, "output": str(found_at), "written": str(written.path)}, show, fmt)
