"""deltakit extract: the delta between a base and a fine-tune, as one exact file."""

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
        "deltakit extract models/base models/math -o math.delta\ndeltakit apply models/base math.delta -o restored"
    )
)
@click.argument("base")
@click.argument("tuned")
@output_option(help="The delta file to write.")
@click.option("--name", default="", help="Key of random masks taken of this delta later [default: its fingerprint].")
@dry_run_option
@overwrite_option
@format_option
def command(base: str, tuned: str, output: Path, name: str, dry_run: bool, overwrite: bool, fmt: str) -> None:
    """Extract the delta TUNED - BASE into one file, losslessly.

    BASE and TUNED are folders, safetensors files or hub ids; TUNED may be a PEFT LoRA folder. BASE and the delta give
    back the tuned model bit for bit. Rows that the base lacks (added vocabulary) are kept as they are.
    """
    from deltakit.delta.file.extract import extract, plan_extract

    if dry_run:
        emit(plan_extract(base, tuned, output, name=name, overwrite=overwrite), _plan, fmt)
        return
    made = extract(base, tuned, output, name=name, overwrite=overwrite, progress=progress(fmt))
    result = {"output": str(made.path), "bytes": made.nbytes, "tensors": made.tensors, "resumed": made.resumed}
    emit(result, _done, fmt)


def _plan(plan: Mapping[str, Any]) -> None:
    out = console()
    out.print(f"would write {plan['output']}: {len(plan['tensors'])} tensors, at most {plan['at_most_bytes']:,} bytes")
    out.print(f"free disk {plan['free']:,} bytes; tensors that the fine-tune lacks: {len(plan['missing'])}")


def _done(result: Mapping[str, Any]) -> None:
    console().print(f"wrote {result['output']}: {result['tensors']} tensors, {result['bytes']:,} bytes")
