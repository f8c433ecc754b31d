"""A quantised checkpoint seen as the floats that it stands for: FP8 and compressed-tensors, dequantised on read.

Formats: 8-bit floats with a scale for the tensor, for each row, or for blocks of 128 x 128 (`weight_scale`,
`weight_scale_inv`, as DeepSeek's and fbgemm's); compressed-tensors' float-quantized, int-quantized, naive-quantized and
pack-quantized. All else (GPTQ, AWQ, bitsandbytes, GGUF, 4-bit floats, rotated or sparse weights) stays refused.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from deltakit.checkpoint.codes import Coded
from deltakit.checkpoint.open import Checkpoint, open_checkpoint
from deltakit.checkpoint.quantised import refuse_quantised
from deltakit.errors import CheckpointError, RecipeError
from deltakit.tensors import FLOAT_DTYPES, TensorMap, TensorSpec, as_bytes, dtype_code, from_float32

__all__ = ["Dequantised", "dequantised", "open_floats", "plan_codes"]

Config: TypeAlias = Mapping[str, Any]
Specs: TypeAlias = Mapping[str, TensorSpec]

_KEYS = ("quantization_config", "compression_config")
_FP8 = ("fp8", "fbgemm_fp8", "modelopt")
_FORMATS = (None, "dense", "float-quantized", "int-quantized", "naive-quantized", "pack-quantized", "mixed-precision")
_ACTIVATIONS = (
    "input_scale", "output_scale", "input_zero_point", "output_zero_point", "input_scale_ub", "activation_scale",
    "q_scale", "k_scale", "v_scale", "prob_output_scale",
)  # fmt: skip
_PACKED = ("_packed", "_scale", "_zero_point", "_g_idx")
_WIDTHS = (1, 2, 4, 8)  # bits of packed integers; the layout of other widths differs between versions of the format
_BLOCK = 128  # rows and columns of an FP8 block, where nothing says otherwise


@dataclass
class _Found:
    """The coded tensors by the names of their values, the tensors that merely serve them, and what is wrong."""

    coded: dict[str, Coded] = field(default_factory=dict)
    hidden: set[str] = field(default_factory=set)
    problems: list[str] = field(default_factory=list)


class Dequantised(Checkpoint):
    """The checkpoint with codes shown as floats of `dtype`, computed range by range; scales and zero points hidden, and
    no quantization in its configuration. `notes` say so."""

    def __init__(self, inner: Checkpoint, coded: Mapping[str, Coded], hidden: frozenset[str], dtype: str) -> None:
        super().__init__(inner.source, inner.path, inner.shards, inner.sidecar.without(*_KEYS), inputs=inner.inputs)
        self.coded, self.dtype = coded, dtype
        self._inner: TensorMap = inner
        self._prefetch = inner.prefetch
        places = {c.codes: name for name, c in coded.items()}
        shown = {n: s for n, s in inner.specs.items() if n not in hidden and n not in places}
        specs = {**shown, **{n: TensorSpec(c.shape, dtype) for n, c in coded.items()}}
        self.specs = {n: specs[n] for n in sorted(specs)}
        self.order = tuple(places.get(n, n) for n in inner.order if n not in hidden)
        self.said = f"{inner.source}: {len(coded)} quantised tensors are read as {dtype}"
        self.notes = (*inner.notes, self.said)

    def buffer(self, name: str, lo: int = 0, hi: int | None = None) -> memoryview:
        """Raw bytes of rows lo..hi: as stored, or value = (code - zero) * scale in float32 and rounded once."""
        coded = self.coded.get(name)
        hi = self.specs[name].rows if hi is None else hi
        if coded is None:
            return self._inner.buffer(name, lo, hi)
        return as_bytes(from_float32(coded.rows(self._inner, lo, hi), self.dtype))

    def prefetch(self, name: str) -> None:
        """Ask the system to read the beginning of the codes ahead."""
        coded = self.coded.get(name)
        self._prefetch(coded.codes if coded else name)


def open_floats(where: str | Path) -> Checkpoint:
    """`open_checkpoint`, with quantised weights dequantised on read where their codes are numbers on their own."""
    return dequantised(open_checkpoint(where, allow_quantised=True))


def dequantised(checkpoint: Checkpoint) -> Checkpoint:
    """The checkpoint as floats; one that holds floats already as it is. CheckpointError where it is quantised in a way
    that is not read, naming what stands in the way."""
    config = checkpoint.sidecar.config or {}
    quantization = _quantization(config)
    found = plan_codes(checkpoint, quantization) if _readable(quantization) else _Found()
    if not found.coded and not found.hidden and not found.problems:
        refuse_quantised(checkpoint.source, checkpoint.specs, config)
        return checkpoint
    if found.problems:
        raise CheckpointError(
            f"{checkpoint.source} is quantised in a way that is not read",
            remedy="take the unquantised release, or dequantise it with the tool that made it",
            details=found.problems,
        )
    view = Dequantised(checkpoint, found.coded, frozenset(found.hidden), _dtype(config))
    refuse_quantised(checkpoint.source, view.specs, view.sidecar.config)
    return view


def _quantization(config: Config) -> Config:
    found: Any = next((config[k] for k in _KEYS if config.get(k)), {})
    return found if isinstance(found, Mapping) else {"quant_method": str(found)}


def _readable(quantization: Config) -> bool:
    """Whether the method is one whose codes are numbers on their own."""
    method = quantization.get("quant_method")
    if method is None or method in _FP8:
        return method != "modelopt" or quantization.get("quant_algo", "FP8") == "FP8"
    sparse = (quantization.get("sparsity_config") or {}).get("format", "dense")
    formats = [quantization.get("format"), *(g.get("format") for g in _groups(quantization))]
    plain = sparse == "dense" and not quantization.get("transform_config")
    return method == "compressed-tensors" and plain and all(f in _FORMATS for f in formats)


def _groups(quantization: Config) -> list[Config]:
    found = quantization.get("config_groups")
    return [g for g in found.values() if isinstance(g, Mapping)] if isinstance(found, Mapping) else []


def _dtype(config: Config) -> str:
    """The dtype that the configuration names for the weights, else bfloat16."""
    tower = config.get("text_config")
    for section in (config, tower if isinstance(tower, Mapping) else {}):
        for key in ("dtype", "torch_dtype"):
            try:
                code = dtype_code(str(section.get(key, "")))
            except RecipeError:
                continue
            if code in FLOAT_DTYPES:
                return code
    return "BF16"


def plan_codes(source: TensorMap, quantization: Config) -> _Found:
    """Which tensors are codes, and what belongs to them: from specs, and the stored shapes of packed weights."""
    found = _Found()
    hints = _Hints.of(quantization)
    for name, spec in source.specs.items():
        scale = _scale_of(name, source.specs)
        if spec.dtype.startswith("F8_") or (spec.dtype == "I8" and scale and quantization):
            _plain(found, source.specs, name, hints, bool(quantization))
        elif quantization and name.endswith(".weight_packed"):
            _packed(found, source, name.removesuffix("_packed"), hints)
        elif quantization and spec.is_float and scale:  # dense weights that keep their scales
            found.hidden |= _beside(name, source.specs)
        elif quantization and name.rpartition(".")[2] in _ACTIVATIONS:
            found.hidden.add(name)
    return found


@dataclass(frozen=True)
class _Hints:
    """What the configuration says beside the shapes: the block of the scales, and the widths of packed integers."""

    block: tuple[int, int] = (0, 0)
    bits: tuple[int, ...] = ()

    @classmethod
    def of(cls, quantization: Config) -> _Hints:
        weights = [w for g in _groups(quantization) if isinstance(w := g.get("weights"), Mapping)]
        blocks = [quantization.get("weight_block_size"), *(w.get("block_structure") for w in weights)]
        pairs = [b.split("x") if isinstance(b, str) else b for b in blocks]
        block = next(((int(b[0]), int(b[1])) for b in pairs if isinstance(b, list | tuple) and len(b) == 2), (0, 0))
        bits = {b for w in weights if isinstance(b := w.get("num_bits"), int) and w.get("type", "int") == "int"}
        return cls(block, tuple(sorted(b for b in bits if b in _WIDTHS)))


def _scale_of(name: str, specs: Specs) -> str | None:
    return next((s for s in (f"{name}_scale", f"{name}_scale_inv") if s in specs), None)


def _beside(name: str, specs: Specs) -> set[str]:
    """What serves the weight `name`: scales, zero points, shapes, orders."""
    endings = ("_scale", "_scale_inv", "_zero_point", "_shape", "_g_idx", "_packed")
    return {f"{name}{e}" for e in endings if f"{name}{e}" in specs}


def _plain(found: _Found, specs: Specs, name: str, hints: _Hints, quantised: bool) -> None:
    """8-bit floats or integers that keep the weight's name."""
    spec, scale = specs[name], _scale_of(name, specs)
    if scale is None and quantised:
        found.problems.append(f"{name}: {spec.dtype} {list(spec.shape)} without a scale")
        return
    zero = f"{name}_zero_point" if f"{name}_zero_point" in specs else None
    if spec.dtype != "I8" and hints.block == (0, 0):
        hints = replace(hints, block=(_BLOCK, _BLOCK))
    _add(found, specs, name, Coded(name, spec.shape, (1, 1), scale, zero), hints)


