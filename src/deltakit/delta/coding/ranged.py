"""Lossless coding of tuned bits against bits that the reader has: range coding (rANS, Duda, arXiv 1311.2540) whose
tables depend on the exponent of the base.

A fine-tune moves a weight by so much, whatever the weight; counted in units of the last place that is far for a small
weight and near for a large one. Given the base's exponent a difference has 20 to 40 % less entropy than without.

Layout: u32 rows per chunk, u32 bytes of the model, the model, per chunk u32 bytes of words and u32 bytes of raw bits,
then per chunk words and raw bits. Model: u16 contexts, for each u16 the first exponent, then byte planes of the
frequencies (contexts x SYMBOLS, u16).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deltakit.delta.coding.planes import CHUNK, Planes, Unsigned, check_chunk, encode
from deltakit.errors import CheckpointError
from deltakit.tensors import numpy_bits

__all__ = ["EXPONENTS", "Coded", "Model", "code"]

Counts = NDArray[np.int64]
Pull = Callable[[int, int], tuple[Unsigned, Unsigned]]

EXPONENTS = {"BF16": (7, 8), "F16": (10, 5), "F32": (23, 8)}  # dtype: (lowest bit, bits) of the exponent
_SYMBOLS, _SLOTS = 228, 4096
_RARE, _FEW = 256, 4096  # a context has at least a share of 1/_RARE of the elements, and _FEW of them
_AGAIN = "fetch the file again"


@dataclass(frozen=True)
class Model:
    """`firsts` (contexts,): the first exponent of each; `sizes` (contexts, symbols): frequencies that sum to 4096."""

    firsts: NDArray[np.uint16]
    sizes: NDArray[np.uint16]

    @classmethod
    def of(cls, counts: Counts) -> Model:
        """The model of counts (exponents, symbols): rare exponents share a context with their neighbours."""
        need = max(_FEW, int(counts.sum()) // _RARE)
        firsts, grouped, held = [0], [np.zeros(counts.shape[1], np.int64)], 0
        for exponent, row in enumerate(counts):
            if held >= need and counts[exponent:].sum() >= need:
                firsts, held = [*firsts, exponent], 0
                grouped.append(np.zeros(counts.shape[1], np.int64))
            grouped[-1] += row
            held += int(row.sum())
        return cls(np.array(firsts, "<u2"), np.stack([_normal(row) for row in grouped]).astype("<u2"))

    @classmethod
    def load(cls, raw: memoryview, exponents: int) -> Model:
        """Checked, so that no kernel can leave its arrays."""
        count = int(np.frombuffer(raw[:2], "<u2")[0]) if len(raw) >= 2 else 0
        if not 1 <= count <= min(exponents, 256) or len(raw) < 2 + 2 * count:
            raise CheckpointError(f"a range coder's model has {count} contexts", remedy=_AGAIN)
        firsts = np.frombuffer(raw[2 : 2 + 2 * count], "<u2")
        sizes = Planes.open(raw[2 + 2 * count :], count, _SYMBOLS, 2).read(0, count).reshape(count, _SYMBOLS)
        rising = firsts[0] == 0 and (np.diff(firsts.astype(np.int64)) > 0).all() and firsts[-1] < exponents
        if not rising or (sizes.sum(axis=1, dtype=np.int64) != _SLOTS).any():
            raise CheckpointError("a range coder's frequencies do not add up", remedy=_AGAIN)
        return cls(firsts, sizes)

    def save(self) -> bytes:
        """The bytes of the file."""
        flat = self.sizes.ravel()
        planes = encode(lambda a, b: flat[a * _SYMBOLS : b * _SYMBOLS], len(self.sizes), _SYMBOLS)
        return np.uint16(len(self.firsts)).tobytes() + self.firsts.tobytes() + planes

    @property
    def starts(self) -> NDArray[np.uint16]:
        """Where each symbol's slots begin."""
        return np.asarray(np.cumsum(self.sizes, axis=1, dtype=np.int64) - self.sizes, np.uint16)

    def contexts(self, exponents: int) -> NDArray[np.uint8]:
        """The context of each exponent."""
        found = np.searchsorted(self.firsts, np.arange(exponents), side="right") - 1
        return found.astype(np.uint8)

    def table(self) -> NDArray[np.uint32]:
        """For context c at c * 4096 + slot: symbol << 24 | (frequency - 1) << 12 | place within the symbol."""
        rows = []
        for sizes, starts in zip(self.sizes, self.starts, strict=True):
            symbol = np.repeat(np.arange(_SYMBOLS), sizes)
            place = np.arange(_SLOTS) - starts[symbol]
            rows.append((symbol << 24) | ((sizes[symbol].astype(np.int64) - 1) << 12) | place)
        return np.concatenate(rows).astype(np.uint32)


