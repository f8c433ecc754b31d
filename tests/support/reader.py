"""A second reader of delta files, written from docs/format.md alone: plain loops and whole arrays, no deltakit.

`Reader(raw).tensor(name, base)` gives the tuned numbers of one tensor and, where they are known, its bits.
"""

from __future__ import annotations

import hashlib
import json
import math
import struct
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from statistics import NormalDist
from typing import Any

import numpy as np
import zstandard

Array = np.ndarray[Any, Any]
Bits = Mapping[str, Array]  # tensor name -> unsigned integers of the dtype's width, with the tensor's shape

WIDTH = {
    "BOOL": 1, "U8": 1, "I8": 1, "F8_E4M3": 1, "F8_E5M2": 1, "U16": 2, "I16": 2, "F16": 2, "BF16": 2,
    "U32": 4, "I32": 4, "F32": 4, "U64": 8, "I64": 8, "F64": 8,
}  # fmt: skip


class FormatError(Exception):
    """The page is not followed."""


def need(condition: bool, what: str) -> None:
    """The page says so."""
    if not condition:
        raise FormatError(what)


def checksum(raw: bytes) -> str:
    """blake2b-8."""
    return hashlib.blake2b(raw, digest_size=8).hexdigest()


def unframe(stored: bytes, size: int) -> bytes:
    """A zstd frame of exactly `size` bytes."""
    need(zstandard.frame_content_size(stored) == size, "a frame of another size")
    return bytes(zstandard.ZstdDecompressor().decompress(stored, allow_extra_data=False))


class Take:
    """A payload that is read from front to back."""

    def __init__(self, raw: bytes) -> None:
        self.raw, self.at = raw, 0

    def bytes(self, count: int) -> bytes:
        need(self.at + count <= len(self.raw), "a payload is too short")
        self.at += count
        return self.raw[self.at - count : self.at]

    def u32(self, count: int = 1) -> list[int]:
        return list(struct.unpack(f"<{count}I", self.bytes(4 * count)))

    def end(self) -> None:
        need(self.at == len(self.raw), "a payload is too long")


class Reader:
    """One file."""

    def __init__(self, raw: bytes) -> None:
        magic, version, zero, packed, size, digest = struct.unpack("<8sIIQQ8s", raw[:40])
        need((magic, version, zero) == (b"DELTAKIT", 1, 0), "not a delta file of format 1")
        stored = raw[40 : 40 + packed]
        need(hashlib.blake2b(stored, digest_size=8).digest() == digest and size <= 2**28, "the index is damaged")
        self.index: dict[str, Any] = json.loads(unframe(stored, size))
        need(self.index["kind"] == "delta", "another kind")
        at = 40 + packed
        self.blobs, self.files = {}, {}
        for name in sorted(self.index["tensors"]):
            item = self.index["tensors"][name]
            length = sum(p[3] for p in item.get("p", [])) + (item["a"][2] if "a" in item else 0)
            self.blobs[name] = raw[at : at + length]
            need(checksum(self.blobs[name]) == item["c"], f"{name} is damaged")
            at += length
        for name in sorted(self.index.get("files", {})):
            length, size, said = self.index["files"][name]
            need(checksum(raw[at : at + length]) == said, f"{name} is damaged")
            self.files[name] = unframe(raw[at : at + length], size)
            at += length
        need(at == len(raw), "the file has another size than its index says")

    def tensor(self, name: str, base: Bits, base_dtypes: Mapping[str, str]) -> Array:
        """The tuned bits, in the tensor's shape."""
        return decode(name, self.index["tensors"][name], self.blobs[name], base, base_dtypes)


