"""Golden bytes of the delta file: one small stored tensor for every kind of term and every codec.

A new codec or kind of term gets its goldens by `PYTHONPATH=tests python -m support.goldens`, which adds what
tests/delta/file/golden.json lacks and never changes what is there: files of that form lie on people's disks.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import zstandard

from deltakit import rng
from deltakit.compress.codec import CODECS, Context, parse_codec
from deltakit.delta.applied import Applied
from deltakit.delta.expression import Delta, Entry, Part
from deltakit.delta.file.container import Archive, pack_tensor
from deltakit.delta.site import Site
from deltakit.delta.terms import TERMS
from deltakit.delta.terms.base import Term
from deltakit.delta.terms.copy import Copy, shifted
from deltakit.delta.terms.dense import Dense
from deltakit.delta.terms.exact import Exact
from deltakit.delta.terms.lowrank import LowRank
from deltakit.delta.terms.ranged import Ranged
from deltakit.delta.terms.raw import Raw
from deltakit.delta.terms.rows import Rows
from deltakit.delta.terms.sparse import Sparse
from deltakit.tensors import Mapped, TensorMap, TensorSpec
from support.tensors import bits, memory, tensor

FILE = Path(__file__).parent.parent / "delta/file/golden.json"
SHAPE = (24, 20)
NAME = "w"
# Their bytes hang on the linear algebra of the machine: golden for decoding alone.
BY_SVD = ("delta_come", "lowrank", "sign_lowrank", "svd_mixed")
# Codecs whose defaults do not say enough, and spellings beside the defaults. None: the codec alone decides the size.
SPELLED: Mapping[str, tuple[tuple[str, int | None], ...]] = {
    "sign": (("sign", None), ("sign(scale='row')", None), ("sign(scale='column', zeros='keep')", None)),
    "svd_mixed": (
        ("svd_mixed", 240),
        ("svd_mixed(bands='8:1,5:2,4:3,1:9')", None),
        ("svd_mixed(bands='16:2')", None),
        ("svd_mixed(bands='8:1,T3:2,T2:3,T1:4')", None),
    ),  # fmt: skip
    "lowrank": (("lowrank(rank=3)", None),),
    "delta_come": (("delta_come(bands='8:1,3:2,2:4', group=8)", None), ("delta_come", 240)),
    "sign_lowrank": (("sign_lowrank", 150), ("sign_lowrank(rank=2, bits=4)", None)),
    "dare": (("dare", 150), ("dare(bits=2, density=0.4, group=16)", None), ("dare(bits=16, density=0.2)", None)),
    "group_quant": (
        ("group_quant", 200),
        ("group_quant(bits=3, group=8)", None),
        ("group_quant(bits=4, grid='zero')", None),
        ("group_quant(bits=2, group=16, grid='midrise')", None),
        ("group_quant", 150),
    ),
}


def draw(shape: tuple[int, ...], seed: int) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Nearly normal numbers, the same everywhere: sums of six uniform ones of the format's own generator."""
    count = int(np.prod(shape))
    lanes = rng.lanes(seed, 0, 6 * count).reshape(6, count) >> np.uint32(12)
    total = lanes.astype(np.float64).sum(axis=0) / 2**20 - 3.0
    return np.asarray((total * np.sqrt(2.0)).reshape(shape), np.float32)


def difference(shape: tuple[int, ...] = SHAPE) -> np.ndarray[Any, np.dtype[np.float32]]:
    """A delta with a spectrum, noise and a sixth of zeros."""
    flat = (int(np.prod(shape[:-1])), shape[-1])
    u, v = draw((flat[0], 2), 1), draw((flat[1], 2), 2)
    made = 0.02 * (u[:, None, 0] * v[None, :, 0] + 0.5 * u[:, None, 1] * v[None, :, 1]) + 0.01 * draw(flat, 3)
    return np.where(np.abs(draw(flat, 4)) < 0.21, np.float32(0), made.astype(np.float32)).reshape(shape)


def worlds(dtype: str = "BF16", share: float = 1.0) -> tuple[Mapped, Mapped]:
    """Base and fine-tune of one tensor; only a share of the elements differs."""
    base = draw(SHAPE, 5)
    moved = rng.keep_mask(6, 0, base.size, share).reshape(SHAPE)
    return memory({NAME: tensor(base, dtype)}), memory({NAME: tensor(base + difference() * moved, dtype)})


def integers(dtype: str) -> tuple[Mapped, Mapped]:
    """The same of integers."""
    base = rng.words(7, 0, 480).reshape(SHAPE) % np.uint64(251)
    tuned = base + rng.words(8, 0, 480).reshape(SHAPE) % np.uint64(3)
    return memory({NAME: bits(base, dtype)}), memory({NAME: bits(tuned, dtype)})


def base_of(case: Mapping[str, Any]) -> TensorMap:
    """The base that a golden was made over."""
    made: TensorMap = integers(case["base"])[0] if case["base"].startswith(("I", "U")) else worlds(case["base"])[0]
    return made


def alone(*terms: Term, coef: float = 1.0) -> Entry:
    """An entry of terms over all rows."""
    return Entry(terms[0].spec, terms[0].spec.rows, tuple(Part(coef, t) for t in terms))