def _normal(counts: Counts) -> Counts:
    """Frequencies that sum to 4096, at least 1 for what occurs; a context without elements codes zeros for nothing."""
    total = int(counts.sum())
    if not total:
        counts, total = np.eye(1, len(counts), dtype=np.int64)[0], 1
    sizes = np.maximum(counts * _SLOTS // total, (counts > 0).astype(np.int64))
    over = int(sizes.sum()) - _SLOTS
    while over > 0:  # taken from the most frequent, whose code grows least
        top = int(sizes.argmax())
        cut = min(over, max(1, int(sizes[top]) // 8))
        sizes[top] -= cut
        over -= cut
    sizes[int(counts.argmax())] -= over
    return sizes


def code(pull: Pull, rows: int, row_size: int, dtype: str) -> bytes:
    """Code `rows` rows; pull(lo, hi) gives the bits of base and tuned rows, flat, of a dtype in EXPONENTS."""
    kernels = _kernels()
    step = max(1, CHUNK // max(1, row_size))
    shift, mask = _field(dtype)
    counts = np.zeros((int(mask) + 1, _SYMBOLS), np.int64)
    for lo in range(0, rows, step):
        kernels.tally(*pull(lo, min(lo + step, rows)), shift, mask, counts)
    model = Model.of(counts)
    contexts, starts = model.contexts(len(counts)), model.starts
    lengths, blobs = [], []
    for lo in range(0, rows, step):
        base, tuned = pull(lo, min(lo + step, rows))
        symbols, keys = np.empty(base.size, np.uint8), np.empty(base.size, np.uint8)
        extra, words = np.zeros(base.size + 1, "<u4"), np.empty(base.size + 8, "<u2")
        bits = kernels.split(base, tuned, symbols, extra)
        kernels.keyed(base, shift, mask, contexts, keys)
        first = kernels.encode(symbols, keys, starts, model.sizes, words)
        blobs += [words[first:].tobytes(), extra[: (bits + 31) // 32].tobytes()]
        lengths += [len(blobs[-2]), len(blobs[-1])]
    saved = model.save()
    head = np.array([step, len(saved)], "<u4").tobytes() + saved
    return head + np.array(lengths, "<u4").tobytes() + b"".join(blobs)


@dataclass(frozen=True, eq=False)
class Coded:
    """The decoder over one payload. Every size is checked against the payload before anything is allocated."""

    payload: memoryview
    rows: int
    row_size: int
    dtype: str
    step: int
    model: Model
    bounds: NDArray[np.int64]  # where the words and the raw bits of each chunk begin, and the end

    @classmethod
    def open(cls, payload: memoryview, rows: int, row_size: int, dtype: str) -> Coded:
        """Read model and table of lengths."""
        if dtype not in EXPONENTS:
            raise CheckpointError(f"range coding is for {', '.join(EXPONENTS)}, not {dtype}", remedy=_AGAIN)
        step, size = (int(n) for n in np.frombuffer(payload[:8], "<u4")) if len(payload) >= 8 else (0, 0)
        count = 2 * math.ceil(rows / max(1, step))
        table = 8 + size + 4 * count
        if step == 0 or len(payload) < table:
            raise CheckpointError("a payload is smaller than its table of lengths", remedy=_AGAIN)
        lengths = np.frombuffer(payload[8 + size : table], "<u4").astype(np.int64)
        bounds = table + np.concatenate([[0], np.cumsum(lengths)])
        if int(bounds[-1]) != len(payload):
            raise CheckpointError("a payload's lengths do not add up", remedy=_AGAIN)
        check_chunk(step, rows, row_size)
        model = Model.load(payload[8 : 8 + size], 1 << EXPONENTS[dtype][1])
        return cls(payload, rows, row_size, dtype, step, model, bounds)

    def read(self, lo: int, hi: int, pull: Callable[[int, int], Unsigned]) -> Unsigned:
        """The tuned bits of rows lo..hi, flat; pull(lo, hi) gives the base's."""
        out = np.empty((hi - lo) * self.row_size, numpy_bits(self.dtype))
        table = self.model.table()
        for chunk in range(lo // self.step, math.ceil(hi / self.step)) if hi > lo else ():
            first, last = chunk * self.step, min(self.rows, (chunk + 1) * self.step)
            a, b = max(lo, first), min(hi, last)
            into = out[(a - lo) * self.row_size : (b - lo) * self.row_size]
            if (a, b) == (first, last):
                self._chunk(chunk, pull(a, b), table, into)
                continue
            whole = np.empty((last - first) * self.row_size, out.dtype)
            self._chunk(chunk, pull(first, last), table, whole)
            into[:] = whole[(a - first) * self.row_size : (b - first) * self.row_size]
        return out

    def _chunk(self, chunk: int, base: Unsigned, table: NDArray[np.uint32], out: Unsigned) -> None:
        """All elements of one chunk into `out`."""
        kernels = _kernels()
        words, extra = (self.payload[a:b] for a, b in pairwise(self.bounds[2 * chunk : 2 * chunk + 3].tolist()))
        if len(words) < 16 or len(words) % 2 or len(extra) % 4:
            raise CheckpointError("a chunk is cut short", remedy=_AGAIN)
        shift, mask = _field(self.dtype)
        keys, symbols = np.empty(base.size, np.uint8), np.empty(base.size, np.uint8)
        kernels.keyed(base, shift, mask, self.model.contexts(int(mask) + 1), keys)
        ended = kernels.symbols_of(keys, table, np.frombuffer(bytes(words), "<u2"), symbols)
        padded = np.frombuffer(bytes(extra) + bytes(8), "<u4")
        bits = int(kernels.expand(base, symbols, padded, out))
        if not ended or (bits + 31) // 32 != len(padded) - 2:
            raise CheckpointError("a chunk is damaged, or its base is not the one it was made of", remedy=_AGAIN)


def _kernels() -> Any:
    """The compiled loops; imported late, for listing needs none."""
    from deltakit.delta.coding.kernels import entropy

    return entropy


def _field(dtype: str) -> tuple[Any, Any]:
    """Shift and mask of the exponent."""
    low, bits = EXPONENTS[dtype]
    return np.uint64(low), np.uint64((1 << bits) - 1)
