"""deltakit run: a pipeline of public commands."""

from __future__ import annotations

from pathlib import Path

import click

from deltakit_cli.catalogue import recipes_folder
from deltakit_cli.options import dry_run_option, example, format_option, output_option, set_option
from deltakit_cli.pipelines import rehearse, show_plan, walk


@click.command(
    epilog=example(
        "deltakit run recipes/pipelines/demo.yaml -o demo-out --dry-run\n"
        "deltakit run recipes/pipelines/demo.yaml -o demo-out --set variables.limit=50"
    )
)
@click.argument("pipeline", type=click.Path(path_type=Path))
@output_option(required=False, help="The folder {out}; default: the recipe's output.")
@set_option
@click.option("--overwrite", is_flag=True, help="Run every step again, replacing what it wrote before.")
@dry_run_option
@format_option
def command(
    pipeline: Path, output: Path | None, overrides: tuple[str, ...], overwrite: bool, dry_run: bool, fmt: str
) -> None:
    """Run the steps of a PIPELINE recipe in order, each echoed as a command that can be pasted.

    A step that is finished is skipped when the same pipeline runs again: its command, inputs and versions are the same
    and its outputs are unchanged. The first command that fails stops the pipeline with its error and its exit code;
    run the same again to go on from there. Claims that the results do not bear out end it with code 6.
    """
    from deltakit.pipeline import load_plan

    plan = load_plan(pipeline, output, recipes_folder(), overrides)
    rehearse(plan, str(pipeline))
    if dry_run:
        show_plan(plan, fmt)
        return
    click.get_current_context().exit(walk(plan, again=overwrite, fmt=fmt))