def stored_terms() -> dict[str, Callable[[], Entry]]:
    """Goldens of kinds of terms, by a label that begins with the kind."""
    spec, values = TensorSpec(SHAPE, "BF16"), difference()

    def rows(lo: int, hi: int) -> Any:
        return values[lo:hi]

    def tied(kind: str, dtype: str, share: float) -> Entry:
        base, tuned = integers(dtype) if dtype.startswith(("I", "U")) else worlds(dtype, share)
        term = TERMS.factory(kind).of(base, tuned, NAME, tuned.specs[NAME])  # type: ignore[attr-defined]
        return alone(term)

    def added() -> Entry:
        base, tuned = worlds()
        cut = tuned.specs[NAME].with_rows(20)
        return Entry(spec, 20, (Part(1.0, Exact.of(base, tuned, NAME, cut)),), Raw.of(tuned, NAME, 20))

    def copied() -> Entry:
        base, tuned = worlds()
        cut = spec.with_rows(20)
        return alone(Copy.of(NAME, 4, Ranged.of(shifted(base, NAME, 4, cut), tuned, NAME, cut)))

    made: dict[str, Callable[[], Entry]] = {
        "copy, trained on": copied,
        "rows": lambda: alone(
            Rows(spec, np.array([0, 3, 22]), tuple(Dense.of(rows, spec.with_rows(3), t) for t in ("F32", "BF16")))
        ),
        "dense F32": lambda: alone(Dense.of(rows, spec)),
        "dense BF16, half of it": lambda: alone(Dense.of(rows, spec, "BF16"), coef=0.5),
        "sparse by a key": lambda: alone(Sparse.seeded(rows, spec, 0xFEDCBA9876543210, 0.25, 4.0)),
        "sparse by a bitmap": lambda: alone(Sparse.nonzero(rows, spec, 0.75)),
        "lowrank F32": lambda: alone(LowRank.of(spec, draw((24, 2), 1), draw((20, 2), 2), "F32")),
        "raw": added,
        "exact, a tenth of it, and dense": lambda: Entry(
            spec, 24, (Part(0.1, tied("exact", "BF16", 1.0).parts[0].term), Part(1.0, Dense.of(rows, spec, "F16")))
        ),
    }
    for kind in ("exact", "changes", "ranged"):
        for dtype in ("BF16", "F16", "F32"):
            made[f"{kind} {dtype}"] = lambda kind=kind, dtype=dtype: tied(kind, dtype, 0.03)  # type: ignore[misc]
    for kind, dtype in (("exact", "F64"), ("exact", "I64"), ("exact", "U8"), ("changes", "I32")):
        made[f"{kind} {dtype}"] = lambda kind=kind, dtype=dtype: tied(kind, dtype, 0.03)  # type: ignore[misc]
    return made


def codec_cases() -> dict[str, tuple[str, int | None]]:
    """Goldens of codecs: (spelling, budget) by a label that begins with the codec's name. Unlisted ones get a quarter
    of the bytes."""
    found = {}
    for name in CODECS.names():
        for text, budget in SPELLED.get(name, ((name, 240),)):
            found[f"{text}, {budget} bytes" if budget else text] = (text, budget)
    return found


def encoded(text: str, budget: int | None) -> Entry:
    """What a codec makes of the matrix."""
    spec = TensorSpec(SHAPE, "BF16")
    return alone(*parse_codec(text).encode(difference(), Context(Site(NAME, "golden"), spec, budget)))


def record(entry: Entry, base: str) -> dict[str, Any]:
    """A golden of an entry: item, blob and the tuned bytes over the base of that dtype."""
    item, blob = pack_tensor(entry)
    case = {"base": base, "item": item, "blob": base64.b64encode(blob).decode()}
    return {**case, "tuned": base64.b64encode(restored(case)).decode()}


def restored(case: Mapping[str, Any]) -> bytes:
    """The tuned bytes that deltakit makes of a golden."""
    delta = Delta({NAME: entry_of(case)})
    return bytes(Applied(base_of(case), delta).buffer(NAME))


def entry_of(case: Mapping[str, Any]) -> Entry:
    """The entry of a golden, read as a file's is."""
    blob, item = base64.b64decode(case["blob"]), case["item"]
    spec = TensorSpec(tuple(item["s"]), item["d"])
    return Archive(
        Path("golden"), memoryview(blob), {"tensors": {NAME: item}}, {NAME: (0, len(blob))}, {}, {NAME: spec}
    ).entry(NAME)


def goldens() -> dict[str, Any]:
    """What is committed."""
    found: dict[str, Any] = json.loads(FILE.read_text()) if FILE.is_file() else {"zstd": "", "terms": {}, "codecs": {}}
    return found


def main() -> None:
    """Add what lacks."""
    found = goldens()
    found["zstd"] = found["zstd"] or ".".join(map(str, zstandard.ZSTD_VERSION))
    for label, make in stored_terms().items():
        if label not in found["terms"]:
            entry = make()
            found["terms"][label] = record(entry, entry.spec.dtype)
    for label, (text, budget) in codec_cases().items():
        if label not in found["codecs"]:
            found["codecs"][label] = record(encoded(text, budget), "BF16")
    FILE.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
