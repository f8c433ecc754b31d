"""TensorSpec and TensorMap: specs are free, reads are lazy, a range is rows of the leading dimension.

No torch import here: listing, inspecting and elementwise arithmetic never need it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from deltakit.errors import MismatchError, RecipeError

if TYPE_CHECKING:
    import torch

__all__ = [
    "FLOAT_DTYPES",
    "ITEMSIZE",
    "Mapped",
    "TensorMap",
    "TensorSpec",
    "as_bytes",
    "cast",
    "cast_bytes",
    "dtype_code",
    "from_float32",
    "numpy_bits",
    "prefetch",
    "read",
    "rename",
    "rounded",
    "row_blocks",
    "same",
    "select",
    "to_float32",
    "torch_dtype",
]

Float32 = NDArray[np.float32]

# safetensors dtype codes -> bytes per element
ITEMSIZE: Mapping[str, int] = {
    "BOOL": 1, "U8": 1, "I8": 1, "F8_E4M3": 1, "F8_E5M2": 1, "U16": 2, "I16": 2, "F16": 2, "BF16": 2,
    "U32": 4, "I32": 4, "F32": 4, "U64": 8, "I64": 8, "F64": 8,
}  # fmt: skip
FLOAT_DTYPES = ("BF16", "F16", "F32", "F64")
_ALIASES: Mapping[str, str] = {
    "bfloat16": "BF16", "bf16": "BF16", "float16": "F16", "fp16": "F16", "half": "F16",
    "float32": "F32", "fp32": "F32", "float": "F32", "float64": "F64", "double": "F64",
    "int64": "I64", "int32": "I32", "int16": "I16", "int8": "I8", "uint8": "U8", "bool": "BOOL",
}  # fmt: skip
_NUMPY: Mapping[str, str] = {
    "BOOL": "?", "U8": "u1", "I8": "i1", "U16": "<u2", "I16": "<i2", "F16": "<f2",
    "U32": "<u4", "I32": "<i4", "F32": "<f4", "U64": "<u8", "I64": "<i8", "F64": "<f8",
}  # fmt: skip
_TORCH: Mapping[str, str] = {
    "BOOL": "bool", "U8": "uint8", "I8": "int8", "I16": "int16", "I32": "int32", "I64": "int64",
    "F16": "float16", "BF16": "bfloat16", "F32": "float32", "F64": "float64",
}  # fmt: skip


@dataclass(frozen=True)
class TensorSpec:
    """Shape and dtype (a safetensors code such as "BF16") of one tensor."""

    shape: tuple[int, ...]
    dtype: str

    @property
    def rows(self) -> int:
        """Length of the leading dimension (1 for a scalar)."""
        return self.shape[0] if self.shape else 1

    @property
    def row_size(self) -> int:
        """Elements of one row."""
        return math.prod(self.shape[1:])

    @property
    def numel(self) -> int:
        return math.prod(self.shape)

    @property
    def itemsize(self) -> int:
        return ITEMSIZE[self.dtype]

    @property
    def nbytes(self) -> int:
        return self.numel * self.itemsize

    @property
    def is_float(self) -> bool:
        """True for the float dtypes that arithmetic is defined on."""
        return self.dtype in FLOAT_DTYPES

    def with_rows(self, rows: int) -> TensorSpec:
        """The spec of the first `rows` rows."""
        return TensorSpec((rows, *self.shape[1:]), self.dtype) if self.shape else self


@runtime_checkable
class TensorMap(Protocol):
    """A read-only map from sorted names to tensors. Specs cost nothing; `buffer` reads."""

    @property
    def specs(self) -> Mapping[str, TensorSpec]:
        """Name to spec, sorted by name."""
        ...

    def buffer(self, name: str, lo: int = 0, hi: int | None = None) -> memoryview:
        """Raw little-endian bytes of rows lo..hi (a scalar counts as one row), row-major."""
        ...


def prefetch(source: TensorMap, name: str) -> None:
    """Ask a map to read a tensor ahead, where it can; a hint only."""
    ahead = getattr(source, "prefetch", None)
    if ahead is not None:
        ahead(name)


@dataclass(frozen=True)
class Mapped:
    """A TensorMap from specs and a function (name, lo, hi) -> bytes-like."""

    specs: Mapping[str, TensorSpec]
    pull: Callable[[str, int, int], Any]

    def buffer(self, name: str, lo: int = 0, hi: int | None = None) -> memoryview:
        """Rows lo..hi; the length is checked against the spec (law 1)."""
        spec = self.specs[name]
        hi = spec.rows if hi is None else hi
        view = memoryview(self.pull(name, lo, hi)).cast("B")
        want = (hi - lo) * spec.row_size * spec.itemsize
        if view.nbytes != want:
            raise MismatchError(f"tensor {name!r}: rows {lo}..{hi} gave {view.nbytes} bytes, its spec says {want}")
        return view


def dtype_code(name: str) -> str:
    """The safetensors code of a dtype name ("bfloat16", "torch.bfloat16", "bf16", "BF16")."""
    plain = name.removeprefix("torch.")
    code = _ALIASES.get(plain.lower(), plain.upper())
    if code not in ITEMSIZE:
        raise RecipeError(f"unknown dtype {name!r}", remedy="use bfloat16, float16 or float32")
    return code


def numpy_bits(dtype: str) -> np.dtype[Any]:
    """The unsigned integer numpy dtype that holds the bits of one element."""
    return np.dtype(f"<u{ITEMSIZE[dtype]}")


def torch_dtype(dtype: str) -> torch.dtype:
    """The torch dtype of a safetensors code."""
    import torch

    found: torch.dtype = getattr(torch, _TORCH[dtype])
    return found


def to_float32(raw: Any, dtype: str) -> Float32:
    """Flat float32 values of raw element bytes. Exact for BF16, F16 and F32; F64 is rounded."""
    if dtype == "BF16":
        bits = np.frombuffer(raw, "<u2").astype(np.uint32) << 16
        return bits.view(np.float32)
    if dtype not in FLOAT_DTYPES:
        raise MismatchError(f"dtype {dtype} has no float arithmetic", remedy="leave integer tensors out, or copy them")
    with np.errstate(over="ignore"):  # an F64 beyond float32 becomes infinite, which the writer refuses by name
        return np.frombuffer(raw, _NUMPY[dtype]).astype(np.float32)


def from_float32(values: Float32, dtype: str) -> NDArray[Any]:
    """Round float32 values once, to nearest even, to `dtype`; BF16 comes back as its uint16 bits."""
    if dtype != "BF16":
        with np.errstate(over="ignore"):
            return values.astype(_NUMPY[dtype], copy=False)
    bits = np.ascontiguousarray(values, np.float32).view(np.uint32)
    rounded = ((bits + (0x7FFF + ((bits >> 16) & 1))) >> 16).astype(np.uint16)
    nan = np.isnan(values)
    if nan.any():  # the carry could turn a NaN into an infinity
        rounded[nan] = (bits[nan] >> 16).astype(np.uint16) | 0x40
    return rounded


def rounded(values: NDArray[Any], dtype: str) -> Float32:
    """The nearest numbers of `dtype`, as float32, in the shape of `values`: what is read back once they are stored."""
    whole = np.ascontiguousarray(values, np.float32)
    return to_float32(from_float32(whole, dtype), dtype).reshape(values.shape)


def as_bytes(values: NDArray[Any]) -> memoryview:
    """The raw bytes of an array, also of an empty one, without a copy where it is contiguous."""
    return np.ascontiguousarray(values).data.cast("B") if values.size else memoryview(b"")


def cast_bytes(raw: Any, dtype: str, to: str) -> memoryview:
    """Raw element bytes recoded from one dtype to another (through float32, one rounding)."""
    if dtype == to:
        return memoryview(raw).cast("B")
    if "F64" in (dtype, to) and "BF16" not in (dtype, to):
        with np.errstate(over="ignore"):
            return as_bytes(np.frombuffer(raw, _NUMPY[dtype]).astype(_NUMPY[to]))
    return as_bytes(from_float32(to_float32(raw, dtype), to))


def read(source: TensorMap, name: str) -> torch.Tensor:
    """One whole tensor as torch (writable, own memory), with exactly its spec."""
    import torch

    spec = source.specs[name]
    data = torch.frombuffer(bytearray(source.buffer(name)) or bytearray(8), dtype=torch_dtype(spec.dtype))
    return data[: spec.numel].reshape(spec.shape)


def row_blocks(spec: TensorSpec, max_bytes: int = 8 << 20) -> Iterable[tuple[int, int]]:
    """Row ranges of at most `max_bytes` of float32 each (at least one row), covering the tensor in order."""
    step = max(1, max_bytes // max(1, spec.row_size * 4))
    for lo in range(0, spec.rows, step):
        yield lo, min(lo + step, spec.rows)


def same(first: TensorMap, second: TensorMap) -> bool:
    """Whether two maps hold the same names, specs and bytes; reads bounded ranges, and no further than it must."""
    if dict(first.specs) != dict(second.specs):
        return False
    return all(
        first.buffer(name, lo, hi) == second.buffer(name, lo, hi)
        for name, spec in first.specs.items()
        for lo, hi in row_blocks(spec)
    )


def select(source: TensorMap, keep: Callable[[str], bool]) -> Mapped:
    """A view of the tensors whose name `keep` accepts."""
    return Mapped({n: s for n, s in source.specs.items() if keep(n)}, source.buffer)


def rename(source: TensorMap, names: Callable[[str], str]) -> Mapped:
    """A view with other names, sorted anew; two names that collide are an error."""
    old = {names(n): n for n in source.specs}
    if len(old) != len(source.specs):
        raise MismatchError("renaming gives two tensors the same name", remedy="change the name map")
    specs = {new: source.specs[old[new]] for new in sorted(old)}
    return Mapped(specs, lambda name, lo, hi: source.buffer(old[name], lo, hi))


def cast(source: TensorMap, dtype: str) -> Mapped:
    """A view whose float tensors have another dtype; integers stay as they are."""
    specs = {n: TensorSpec(s.shape, dtype) if s.is_float else s for n, s in source.specs.items()}

    def pull(name: str, lo: int, hi: int) -> memoryview:
        return cast_bytes(source.buffer(name, lo, hi), source.specs[name].dtype, specs[name].dtype)

    return Mapped(specs, pull)
