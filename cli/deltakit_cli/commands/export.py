"""deltakit export: a delta in the formats of other tools."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from deltakit_cli.calibration import calibration_options, sampling_of
from deltakit_cli.options import dry_run_option, example, format_option, output_option, overwrite_option
from deltakit_cli.output import console, emit, table
from deltakit_cli.progress import progress

EXAMPLE = """deltakit export models/base math.archive --to peft-lora -o math-lora
deltakit export models/base models/math --to peft-lora --rank 64 -o math-lora
deltakit export models/base math.archive --to peft-lora --rank 64 --calibrate math.txt -o math-lora
deltakit export models/base math.delta --to lm-eval-delta -o math-weights
deltakit export models/base math.archive --to hf -o math-restored"""
_OF_ADAPTERS = ("rank", "energy", "dtype", "whole", "calibrate", "samples", "length", "batch", "hessians")
_NAMED = 12  # dropped tensors that are listed one by one


@click.command(epilog=example(EXAMPLE))
@click.argument("base")
@click.argument("delta")
@click.option("--to", type=click.Choice(["peft-lora", "lm-eval-delta", "hf"]), required=True, help="The format.")
@click.option("--rank", type=click.IntRange(0, 512), default=0, help="Of every module [default: by --energy].")
@click.option("--energy", default=0.95, show_default=True, help="Share of the squared delta that the rank must keep.")
@click.option("--dtype", type=click.Choice(["BF16", "F16", "F32"]), default="BF16", show_default=True, help="Factors.")
@click.option("--whole", is_flag=True, help="Keep norms, embeddings and heads (modules_to_save): for peft, not vLLM.")
@calibration_options
@output_option(help="The folder to write.")
@click.option("--threads", type=click.IntRange(0), default=0, help="Matrices at a time [default: one per core].")
@dry_run_option
@overwrite_option
@format_option
def command(
    base: str, delta: str, to: Any, rank: int, energy: float, dtype: str, whole: bool, output: Path, threads: int,
    hessians: Path | None, dry_run: bool, overwrite: bool, fmt: str, **look: Any,
) -> None:  # fmt: skip
    """Write DELTA, over BASE, in the format of another tool.

    peft-lora is an adapter that vLLM and SGLang serve: one rank of at most 512, alpha = rank, factors alone; it says
    what it retains and names what it leaves out. With --calibrate or --hessians its factors are the best for the inputs
    that a text gives in the base. lm-eval-delta is a folder for lm-eval's `delta=`. hf is a whole model.
    """
    from deltakit.compress.export.export import Request, export, plan_export
    from deltakit.compress.export.peft_lora import LoraRequest

    _check_options(to)
    lora = LoraRequest(rank, energy, dtype, whole)
    request = Request(base, delta, to, output, lora, sampling_of(look), hessians, overwrite, threads)
    if dry_run:
        emit(plan_export(request), _plan, fmt)
        return
    emit(export(request, progress(fmt)), _done, fmt)


def _check_options(to: str) -> None:
    """What shapes an adapter means nothing to the other formats."""
    from click.core import ParameterSource

    from deltakit.errors import RecipeError

    source = click.get_current_context().get_parameter_source
    given = [o for o in _OF_ADAPTERS if source(o) is ParameterSource.COMMANDLINE]
    if to != "peft-lora" and given:
        raise RecipeError(f"--{given[0]} shapes an adapter, and --to {to} writes none", remedy="leave it out")
    if {"rank", "energy"} <= set(given):
        raise RecipeError("--rank and --energy both say the rank", remedy="give one of them")


def _plan(plan: Mapping[str, Any]) -> None:
    out = console()
    out.print(f"would write {plan['output']}: {len(plan['tensors'])} tensors, {plan['bytes']:,} bytes")
    if "rank" in plan:
        out.print(f"rank {plan['rank']} in {len(plan['modules'])} modules; left out: {len(plan['dropped'])} tensors")
    for name, why in list(plan.get("dropped", {}).items())[:_NAMED]:
        out.print(f"  {name}: {why}")


def _done(result: Mapping[str, Any]) -> None:
    out = console()
    out.print(f"wrote {result['output']}: {result['bytes']:,} bytes of weights")
    if "rank" not in result:
        return
    worst = sorted(result["modules"].items(), key=lambda m: m[1])[:5]
    modules = f"{len(result['modules'])} modules"
    out.print(f"rank {result['rank']} in {modules} keeps {result['retained']:.1%} of their squared delta")
    out.print(table(["least is kept of", "share"], [[n, f"{share:.1%}"] for n, share in worst]))
    if result["dropped"]:
        lost = sum(d["share"] for d in result["dropped"].values())
        out.print(f"left out: {len(result['dropped'])} tensors with {lost:.2%} of the whole squared delta")
        for name, item in list(result["dropped"].items())[:_NAMED]:
            out.print(f"  {name}: {item['why']} ({item['share']:.2%})", markup=False)
        if len(result["dropped"]) > _NAMED:
            out.print(f"  ... and {len(result['dropped']) - _NAMED} more (--format json names all)")