def _packed(found: _Found, source: TensorMap, name: str, hints: _Hints) -> None:
    """Integers in 32-bit words."""
    specs, codes, scale, zero, order = source.specs, *(f"{name}{e}" for e in _PACKED)
    spec, shape = specs[codes], _stored_shape(source, name)
    bits = [b for b in hints.bits if shape and -(-shape[-1] // (32 // b)) == spec.shape[-1]]
    if spec.dtype != "I32" or not shape or shape[:-1] != spec.shape[:-1] or len(bits) != 1 or scale not in specs:
        found.problems.append(f"{codes}: {spec.dtype} {list(spec.shape)} is not packed by the rules of pack-quantized")
        return
    made = Coded(
        codes, shape, (1, 1), scale, zero if zero in specs else None, order if order in specs else None, bits[0],
        zero in specs and specs[zero].dtype == "I32",
    )  # fmt: skip
    _add(found, specs, name, made, hints)


def _stored_shape(source: TensorMap, name: str) -> tuple[int, ...]:
    """The shape that is stored beside packed words, () where there is none."""
    spec = source.specs.get(f"{name}_shape")
    if spec is None or spec.dtype not in ("I64", "I32") or spec.numel not in (2, 3):
        return ()
    return tuple(int(n) for n in np.frombuffer(source.buffer(f"{name}_shape"), f"<i{spec.itemsize}"))


def _add(found: _Found, specs: Specs, name: str, made: Coded, hints: _Hints) -> None:
    """With the block that one scale stands for, if the shapes fit."""
    found.hidden |= _beside(name, specs) - {made.codes}
    grids = [specs[g] for g in (made.scale, made.zero) if g is not None and not (g == made.zero and made.packed_zeros)]
    blocks = {_block(made.shape, g.shape, hints.block) if g.is_float or g.dtype == "I8" else None for g in grids}
    if None in blocks or len(blocks) > 1:
        said = ", ".join(f"{g.dtype} {list(g.shape)}" for g in grids)
        found.problems.append(f"{name}: scales {said} do not fit {list(made.shape)}")
        return
    found.coded[name] = replace(made, block=next(iter(blocks), (1, 1)) or (1, 1))


def _block(shape: tuple[int, ...], grid: tuple[int, ...], hint: tuple[int, int]) -> tuple[int, int] | None:
    """Rows and columns of a matrix that share one scale; None where the shapes do not tell."""
    if len(shape) == 3 and math.prod(grid) > 1:
        if grid[0] != shape[0]:
            return None
        grid = grid[1:]
    matrix = shape[1:] if len(shape) == 3 else (shape[0] if shape else 1, math.prod(shape[1:]))
    down, across = (grid[0] if grid else 1), math.prod(grid[1:])
    rows, columns = _step(matrix[0], down, hint[0]), _step(matrix[1], across, hint[1])
    return (rows, columns) if rows and columns else None


def _step(size: int, count: int, hint: int) -> int:
    """Elements that share one of `count` scales along a dimension; 0 where no rule gives that count."""
    if count in (1, size):
        return max(1, size // max(1, count))
    if hint and -(-size // hint) == count:
        return hint
    if count and size % count == 0:
        return size // count
    return 0
