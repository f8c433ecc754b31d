"""deltakit inspect: what a checkpoint, delta or adapter holds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from deltakit_cli.options import example, format_option
from deltakit_cli.output import console, emit, table


@click.command(epilog=example("deltakit inspect math.delta --tensors\ndeltakit inspect models/base --format json"))
@click.argument("path")
@click.option("--tensors", is_flag=True, help="List every tensor.")
@format_option
def command(path: str, tensors: bool, fmt: str) -> None:
    """Show what PATH holds: a checkpoint, a delta file or a PEFT adapter. Reads headers, not weights."""
    from deltakit.delta.file.inspection import inspect_path

    emit({**inspect_path(path), "list": tensors}, _show, fmt)


_LINES = (
    ("architecture", "architecture"), ("parameters", "parameters"), ("bytes", "bytes of weights"),
    ("dtypes", "dtypes"), ("file_bytes", "bytes of the file"), ("ratio", "ratio (weights / file)"),
    ("bits_per_parameter", "bits per parameter"), ("payload_bytes", "payload bytes"),
    ("bytes_by_kind", "bytes by kind of term"), ("rank", "rank"), ("alpha", "alpha"), ("base_model", "trained on"),
    ("missing", "tensors it lacks"), ("files", "files"), ("fingerprint", "fingerprint"), ("notes", "notes"),
)  # fmt: skip


def _show(found: Mapping[str, Any]) -> None:
    out = console()
    out.print(f"{found['path']}: {found['kind']}, {len(found.get('tensors', ()))} tensors")
    out.print(table(["", ""], [[label, _say(found[key])] for key, label in _LINES if found.get(key)]))
    for key, value in found.get("lineage", {}).items():
        out.print(f"{key}: {_say(value)}")
    for part in found.get("sum", ()):
        out.print(f"  {part['coef']:+g} * {part['of']}")
    if found["list"]:
        out.print(table(["tensor", "shape", "dtype", "terms"], [_row(found, n) for n in found.get("tensors", {})]))


def _row(found: Mapping[str, Any], name: str) -> list[Any]:
    spec = found["tensors"][name]
    terms = " + ".join(f"{t['kind']} ({t['bytes']:,} B)" for t in found.get("terms", {}).get(name, ()))
    return [name, str(spec["shape"]), spec["dtype"], terms]


def _say(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{k} {_say(v)}" for k, v in value.items())
    if isinstance(value, list):
        return ", ".join(map(str, value)) if len(value) <= 8 else f"{len(value)}: {', '.join(map(str, value[:6]))}, ..."
    return f"{value:,}" if isinstance(value, int) else f"{value:.3f}" if isinstance(value, float) else str(value)
