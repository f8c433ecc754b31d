"""deltakit sweep: fields of a merge searched, the winner tested."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from deltakit_cli.options import dry_run_option, example, format_option, output_option, overwrite_option, set_option
from deltakit_cli.output import console, emit, table
from deltakit_cli.progress import progress

_SHOWN = 20  # candidates on the screen


@click.command(
    epilog=example(
        "deltakit sweep recipes/sweep/lambda.yaml -o sweep --dry-run\n"
        "deltakit sweep recipes/sweep/lambda.yaml -o sweep --set select.limit=100 --set search.lambda=[0.4,0.8]\n"
        "deltakit sweep recipes/sweep/lambda.yaml -o sweep.json --write-winner merged"
    )
)
@click.argument("recipe", type=click.Path(path_type=Path))
@output_option(help="A folder for all results, or a file that ends in .json.")
@click.option("--write-winner", "winner", type=click.Path(path_type=Path), help="Also write the winner as a model.")
@click.option("--cache", type=click.Path(path_type=Path), help="A folder that keeps answers from sweep to sweep.")
@set_option
@dry_run_option
@overwrite_option
@format_option
def command(
    recipe: Path,
    output: Path,
    winner: Path | None,
    cache: Path | None,
    overrides: tuple[str, ...],
    dry_run: bool,
    overwrite: bool,
    fmt: str,
) -> None:
    """Search fields of a merge, and test the winner.

    Every candidate is scored on the items of `select:`, all tasks on the same model; the best one by the weighted mean
    of accuracies is scored once on the items of `test:`, beside the base and the merge as it stands. Linear candidates
    are expressions over deltas that stay in memory. No candidate is written to disk. A killed sweep, run again, goes on
    where it stopped.
    """
    os.environ.setdefault("TQDM_DISABLE", "1")  # lm-eval's bars; ours is one for each round
    from deltakit.pipeline.sweep.plan import plan_sweep, preview
    from deltakit.pipeline.sweep.recipe import load_sweep
    from deltakit.pipeline.sweep.run import sweep
    from deltakit.pipeline.sweep.winner import check_winner, write_winner

    loaded = load_sweep(recipe, overrides)
    if winner is not None:
        check_winner(winner, overwrite)
    if dry_run:
        emit(preview(plan_sweep(loaded), str(output)), show_plan, fmt)
        return
    bar = progress(fmt)
    found = sweep(loaded, output, overwrite=overwrite, cache=cache, progress=bar)
    written = write_winner(found, winner, overwrite=overwrite, progress=bar) if winner is not None else None
    emit({**found, "output": str(output), "written": str(written.path) if written else None}, show, fmt)


def show_plan(plan: Mapping[str, Any]) -> None:
    """What a sweep would do, on the screen."""
    out = console()
    fields = plan["fields"]
    rows = [[c["id"], *(c["settings"][f] for f in fields), c["model"]] for c in plan["candidates"]]
    if rows:
        out.print(table(["candidate", *fields, "model"], rows))
    tasks = [[name, t["weight"], t["select"], t["test"]] for name, t in plan["tasks"].items()]
    out.print(table(["task", "weight", "items to choose by", "items of the test"], tasks))
    for note in plan["notes"]:
        out.print(note)
    out.print(f"sampler {plan['sampler']}: {plan['models']} models, {plan['answers']:,} answers; to {plan['output']}")


def show(result: Mapping[str, Any]) -> None:
    """A sweep on the screen: the best candidates, the test, what to make of it."""
    out = console()
    fields, tasks = result["fields"], list(result["tasks"])
    scored = sorted((c for c in result["candidates"] if c["rank"]), key=lambda c: int(c["rank"]))
    rows = [
        [c["rank"], c["id"], *(_plain(c["settings"][f]) for f in fields), *(_percent(c["tasks"][t]) for t in tasks),
         _objective(c), "yes" if c["behind"]["within_noise"] and c["rank"] > 1 else ""]
        for c in scored[:_SHOWN]
    ]  # fmt: skip
    out.print(table(["rank", "candidate", *fields, *(f"{t} %" for t in tasks), "objective %", "within noise"], rows))
    if len(scored) > _SHOWN:
        out.print(f"and {len(scored) - _SHOWN} more in {result['output']}")
    tested = [[m["name"], *(_percent(m["tasks"][t]) for t in tasks), _objective(m)] for m in result["test"]["models"]]
    out.print(table(["on the test", *(f"{t} %" for t in tasks), "objective %"], tested))
    for note in result["notes"]:
        out.print(note)
    for path in (result["output"], result["written"]):
        if path:
            out.print(f"wrote {path}")


def _plain(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _percent(task: Mapping[str, Any]) -> str:
    return _spread(task["accuracy"], task["stderr"])


def _objective(row: Mapping[str, Any]) -> str:
    return _spread(row["objective"], row["stderr"])


def _spread(value: float, error: float | None) -> str:
    return f"{100 * value:.1f}" + ("" if error is None else f" ± {100 * error:.1f}")
