"""deltakit merge: models into one, by a recipe or by options."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from deltakit_cli.options import dry_run_option, example, format_option, output_option, overwrite_option, set_option
from deltakit_cli.output import console, emit, table
from deltakit_cli.progress import progress


def _rank(_: click.Context, __: click.Parameter, text: str | None) -> int | str | None:
    return int(text) if text is not None and text.isdigit() else text


@click.command(
    epilog=example(
        "deltakit merge recipes/merge/task_arithmetic.yaml -o merged\n"
        "deltakit merge mergekit_config.yml -o merged\n"
        "deltakit merge --base models/base --model models/math:0.6 --model models/chat:0.4 -o merged\n"
        "deltakit merge --base models/base --model math=models/math:0.5 --model chat=models/chat:0.5 "
        "--method dare_ties --density 0.2 -o merged\n"
        "deltakit merge --auto --tasks gsm8k,math500 --base models/base --model models/math --model models/chat "
        "-o merged"
    )
)
@click.argument("recipe", required=False, type=click.Path(path_type=Path))
@output_option(help="The model folder to write; a path that ends in .delta becomes a delta file.")
@click.option("--base", help="The parent of the models.")
@click.option("--model", "models", multiple=True, metavar="[NAME=]MODEL[:WEIGHT]", help="A model to merge; repeat it.")
@click.option("--method", help="See `deltakit ls methods`.  [default: task_arithmetic]")
@click.option("--density", type=float, help="Share of each delta that is kept (dare_*, ties).")
@click.option("--trim-density", type=float, help="Share that dare_ties trims to behind dropping.  [default: 0.2]")
@click.option("--lambda", "scale", type=float, help="Factor of the merged delta.  [default: 1]")
@click.option("--t", type=float, help="Place between the two models of slerp.")
@click.option("--seed", type=int, help="Keys random masks.  [default: 42]")
@click.option("--vocabulary", help="Rows the base lacks: `base` drops them, a model's name keeps that model's.")
@click.option("--heads", help="Merge only the body; keep the heads of `base`, of a model by its name, or `drop` all.")
@click.option("--dtype", help="Of the result.  [default: the models' own]")
@click.option("--lora", metavar="exact|RANK", callback=_rank, help="Write a PEFT adapter: ranks add up, or are cut.")
@click.option("--allow-unrelated", is_flag=True, help="Merge models that were trained apart.")
@click.option("--allow-config-drift", is_flag=True, help="Merge models that are run with different settings.")
@click.option("--allow-nonfinite", is_flag=True, help="Read and write NaN and infinite weights; the manifest says so.")
@click.option("--strict", is_flag=True, help="A model far from its base is an error, not a warning.")
@click.option("--device", default="cpu", show_default=True, help="Where elementwise methods compute: cpu, or cuda.")
@click.option("--dialect", help="Arithmetic: paper, or mergekit.  [default: mergekit for its configs, else paper]")
@click.option("--auto", is_flag=True, help="Choose lambda on --tasks by a sweep over held-out items.")
@click.option("--tasks", help="For --auto: names with commas between.")
@click.option("--search", default="lambda", show_default=True, help="For --auto: lambda, or weights (each model's).")
@click.option(
    "--limit", type=click.IntRange(min=1), default=200, show_default=True, help="For --auto: items of a task."
)
@click.option("--data", help="For --auto: the folder of local data.")
@set_option
@dry_run_option
@overwrite_option
@format_option
def command(
    recipe: Path | None,
    output: Path,
    models: Sequence[str],
    overrides: Sequence[str],
    dialect: str | None,
    device: str,
    dry_run: bool,
    overwrite: bool,
    fmt: str,
    auto: bool,
    tasks: str | None,
    search: str,
    limit: int,
    data: str | None,
    **options: Any,
) -> None:
    """Merge models into one.

    RECIPE is a YAML file: a recipe, or a mergekit config as it is. Without one the merge is described by --base and
    --model, with the same result. A linear merge written to a .delta file is an expression of a few kilobytes. With
    --auto the factor lambda (or the weights) is searched first, on items of --tasks that lie apart from the test's; the
    winner alone is written, with its recipe and how it was chosen, and OUT.sweep.json holds all candidates.
    """
    from deltakit.checkpoint.hub import headers_only
    from deltakit.checkpoint.ranks import ranks
    from deltakit.merge.engine.device import check_device, used
    from deltakit.merge.plan.request import plan_request
    from deltakit.merge.write import merge, plan_output
    from deltakit_cli.autos import merge_auto

    given = {key: value for key, value in options.items() if value is not None and value is not False}
    if "scale" in given:
        given["lambda"] = given.pop("scale")
    if auto:
        what = {"tasks": tasks, "search": search, "limit": limit, "data": data}
        merge_auto(recipe, models, given, overrides, output, what, dry_run=dry_run, overwrite=overwrite, fmt=fmt)
        return
    if tasks:
        raise click.UsageError("--tasks is for --auto: without it nothing is chosen by tasks")
    check_device(device)
    if dry_run:
        with headers_only() as away:
            plan = plan_output(plan_request(recipe, models, given, overrides, dialect), output, overwrite=overwrite)
        plan["notes"] += [f"{name}: only its headers were fetched; whose child it is cannot be told" for name in away]
        emit(plan, _plan, fmt)
        return
    made = plan_request(recipe, models, given, overrides, dialect)
    crew = ranks()
    bar = progress(fmt if crew.leads else "quiet")
    with used(device):
        done = merge(made, output, overwrite=overwrite, progress=bar, crew=crew)
    if not crew.leads:
        return
    result = {
        "output": str(done.path), "kind": done.kind, "bytes": done.nbytes, "notes": list(done.notes),
        "warnings": list(done.warnings),
        "removed_from_config": list(done.removed), "fingerprint": done.fingerprint, "resumed": done.resumed,
    }  # fmt: skip
    emit(result, _done, fmt)


def _plan(plan: Mapping[str, Any]) -> None:
    out = console()
    out.print(f"would write the {plan['kind']} {plan['output']} by {plan['method']}: {plan['bytes']:,} bytes")
    ahead = plan["forecast"]
    out.print(
        f"free disk {plan['free']:,} bytes; reads {ahead['reads']:,} bytes in all passes; memory at most about "
        f"{ahead['memory'] / 1e6:,.0f} MB; {ahead['seconds']:g} s where the disk gives 1 GB/s"
    )
    rows = [[n, str(t["shape"]), t["dtype"], t["bytes"], t["action"]] for n, t in plan["tensors"].items()]
    out.print(table(["tensor", "shape", "dtype", "bytes", "action"], rows))
    _notes(plan)


def _done(result: Mapping[str, Any]) -> None:
    console().print(f"wrote the {result['kind']} {result['output']}: {result['bytes']:,} bytes")
    _notes(result)


def _notes(result: Mapping[str, Any]) -> None:
    for note in (*result["notes"], *(f"warning: {w}" for w in result["warnings"])):
        console().print(note)
    if result["removed_from_config"]:
        console().print(f"removed from the configuration: {', '.join(result['removed_from_config'])}")
