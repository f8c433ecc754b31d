"""The bytes of an archive that are not payload of coded matrices: header, index, exact tensors, files."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from deltakit.checkpoint.checksum import checksum
from deltakit.checkpoint.sidecar import Sidecar
from deltakit.compress.codec import Context, parse_codec
from deltakit.compress.plan.plan import Row
from deltakit.delta.expression import Delta
from deltakit.delta.file.container import KIND, pack_header, pack_tensor
from deltakit.delta.file.write import differing
from deltakit.delta.site import Site
from deltakit.delta.terms.matrix import matrix_shape
from deltakit.delta.terms.rows import bitmap_bytes
from deltakit.tensors import TensorSpec

__all__ = ["Overhead"]

_SLACK = 0.01  # of the index: checksums, which are not known yet, pack a little better or worse
_MORE = 3  # bytes for each coded matrix: so do its sizes and ranks
_SAMPLE = TensorSpec((40, 32), "F32")
_WIDE = 64  # columns from which on a spectrum asks for many widths


@dataclass
class Overhead:
    """An upper bound, close to the truth, for any budgets of the same coded tensors. Exact ones and files are packed
    once, to see what they take."""

    index: Mapping[str, Any]
    items: Mapping[str, dict[str, Any]]
    stored: int
    _samples: dict[tuple[str, int], list[tuple[str, dict[str, Any]]]] = field(default_factory=dict)

    @classmethod
    def of(cls, delta: Delta, rows: Sequence[Row], base: Sidecar) -> Overhead:
        items, stored = {}, 0
        for row in rows:
            entry = delta.entries[row.name]
            items[row.name], blob = pack_tensor(replace(entry, parts=()) if _is_coded(row) else entry)
            stored += len(blob)
        files, packed = _files(differing(delta.sidecar, base))
        line = delta.lineage
        lineage = {"base": line.base, "tuned": line.tuned, "name": line.name, "note": dict(line.note)}
        index = {"kind": KIND, "lineage": lineage, "missing": list(delta.missing), "files": files}
        return cls(index, items, stored + packed)

    def nbytes(self, rows: Sequence[Row]) -> int:
        """With these budgets."""
        items = {r.name: self.items[r.name] | (self._stand_in(r) if _is_coded(r) else {}) for r in rows}
        head = len(pack_header({**self.index, "tensors": items}))
        return head + int(head * _SLACK) + _MORE * sum(map(_is_coded, rows)) + 8 + self.stored

    def _stand_in(self, row: Row) -> dict[str, Any]:
        """What a coded matrix will add to its index item: the terms of a small matrix, with as many digits."""
        size = row.budget or row.spec.nbytes // 16
        mark = zlib.crc32(row.name.encode())  # sizes and ranks differ from matrix to matrix, so that they pack badly
        parts = [[1.0, k, _filled(f, row, mark, size), max(1, size - mark % 9)] for k, f in self._terms(row, size)]
        return {"p": parts, "c": checksum(row.name.encode())}

    def _terms(self, row: Row, size: int) -> list[tuple[str, dict[str, Any]]]:
        """Kinds and fields of what the codec makes of a small random matrix, at about as many bits per element."""
        bits = max(1, round(8 * size / max(1, row.spec.numel)))
        key = (row.codec, bits)
        if key not in self._samples:
            self._samples[key] = _sample(row.codec, bits)
        return self._samples[key]


def _is_coded(row: Row) -> bool:
    return row.action in ("codec", "kept")


def _sample(text: str, bits: int) -> list[tuple[str, dict[str, Any]]]:
    from deltakit.compress.plan.choice import CHOOSERS

    name = text.partition("(")[0]
    codec = parse_codec(text if text and name not in CHOOSERS.names() else "svd_mixed")
    budget = max(codec.least(_SAMPLE), bits * _SAMPLE.numel // 8)
    values = np.random.default_rng(0).standard_normal(_SAMPLE.shape).astype(np.float32)
    return [(t.kind, t.save()[0]) for t in codec.encode(values, Context(Site("sample"), _SAMPLE, budget))]


def _filled(fields: dict[str, Any], row: Row, mark: int, size: int) -> dict[str, Any]:
    """The sample's fields with everything in them that differs from matrix to matrix: keys, thresholds, bands, the
    sizes of inner terms."""
    if "k" in fields:
        key = int.from_bytes(hashlib.sha256(row.name.encode()).digest()[:8], "little")
        return fields | {"k": key, "t": max(1, key >> 32)}
    if isinstance(fields.get("p"), list):
        inner = [[kind, _filled(f, row, mark, size), max(1, size - mark % 97)] for kind, f, _ in fields["p"]]
        return fields | {"b": max(1, bitmap_bytes(row.spec.rows) - mark % 7), "p": inner}
    return _grown(fields, row, mark) if isinstance(fields.get("b"), list) else fields


def _grown(fields: dict[str, Any], row: Row, mark: int) -> dict[str, Any]:
    """Bands with ranks of as many digits as this matrix will have, and two bands more: the sample has no spectrum."""
    side = min(matrix_shape(row.spec))
    times = max(1, side // min(_SAMPLE.shape))
    bands = [[code, rank * times + mark % (7 + times)] for code, rank in fields["b"]]
    known = [code for code, _ in bands]
    wide = (
        [[code, 1 + (mark >> code) % (side // _WIDE)] for code in (8, 4) if code not in known] if side > _WIDE else []
    )
    return fields | {"b": wide + bands}


def _files(sidecar: Sidecar) -> tuple[dict[str, Any], int]:
    """Index items and packed bytes of the files inside."""
    import zstandard

    items, total = {}, 0
    for name in sorted(sidecar.files):
        packed = zstandard.ZstdCompressor(level=19).compress(sidecar.files[name])
        items[name] = [len(packed), len(sidecar.files[name]), checksum(packed)]
        total += len(packed)
    return items, total
