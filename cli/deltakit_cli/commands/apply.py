"""deltakit apply: the model back from its base and a delta."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from deltakit_cli.options import dry_run_option, example, format_option, output_option, overwrite_option
from deltakit_cli.output import console, emit
from deltakit_cli.progress import progress


@click.command(epilog=example("deltakit apply models/base math.delta -o models/math-restored"))
@click.argument("base")
@click.argument("delta")
@output_option(help="The model folder to write.")
@click.option("--allow-nonfinite", is_flag=True, help="Write NaN and infinite values, and record them.")
@dry_run_option
@overwrite_option
@format_option
def command(
    base: str, delta: str, output: Path, allow_nonfinite: bool, dry_run: bool, overwrite: bool, fmt: str
) -> None:
    """Restore a model: write BASE + DELTA as a Hugging Face folder.

    DELTA is a delta file, a compressed archive or a PEFT LoRA folder. It applies only to the base it was taken from.
    """
    from deltakit.delta.file.restore import plan_restore, restore

    if dry_run:
        emit(plan_restore(base, delta, output, overwrite=overwrite), _plan, fmt)
        return
    made = restore(base, delta, output, overwrite=overwrite, allow_nonfinite=allow_nonfinite, progress=progress(fmt))
    written = made.written
    result = {
        "output": str(written.path), "bytes": written.nbytes, "fingerprint": written.fingerprint,
        "exact": made.exact, "removed_from_config": list(made.removed), "resumed": written.resumed,
    }  # fmt: skip
    emit(result, _done, fmt)


def _plan(plan: Mapping[str, Any]) -> None:
    out = console()
    out.print(f"would write {plan['output']}: {len(plan['tensors'])} tensors, {plan['bytes']:,} bytes")
    out.print(f"free disk {plan['free']:,} bytes; files: {', '.join(sorted(plan['files']))}")


def _done(result: Mapping[str, Any]) -> None:
    out = console()
    out.print(f"wrote {result['output']}: {result['bytes']:,} bytes of weights")
    if result["exact"] is not None:
        lossy = "it differs from the model that the delta was taken of: the delta is lossy"
        out.print("it equals the model that the delta was taken of, bit for bit" if result["exact"] else lossy)
    if result["removed_from_config"]:
        out.print(f"removed from the configuration: {', '.join(result['removed_from_config'])}")
