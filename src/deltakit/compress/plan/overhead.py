"""The bytes of an archive that are not payload of coded matrices: header, index, exact tensors, files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from deltakit.checkpoint.checksum import checksum
from deltakit.checkpoint.sidecar import Sidecar
from deltakit.compress.plan.plan import Row
from deltakit.delta.expression import Delta
from deltakit.delta.file.container import KIND, pack_header, pack_tensor
from deltakit.delta.file.write import differing

__all__ = ["overhead"]

_SLACK = 0.01  # of the index: checksums, which are not known yet, pack a little better or worse


def overhead(delta: Delta, rows: Sequence[Row], base: Sidecar) -> int:
    """An upper bound, close to the truth. Exact tensors are packed to see what they take."""
    items, exact = {}, 0
    for row in rows:
        entry, coded = delta.entries[row.name], row.action == "codec"
        item, blob = pack_tensor(row.name, replace(entry, parts=()) if coded else entry)
        items[row.name] = item | _stand_in(row) if coded else item
        exact += len(blob)
    files, packed = _files(differing(delta.sidecar, base))
    line = delta.lineage
    lineage = {"base": line.base, "tuned": line.tuned, "name": line.name, "note": dict(line.note)}
    index = {"kind": KIND, "lineage": lineage, "missing": list(delta.missing), "tensors": items, "files": files}
    head = len(pack_header(index))
    return head + int(head * _SLACK) + 8 + exact + packed


def _stand_in(row: Row) -> dict[str, Any]:
    """What the coded matrix will add to its index item: three bands, sizes with as many digits, some checksum."""
    size = row.budget or row.spec.nbytes // 16
    fields = {"b": [[8, 1], [3, 1 + size % 7], [2, 1 + size % 389]]}
    return {"p": [[1.0, "lowrank", fields, size]], "c": checksum(row.name.encode())}


def _files(sidecar: Sidecar) -> tuple[dict[str, Any], int]:
    """Index items and packed bytes of the files inside."""
    import zstandard

    items, total = {}, 0
    for name in sorted(sidecar.files):
        packed = zstandard.ZstdCompressor(level=19).compress(sidecar.files[name])
        items[name] = [len(packed), len(sidecar.files[name]), checksum(packed)]
        total += len(packed)
    return items, total
