"""A matrix on asymmetric grids as GPTQ's quantisers store it: per group of a row a float16 scale and an integer zero of
as many bits as the codes. Code c stands for scale * (c - zero).

Bytes: the scales, row by row, then the zeros and then the codes as tight bit streams (packing.py). The last group of a
row may be short.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deltakit.delta.coding.packing import Codes, pack, packed_size, unpack

__all__ = ["MinMax", "minmax_size"]

Float32 = NDArray[np.float32]


def minmax_size(height: int, width: int, bits: int, group: int) -> int:
    """Bytes of a matrix (height, width), scales and zeros counted."""
    groups = height * -(-width // group)
    return 2 * groups + packed_size(groups, bits) + packed_size(height * width, bits)


@dataclass(frozen=True, eq=False)
class MinMax:
    """A matrix (height, width), row-major."""

    bits: int
    group: int
    height: int
    width: int
    raw: memoryview

    @classmethod
    def of(cls, codes: Codes, zeros: Codes, scales: NDArray[Any], group: int, bits: int) -> MinMax:
        """Codes (height, width); zeros and scales (height, groups)."""
        raw = np.asarray(scales, "<f2").tobytes() + pack(zeros, bits) + pack(codes, bits)
        return cls(bits, group, codes.shape[0], codes.shape[1], memoryview(raw))

    def values(self) -> Float32:
        """All numbers."""
        groups = -(-self.width // self.group)
        count = self.height * groups
        scales = np.frombuffer(self.raw[: 2 * count], "<f2").astype(np.float32).reshape(self.height, groups)
        at = 2 * count + packed_size(count, self.bits)
        zeros = unpack(self.raw[2 * count : at], self.bits, count).astype(np.float32).reshape(self.height, groups)
        codes = unpack(self.raw[at:], self.bits, self.height * self.width).reshape(self.height, self.width)
        spread = np.repeat(np.arange(groups), self.group)[: self.width]
        made: Float32 = (codes - zeros[:, spread]) * scales[:, spread]
        return made