def decode(name: str, item: Mapping[str, Any], blob: bytes, base: Bits, base_dtypes: Mapping[str, str]) -> Array:
    """The tuned bits of an item and its blob; `base` may lack what the fine-tune adds."""
    shape, dtype = tuple(item["s"]), item["d"]
    rows = shape[0] if shape else 1
    size = math.prod(shape[1:])
    shared = item.get("h", rows)
    out = np.zeros((rows, size), f"<u{WIDTH[dtype]}")
    at = 0
    terms = []
    for coef, kind, fields, length in item.get("p", []):
        terms.append((coef, kind, fields, blob[at : at + length]))
        at += length
    if shared:
        old = recode(base[name].reshape(-1, size)[:shared].ravel(), base_dtypes[name], dtype)
        matrix = (shared, *shape[1:]) if shape else ()
        if len(terms) == 1 and terms[0][0] == 1 and terms[0][1] in TIED:
            new = TIED[terms[0][1]](terms[0][2], terms[0][3], matrix, dtype, old, base, name)
        elif terms:
            total = np.zeros(shared * size, np.float32)
            for coef, kind, fields, payload in terms:
                total += np.float32(coef) * numbers(kind, fields, payload, matrix, dtype, old, base, name)
            new = to_bits(to_float(old, dtype) + total, dtype)
            new = np.where(total == 0, old, new)  # nothing is added: not a bit changes
        else:
            new = old
        out[:shared] = new.reshape(shared, size)
    if "a" in item:
        kind, fields, length = item["a"]
        left, payload = rows - shared, blob[at : at + length]
        if kind == "copy":
            new = copy(fields, payload, (left, *shape[1:]), dtype, np.empty(0), base, "")
        else:
            need(kind == "raw" and fields == {}, "added rows are raw or copies")
            new = planes(Take(payload), left, size, WIDTH[dtype])
        out[shared:] = new.reshape(left, size)
        at += length
    need(at == len(blob), "a blob is longer than its terms")
    return out.reshape(shape)


def numbers(
    kind: str, fields: Mapping[str, Any], payload: bytes, shape: Sequence[int], dtype: str, old: Array,
    base: Bits, name: str,
) -> Array:  # fmt: skip
    """The float32 numbers of one term, flat. `shape` is that of the shared rows, `old` the base's bits in `dtype`."""
    if kind in TIED:
        new = TIED[kind](fields, payload, shape, dtype, old, base, name)
        return np.asarray(to_float(new, dtype) - to_float(old, dtype), np.float32)
    need(kind in FLOATS, f"unknown kind {kind}")
    return np.asarray(FLOATS[kind](fields, payload, tuple(shape)), np.float32).ravel()


def to_float(bits: Array, dtype: str) -> Array:
    """float32 numbers of bits."""
    if dtype == "BF16":
        return (bits.astype("<u4") << 16).view("<f4")
    with np.errstate(over="ignore"):
        return np.asarray(bits.view({"F16": "<f2", "F32": "<f4", "F64": "<f8"}[dtype]).astype("<f4"))


def to_bits(values: Array, dtype: str) -> Array:
    """float32 numbers rounded to nearest, ties to even."""
    if dtype != "BF16":
        return np.asarray(values.astype({"F16": "<f2", "F32": "<f4", "F64": "<f8"}[dtype]).view(f"<u{WIDTH[dtype]}"))
    wide = values.astype("<f4").view("<u4").astype(np.uint64)
    return ((wide + 0x7FFF + ((wide >> 16) & 1)) >> 16).astype("<u2")


def recode(bits: Array, old: str, new: str) -> Array:
    """The base cast to the fine-tune's dtype."""
    return bits if old == new else to_bits(to_float(bits, old), new)


def plane(stored: bytes, size: int) -> bytes:
    """One plane of `size` bytes."""
    return bytes(size) if not stored else stored if len(stored) == size else unframe(stored, size)


