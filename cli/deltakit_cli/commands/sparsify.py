"""deltakit sparsify: a delta with most of its elements dropped or trimmed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from deltakit_cli.options import dry_run_option, example, format_option, output_option, overwrite_option
from deltakit_cli.output import console, emit
from deltakit_cli.progress import progress


@click.command(
    epilog=example(
        'deltakit sparsify models/base math.delta --each "drop(density=0.1)" -o math-10.delta\n'
        'deltakit sparsify models/base models/math --each "trim(density=0.3) | drop(density=0.5)" -o math-15.delta'
    )
)
@click.argument("base")
@click.argument("delta")
@click.option("--each", required=True, help='Primitives, applied from left to right: "drop(density=0.1)".')
@output_option(help="The delta file to write.")
@click.option("--seed", type=int, default=42, show_default=True, help="Keys random masks, with the name.")
@click.option("--name", default="", help="Keys random masks, with the seed [default: the delta's own name].")
@dry_run_option
@overwrite_option
@format_option
def command(
    base: str, delta: str, each: str, output: Path, seed: int, name: str, dry_run: bool, overwrite: bool, fmt: str
) -> None:
    """Sparsify a delta into a new one.

    DELTA is a delta file, a fine-tuned model or a PEFT LoRA folder. Primitives: drop (DARE: keep each element with
    probability `density`, divide by it), trim (keep the share `density` of largest magnitude). Rows that the base lacks
    stay exact.
    """
    from deltakit.sparsify.write import plan_sparsified, sparsify_to

    if dry_run:
        emit(plan_sparsified(base, delta, each, output, seed=seed, name=name, overwrite=overwrite), _plan, fmt)
        return
    made = sparsify_to(base, delta, each, output, seed=seed, name=name, overwrite=overwrite, progress=progress(fmt))
    result = {
        "output": str(made.path), "bytes": made.nbytes, "payload": made.payload, "tensors": made.tensors,
        "resumed": made.resumed,
    }  # fmt: skip
    emit(result, _done, fmt)


def _plan(plan: Mapping[str, Any]) -> None:
    out = console()
    out.print(f"would write {plan['output']} by {plan['each']}: at most {plan['at_most_bytes']:,} bytes")
    out.print(f"{len(plan['tensors'])} tensors; free disk {plan['free']:,} bytes")


def _done(result: Mapping[str, Any]) -> None:
    console().print(f"wrote {result['output']}: {result['tensors']} tensors, {result['bytes']:,} bytes")
