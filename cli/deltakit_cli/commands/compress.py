"""deltakit compress: a delta's matrices through a lossy codec, into one archive of honest size."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from deltakit_cli.options import dry_run_option, example, format_option, output_option, overwrite_option
from deltakit_cli.output import console, emit, table
from deltakit_cli.progress import progress

if TYPE_CHECKING:
    from deltakit.compress.run.archive import Compressed


@click.command(
    epilog=example(
        "deltakit compress models/base models/math --codec svd_mixed --ratio 16 -o math.archive\n"
        "deltakit compress models/base math.delta --codec lowrank --bytes 200000 -o math.archive\n"
        "deltakit compress models/base math.delta --codec svd_mixed --bytes sign.archive -o math.archive\n"
        "deltakit compress models/base models/math --codec \"svd_mixed(bands='8:2,3:32,2:100')\" -o math.archive"
    )
)
@click.argument("base")
@click.argument("tuned")
@click.option("--codec", default="svd_mixed", show_default=True, help="Name, or name(key=value); see `deltakit ls`.")
@click.option("--ratio", type=float, help="Bytes of the coded matrices in the fine-tune over their bytes here.")
@click.option(
    "--bytes",
    "size",
    metavar="N|FILE",
    help="Size of the whole file, or a file to be no larger than; it ends just under.",
)
@output_option(help="The archive to write.")
@click.option("--threads", type=click.IntRange(0), default=0, help="Matrices at a time [default: one per core].")
@dry_run_option
@overwrite_option
@format_option
def command(
    base: str, tuned: str, codec: str, ratio: float | None, size: str | None, output: Path, threads: int,
    dry_run: bool, overwrite: bool, fmt: str,
) -> None:  # fmt: skip
    """Compress the delta TUNED - BASE, or the delta file TUNED, into one archive.

    Float matrices, embeddings and the head go through the codec; norms, biases and rows that the base lacks stay exact.
    The archive is a delta file: `deltakit apply BASE ARCHIVE -o MODEL` restores a model, and "BASE + ARCHIVE" names one
    wherever a model is named. With --bytes a dry run reads weights too: it must know which tensors changed.
    """
    from deltakit.compress.run.files import compress_files, plan_files
    from deltakit.compress.run.request import Request

    request = Request(
        base, tuned, output, codec, ratio, None if size is None else _bytes(size), threads=threads,
        overwrite=overwrite,
    )  # fmt: skip
    if dry_run:
        emit(plan_files(request), _plan, fmt)
        return
    emit(_result(compress_files(request, progress(fmt))), _done, fmt)


def _bytes(text: str) -> int:
    """A number of bytes, or the size of the file that is named."""
    from deltakit.errors import RecipeError

    if text.isdecimal():
        return int(text)
    if not Path(text).is_file():
        raise RecipeError(
            f"--bytes {text!r} is neither a number nor a file", remedy="give --bytes 200000, or a file's name"
        )
    return Path(text).stat().st_size


def _result(made: Compressed) -> dict[str, Any]:
    return {
        "output": str(made.path), "codec": made.plan.codec, "bytes": made.nbytes, "file_ratio": made.file_ratio,
        "payload": made.payload, "payload_ratio": made.ratio, "bits_per_parameter": made.bits,
        "matrices": len(made.plan.covered), "kinds": dict(made.kinds), "resumed": made.resumed,
    }  # fmt: skip


def _plan(plan: Mapping[str, Any]) -> None:
    out = console()
    rows = [[r["name"], "x".join(map(str, r["shape"])), r["action"], r["budget"] or "-"] for r in plan["rows"]]
    out.print(table(["tensor", "shape", "action", "bytes at most"], rows))
    out.print(
        f"would write {plan['output']} with {plan['codec']}: {plan['matrices']} matrices in {plan['payload']:,} bytes "
        f"(ratio {plan['payload_ratio']:.2f}), {plan['exact']} tensors exact, {plan['unchanged']} unchanged"
    )


def _done(result: Mapping[str, Any]) -> None:
    out = console()
    out.print(f"wrote {result['output']}: {result['bytes']:,} bytes, 1/{result['file_ratio']:.2f} of the fine-tune")
    out.print(
        f"{result['matrices']} matrices by {result['codec']}: {result['payload']:,} bytes, ratio "
        f"{result['payload_ratio']:.2f}, {result['bits_per_parameter']:.3f} bits per parameter, everything counted"
    )
