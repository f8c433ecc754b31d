"""deltakit verify: does an output still hold what was written?"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from deltakit_cli.options import example, format_option
from deltakit_cli.output import console, emit
from deltakit_cli.progress import progress


@click.command(epilog=example("deltakit verify models/merged\ndeltakit verify math.delta --full"))
@click.argument("path")
@click.option("--full", is_flag=True, help="Also decode every number of a delta, and take SHA-256 of all content.")
@format_option
def command(path: str, full: bool, fmt: str) -> None:
    """Read every byte of a checkpoint or delta and compare it with its checksums.

    Damage ends with code 6 and names every tensor. A checkpoint without a deltakit manifest has no checksums: only its
    format is checked, and the output says so.
    """
    from deltakit.checkpoint.fingerprint import content_digest
    from deltakit.checkpoint.open import open_checkpoint
    from deltakit.checkpoint.verify import verify_checkpoint
    from deltakit.delta.file.container import is_delta
    from deltakit.delta.file.verify import verify_delta

    if is_delta(Path(path)):
        delta = verify_delta(path, full=full, progress=progress(fmt))
        result = {"path": path, "tensors": delta.tensors, "bytes": delta.nbytes, "checksums": True}
        result |= {"sha256": delta.sha256} if full else {}
    else:
        found = verify_checkpoint(path, progress=progress(fmt))
        result = {"path": path, "tensors": found.tensors, "bytes": found.nbytes, "checksums": found.manifest}
        result |= {"sha256": content_digest(open_checkpoint(path, allow_quantised=True))} if full else {}
    emit(result, _done, fmt)


def _done(result: Mapping[str, Any]) -> None:
    proof = "checksums agree" if result["checksums"] else "format is sound; no manifest, so values cannot be checked"
    console().print(f"{result['path']}: {result['tensors']} tensors, {result['bytes']:,} bytes, {proof}")
    if "sha256" in result:
        console().print(f"sha256: {result['sha256']}")
