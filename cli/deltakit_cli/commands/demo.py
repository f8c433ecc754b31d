"""deltakit demo: the shipped pipeline, from a small base to a report."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click

from deltakit_cli.catalogue import recipes_folder
from deltakit_cli.options import dry_run_option, example, format_option
from deltakit_cli.pipelines import rehearse, show_plan, walk

QUICK = ("variables.records=1280", "variables.steps=40", "variables.items=20", "variables.heal=5")


@click.command(epilog=example("deltakit demo\ndeltakit demo -o demo-out --dry-run"))
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), default=Path("demo-out"), show_default=True,
    help="The folder for all it makes.",
)  # fmt: skip
@click.option("--quick", is_flag=True, help="A rehearsal of a minute: too little training for the claims to hold.")
@click.option("--overwrite", is_flag=True, help="Run every step again, replacing what it wrote before.")
@dry_run_option
@format_option
def command(output: Path, quick: bool, overwrite: bool, dry_run: bool, fmt: str) -> None:
    """Train a math and a chat expert here and now, extract their deltas, sparsify, merge, compress and evaluate them.

    Needs two cores, no network and a few minutes. Every command is echoed, so that it can be pasted; the run ends with
    a table, a report and the claims it checked itself (code 6 if one does not hold). Run it again to go on after an
    interruption; finished steps are skipped.
    """
    from deltakit.pipeline import load_plan

    path = recipes_folder() / "pipelines" / "demo.yaml"
    plan = load_plan(path, output, recipes_folder(), QUICK if quick else ())
    rehearse(plan, str(path))
    if dry_run:
        show_plan(plan, fmt)
        return
    plan = replace(plan, claims=()) if quick else plan
    hints = [
        "--quick trains too little: nothing was claimed." if quick else "",
        f"report: {output / 'report.html'}",
        "next, with these experts (any coefficients; nothing is written to disk):",
        f'  deltakit eval "{plan.variables["base"]} + 0.9*{output}/math.delta + 0.5*{output}/chat.delta" '
        "--tasks toy_math,toy_chat",
        "or with your own models: deltakit init merge/dare_ties",
    ]
    click.get_current_context().exit(walk(plan, again=overwrite, fmt=fmt, hints=[h for h in hints if h]))
