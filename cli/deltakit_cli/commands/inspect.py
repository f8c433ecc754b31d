"""deltakit inspect: what a checkpoint, delta or adapter holds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from deltakit_cli.options import example, format_option
from deltakit_cli.output import console, emit, table
from deltakit_cli.progress import progress


@click.command(
    epilog=example(
        "deltakit inspect math.delta --tensors\n"
        "deltakit inspect math.delta --spectra 4 --base models/base\n"
        "deltakit inspect models/base --format json"
    )
)
@click.argument("path")
@click.option("--tensors", is_flag=True, help="List every tensor.")
@click.option("--spectra", "count", type=click.IntRange(min=0), default=0, show_default=True,
              help="Also read weights: spectrum, rank and zeros of this many matrices, the largest.")  # fmt: skip
@click.option("--match", metavar="PATTERN", default="*", show_default=True, help="Spectra of names like this alone.")
@click.option("--base", metavar="BASE", default="", help="The base, where spectra need it (exact deltas, expressions).")
@format_option
def command(path: str, tensors: bool, count: int, match: str, base: str, fmt: str) -> None:
    """Show what PATH holds: a checkpoint, a delta file or a PEFT adapter. Reads headers, not weights.

    Of a delta file it says what each tensor is stored as and in how many bits, and two ratios: of the matrices that are
    not stored bit for bit, and of the whole file. With --spectra N also how many directions the largest matrices have:
    of the changes (from the factors, where they are stored as such), or of the weights of a checkpoint.
    """
    from deltakit.delta.file.inspection import inspect_path, inspect_spectra

    found = {**inspect_path(path), "list": tensors}
    if count:
        made = inspect_spectra(path, count, match=match, base=base, progress=progress(fmt))
        found["spectra"] = [p.as_dict() for p in made]
    emit(found, _show, fmt)


_LINES = (
    ("architecture", "architecture"), ("parameters", "parameters"), ("bytes", "bytes of weights"),
    ("dtypes", "dtypes"), ("file_bytes", "bytes of the file"), ("ratio", "ratio (weights / file)"),
    ("bits_per_parameter", "bits per parameter"), ("payload_bytes", "payload bytes"),
    ("bytes_by_kind", "bytes by kind of term"), ("index_bytes", "bytes of header and index"),
    ("files_bytes", "bytes of the files inside"), ("coded", "coded matrices"), ("rank", "rank"), ("alpha", "alpha"),
    ("base_model", "trained on"), ("missing", "tensors it lacks"), ("files", "files"), ("fingerprint", "fingerprint"),
    ("notes", "notes"),
)  # fmt: skip
_ENERGY = ("1", "16", "256")


def _show(found: Mapping[str, Any]) -> None:
    out = console()
    out.print(f"{found['path']}: {found['kind']}, {len(found.get('tensors', ()))} tensors")
    out.print(table(["", ""], [[label, _say(found[key])] for key, label in _LINES if found.get(key)]))
    for key, value in found.get("lineage", {}).items():
        out.print(f"{key}: {_say(value)}")
    for part in found.get("sum", ()):
        out.print(f"  {part['coef']:+g} * {part['of']}")
    if found["list"]:
        headings = ["tensor", "shape", "dtype", "terms", "bits per parameter"]
        out.print(table(headings, [_row(found, n) for n in found.get("tensors", {})]))
    if "spectra" in found:
        headings = ["matrix", "shape", "norm", "zeros", "effective rank", "rank at 90 %", "99 %"]
        headings += [f"energy at rank {r}" for r in _ENERGY]
        out.print(table(headings, [_spectrum(s) for s in found["spectra"]]))


def _row(found: Mapping[str, Any], name: str) -> list[Any]:
    spec = found["tensors"][name]
    terms = " + ".join(f"{t['kind']} ({t['bytes']:,} B)" for t in found.get("terms", {}).get(name, ()))
    bits = found.get("tensor_bits", {}).get(name)
    return [name, str(spec["shape"]), spec["dtype"], terms, "" if bits is None else f"{bits:.3f}"]


def _spectrum(found: Mapping[str, Any]) -> list[Any]:
    zeros = "factors" if found["zero_share"] is None else f"{found['zero_share']:.1%}"
    energy = [f"{found['energy_at_rank'][r]:.1%}" if r in found["energy_at_rank"] else "" for r in _ENERGY]
    ranks = [f"{found['effective_rank']:.1f}", found["rank_at_90"], found["rank_at_99"]]
    return [found["name"], str(found["shape"]), f"{found['norm']:.4g}", zeros, *ranks, *energy]


def _say(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{k} {_say(v)}" for k, v in value.items())
    if isinstance(value, list):
        return ", ".join(map(str, value)) if len(value) <= 8 else f"{len(value)}: {', '.join(map(str, value[:6]))}, ..."
    return f"{value:,}" if isinstance(value, int) else f"{value:.3f}" if isinstance(value, float) else str(value)