def planes(take: Take, rows: int, size: int, width: int, end: bool = True) -> Array:
    """Byte planes: rows * size integers of `width` bytes."""
    (step,) = take.u32()
    need(step >= 1, "no rows in a chunk")
    chunks = math.ceil(rows / step)
    lengths = take.u32(chunks * width)
    out = np.zeros((rows * size, width), np.uint8)
    for chunk in range(chunks):
        first, last = chunk * step * size, min(rows, (chunk + 1) * step) * size
        for k in range(width):
            stored = take.bytes(lengths[chunk * width + k])
            out[first:last, k] = np.frombuffer(plane(stored, last - first), np.uint8)
    if end:
        take.end()
    return np.asarray(out.reshape(-1).view(f"<u{width}"))


def unzigzag(codes: Array) -> Array:
    """0, 1, 2, 3 become 0, -1, 1, -2."""
    wide = codes.astype(np.uint64)
    signed = np.where(wide & np.uint64(1), ~(wide >> np.uint64(1)), wide >> np.uint64(1))
    return np.asarray(signed.astype(codes.dtype))


def bit_stream(raw: bytes, bits: int, count: int) -> Array:
    """`count` codes of `bits` bits."""
    need(len(raw) == (count * bits + 7) // 8, "a bit stream of another size")
    lone = np.unpackbits(np.frombuffer(raw, np.uint8), bitorder="little")
    need(not lone[count * bits :].any(), "padding that is not zero")
    return np.asarray(lone[: count * bits].reshape(count, bits) @ (1 << np.arange(bits)))


def matrix_of(shape: Sequence[int]) -> tuple[int, int]:
    """(rows, columns) of the matrix view."""
    if len(shape) < 2:
        return math.prod(shape), 1
    return math.prod(shape[:-1]), shape[-1]


def exact(fields: Any, payload: bytes, shape: Any, dtype: str, old: Array, base: Bits, name: str) -> Array:
    rows = shape[0] if len(shape) else 1
    codes = planes(Take(payload), rows, math.prod(shape[1:]), WIDTH[dtype])
    return np.asarray(old + unzigzag(codes))


def changes(fields: Any, payload: bytes, shape: Any, dtype: str, old: Array, base: Bits, name: str) -> Array:
    rows, size, width = (shape[0] if len(shape) else 1), math.prod(shape[1:]), WIDTH[dtype]
    take, out = Take(payload), old.copy()
    (step,) = take.u32()
    for chunk, length in enumerate(take.u32(math.ceil(rows / step))):
        inner = Take(take.bytes(length))
        count, cut = inner.u32(2)
        gaps = planes(Take(inner.bytes(cut)), count, 1, 4)
        steps = planes(inner, count, 1, width)
        at = chunk * step * size - 1
        for gap, one in zip(gaps.tolist(), steps.tolist(), strict=True):
            at += gap + 1
            need(at < min(rows, (chunk + 1) * step) * size, "a change outside its chunk")
            code = np.array([(one + 1) % 256**width], f"<u{width}")
            out[at : at + 1] += unzigzag(code)
    take.end()
    return out


def ranged(fields: Any, payload: bytes, shape: Any, dtype: str, old: Array, base: Bits, name: str) -> Array:
    rows, size = (shape[0] if len(shape) else 1), math.prod(shape[1:])
    low, bits = {"BF16": (7, 8), "F16": (10, 5), "F32": (23, 8)}[dtype]
    take = Take(payload)
    step, length = take.u32(2)
    model = Take(take.bytes(length))
    (count,) = struct.unpack("<H", model.bytes(2))
    firsts = struct.unpack(f"<{count}H", model.bytes(2 * count))
    sizes = planes(model, count, 228, 2).reshape(count, 228).astype(int)
    need(firsts[0] == 0 and bool((sizes.sum(axis=1) == 4096).all()), "a model that does not add up")
    symbols = [np.repeat(np.arange(228), row).tolist() for row in sizes]
    starts = (np.cumsum(sizes, axis=1) - sizes).tolist()
    frequencies = sizes.tolist()
    exponents = (old.astype(np.uint64) >> np.uint64(low)) & np.uint64(2**bits - 1)
    contexts = (np.searchsorted(firsts, exponents.astype(int), side="right") - 1).tolist()
    lengths = take.u32(2 * math.ceil(rows / step))
    codes = []
    for chunk in range(len(lengths) // 2):
        words = iter(np.frombuffer(take.bytes(lengths[2 * chunk]), "<u2").tolist())
        raw = int.from_bytes(take.bytes(lengths[2 * chunk + 1]), "little")
        states = [next(words) + 65536 * next(words) for _ in range(4)]
        first, last = chunk * step * size, min(rows, (chunk + 1) * step) * size
        for i, c in enumerate(contexts[first:last]):
            x = states[i % 4]
            slot = x % 4096
            s = symbols[c][slot]
            x = frequencies[c][s] * (x // 4096) + slot - starts[c][s]
            states[i % 4] = 65536 * x + next(words) if x < 65536 else x
            if s >= 128:
                n = 8 + (s - 128) // 4
                z = (4 + (s - 128) % 4) << (n - 3) | raw % 2 ** (n - 3)
                raw >>= n - 3
            codes.append(s if s < 128 else z)
        need(states == [65536] * 4 and next(words, None) is None and raw == 0, "a chunk that does not end")
    take.end()
    return np.asarray(old + unzigzag(np.array(codes, old.dtype)))


def copy(fields: Any, payload: bytes, shape: Any, dtype: str, old: Array, base: Bits, name: str) -> Array:
    rows, size, first = (shape[0] if len(shape) else 1), math.prod(shape[1:]), fields.get("r", 0)
    there = base[fields["n"]]
    need(there.shape[1:] == tuple(shape[1:]) and there.dtype.itemsize == WIDTH[dtype], "another tensor")
    under = there.reshape(-1, size)[first : first + rows].ravel()
    need(under.size == rows * size, "too few rows")
    if "k" in fields:
        need(fields["k"] in ("exact", "changes", "ranged"), "a copy of another kind")
        return TIED[fields["k"]]({}, payload, shape, dtype, under, base, name)
    need(not payload, "a copy has no payload")
    return under


def seeded(fields: Mapping[str, Any], payload: bytes, shape: Sequence[int]) -> Array:
    count, code = math.prod(shape), fields["b"]
    kept = lanes(fields["k"], count) < fields["t"]
    take = Take(payload)
    counts = take.u32(math.ceil(count / 65536))
    need(counts == [int(kept[i * 65536 : (i + 1) * 65536].sum()) for i in range(len(counts))], "another mask")
    total = int(kept.sum())
    if isinstance(code, str):
        values = to_float(np.frombuffer(take.bytes(total * WIDTH[code]), f"<u{WIDTH[code]}"), code)
    else:
        groups = math.ceil(total / fields["g"])
        scales = to_float(np.frombuffer(take.bytes(2 * groups), "<u2"), "BF16")
        codes = bit_stream(take.bytes((total * code + 7) // 8), code, total)
        middle = 2 ** (code - 1) if fields.get("z") else (2**code - 1) / 2
        values = np.repeat(scales, fields["g"])[:total] * (codes - middle).astype(np.float32)
    take.end()
    out = np.zeros(count, np.float32)
    out[kept] = values
    return out


def on_grids(take: Take, height: int, width: int, bits: int, group: int) -> Array:
    """A side of a `lowrank_minmax` band."""
    groups = math.ceil(width / group)
    scales = np.frombuffer(take.bytes(2 * height * groups), "<f2").astype(np.float64).reshape(height, groups)
    zeros = bit_stream(take.bytes((height * groups * bits + 7) // 8), bits, height * groups).reshape(height, groups)
    codes = bit_stream(take.bytes((height * width * bits + 7) // 8), bits, height * width).reshape(height, width)
    where = np.arange(width) // group
    return np.asarray(scales[:, where] * (codes - zeros[:, where]))


def lowrank_minmax(fields: Mapping[str, Any], payload: bytes, shape: Sequence[int]) -> Array:
    height, width = matrix_of(shape)
    if fields.get("t"):
        height, width = width, height
    take, at = Take(payload), 0
    s = to_float(np.frombuffer(take.bytes(2 * sum(r for _, r in fields["b"])), "<u2"), "BF16").astype(np.float64)
    out = np.zeros((height, width))
    for bits, rank in fields["b"]:
        v = on_grids(take, rank, width, bits, fields["g"])
        u = on_grids(take, height, rank, bits, fields["g"])
        out += (u * s[at : at + rank]) @ v
        at += rank
    take.end()
    return out.T if fields.get("t") else out


def some_rows(fields: Mapping[str, Any], payload: bytes, shape: Sequence[int]) -> Array:
    rows, size = (shape[0] if len(shape) else 1), math.prod(shape[1:])
    take = Take(payload)
    bits = np.unpackbits(np.frombuffer(plane(take.bytes(fields["b"]), (rows + 7) // 8), np.uint8), bitorder="little")
    need(not bits[rows:].any(), "a bitmap is too long")
    marked = np.flatnonzero(bits)
    out = np.zeros((rows, size), np.float32)
    for kind, inner, length in fields["p"]:
        need(kind in FLOATS and kind != "rows", f"a {kind} within rows")
        made = FLOATS[kind](inner, take.bytes(length), (len(marked), *shape[1:]))
        out[marked] += np.asarray(made, np.float32).reshape(len(marked), size)
    take.end()
    return out


def grouped(fields: Mapping[str, Any], payload: bytes, shape: Sequence[int]) -> Array:
    (height, width), b, g = matrix_of(shape), fields["b"], fields["g"]
    take = Take(payload)
    groups = math.ceil(width / g)
    scales = to_float(np.frombuffer(take.bytes(2 * height * groups), "<u2"), "BF16").reshape(height, groups)
    wide, steps = fields.get("m", height), []
    for rows, bits in ((wide, b), (height - wide, b - 1)):
        if rows or bits == b:
            codes = bit_stream(take.bytes((rows * width * bits + 7) // 8), bits, rows * width).reshape(rows, width)
            steps.append(codes - (2 ** (bits - 1) if fields.get("z") else (2**bits - 1) / 2))
    take.end()
    return np.asarray(np.repeat(scales, g, axis=1)[:, :width] * np.concatenate(steps).astype(np.float32))


def dense(fields: Mapping[str, Any], payload: bytes, shape: Sequence[int]) -> Array:
    rows = shape[0] if len(shape) else 1
    return to_float(planes(Take(payload), rows, math.prod(shape[1:]), WIDTH[fields["t"]]), fields["t"])


def lanes(key: int, count: int) -> Array:
    """The 32-bit lanes of elements 0..count."""
    found = []
    for i in range((count + 1) // 2):
        z = (key + (i + 1) * 0x9E3779B97F4A7C15) % 2**64
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) % 2**64
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) % 2**64
        z ^= z >> 31
        found += [z & 0xFFFFFFFF, z >> 32]
    return np.array(found[:count], np.uint64)


def sparse(fields: Mapping[str, Any], payload: bytes, shape: Sequence[int]) -> Array:
    rows, size = (shape[0] if len(shape) else 1), math.prod(shape[1:])
    take = Take(payload)
    (step,) = take.u32()
    lengths = take.u32(math.ceil(rows / step))
    kept = lanes(fields["k"], rows * size) < fields["t"] if "k" in fields else None
    out = np.zeros(rows * size, np.float32)
    for chunk, length in enumerate(lengths):
        first, last = chunk * step * size, min(rows, (chunk + 1) * step) * size
        inner = Take(take.bytes(length))
        if kept is None:
            stored = plane(inner.bytes(inner.u32()[0]), (last - first + 7) // 8)
            mask = np.unpackbits(np.frombuffer(stored, np.uint8), bitorder="little")[: last - first] == 1
        else:
            mask = kept[first:last]
        values = planes(inner, int(mask.sum()), 1, 4).view("<f4")
        out[first:last][mask] = values * np.float32(fields.get("f", 1.0))
    take.end()
    return out


@cache
def table() -> Array:
    """The 4096 numbers of trellis codes."""
    found = []
    for t in range(4096):
        h = t * 0x5D3 % 4096
        h ^= h >> 6
        h = h * 0x4F1 % 4096
        h ^= h >> 6
        found.append(round(4096 * NormalDist().inv_cdf((h + 0.5) / 4096)) / 4096)
    return np.array(found)


def trellis(raw: bytes, bits: int, length: int, rank: int) -> Array:
    """A factor (length, rank) of trellis codes."""
    need(len(raw) == (length * rank * bits + 7) // 8, "a bit stream of another size")
    stream = np.unpackbits(np.frombuffer(raw, np.uint8), bitorder="little").astype(int)
    out = np.zeros((length, rank))
    size = length * bits
    for column in range(rank):
        ring = stream[column * size : (column + 1) * size]
        for i in range(length):
            last = (i + 1) * bits - 1
            out[i, column] = table()[sum(int(ring[(last - d) % size]) << (11 - d) for d in range(12))]
    return out


def side(take: Take, code: int | str, length: int, rank: int) -> Array:
    """U or V of one band."""
    if code in ("T1", "T2", "T3"):
        bits = int(code[1])
        return trellis(take.bytes((length * rank * bits + 7) // 8), bits, length, rank)
    if isinstance(code, str):
        raw = take.bytes(length * rank * WIDTH[code])
        return to_float(np.frombuffer(raw, f"<u{WIDTH[code]}"), code).reshape(length, rank)
    codes = bit_stream(take.bytes((length * rank * code + 7) // 8), code, length * rank)
    return (codes - (2**code - 1) / 2).reshape(length, rank)


def lowrank(fields: Mapping[str, Any], payload: bytes, shape: Sequence[int]) -> Array:
    height, width = matrix_of(shape)
    take, stored = Take(payload), fields.get("s", "BF16")
    rank = sum(r for _, r in fields["b"])
    s = np.ones(rank)
    if stored:
        s = to_float(np.frombuffer(take.bytes(rank * WIDTH[stored]), f"<u{WIDTH[stored]}"), stored)
    out, at = np.zeros((height, width)), 0
    for code, r in fields["b"]:
        u, v = side(take, code, height, r), side(take, code, width, r)
        out += (u.astype(np.float64) * s[at : at + r]) @ v.astype(np.float64).T
        at += r
    take.end()
    return out


def sign(fields: Mapping[str, Any], payload: bytes, shape: Sequence[int]) -> Array:
    height, width = matrix_of(shape)
    take = Take(payload)
    if fields["a"] == "scalar":
        scales = np.frombuffer(take.bytes(4), "<f4").reshape(1, 1)
    else:
        count = height if fields["a"] == "row" else width
        scales = to_float(np.frombuffer(take.bytes(2 * count), "<u2"), "BF16")
        scales = scales.reshape((count, 1) if fields["a"] == "row" else (1, count))
    there = np.ones(height * width, bool)
    if "z" in fields:
        bits = plane(take.bytes(fields["z"]), (height * width + 7) // 8)
        there = bit_stream(bits, 1, height * width) == 1
    count = int(there.sum())
    out = np.zeros(height * width)
    out[there] = bit_stream(take.bytes((count + 7) // 8), 1, count) * 2.0 - 1
    take.end()
    return out.reshape(height, width) * scales


TIED: dict[str, Callable[..., Array]] = {"changes": changes, "copy": copy, "exact": exact, "ranged": ranged}
FLOATS: dict[str, Callable[..., Array]] = {
    "dense": dense, "grouped": grouped, "lowrank": lowrank, "lowrank_minmax": lowrank_minmax, "rows": some_rows,
    "seeded": seeded, "sign": sign, "sparse": sparse,
}  # fmt: skip
