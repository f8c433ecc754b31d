"""Experts packed in one tensor, seen as one matrix for each expert: the layout that most checkpoints have on disk.

Some models are saved with `experts.gate_up_proj` (experts, 2 * inner, hidden) and `experts.down_proj` (experts, hidden,
inner), or their transposes, where others have `experts.7.gate_proj.weight`, `.up_proj.weight` and `.down_proj.weight`.
What is done to a matrix (a share that is kept, ranks within rows, singular values) is meant for one expert.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from deltakit.tensors import TensorMap, TensorSpec, as_bytes, numpy_bits

__all__ = ["Apart", "Layout", "Together", "layout_of", "packs"]

# The last parts of packed names, and what they hold: gate and up above each other, or one projection.
_GATE_UP = ("gate_up_proj", "input_linear")
_DOWN = ("down_proj", "output_linear")
_NUMBERED = re.compile(r"(.*\bexperts\.\d+)\.(w1|w2|w3)\.weight")
_LAYER = re.compile(r"\.\d+\.")  # the first number of a name
_ROLES = {"w1": "gate_proj", "w2": "down_proj", "w3": "up_proj"}


@dataclass(frozen=True)
class Part:
    """Rows lo..hi of the matrix of one expert in a packed tensor; `transposed`: of the matrix turned over."""

    packed: str
    expert: int
    lo: int
    hi: int
    transposed: bool = False


@dataclass(frozen=True)
class Layout:
    """A model's tensors by their names apart: `parts` of packed tensors; `plain` are the names that others have."""

    parts: Mapping[str, Part]
    plain: Mapping[str, str]

    @cached_property
    def pieces(self) -> Mapping[str, list[list[str]]]:
        """Packed name -> for each expert the names of its parts from the first row to the last."""
        found: dict[str, list[list[str]]] = {}
        for name, part in sorted(self.parts.items(), key=lambda i: (i[1].packed, i[1].expert, i[1].lo)):
            experts = found.setdefault(part.packed, [])
            experts.extend([] for _ in range(part.expert + 1 - len(experts)))
            experts[part.expert].append(name)
        return found

    @cached_property
    def _apart(self) -> Mapping[str, str]:
        return {old: n for n, old in self.plain.items()}

    def apart(self, name: str) -> str:
        """The name apart of a tensor that is not packed."""
        return self._apart.get(name, name)

    def together(self, name: str) -> str:
        """The name in the model's own layout of a tensor named apart."""
        return self.parts[name].packed if name in self.parts else self.plain.get(name, name)

    def over(self, names: Iterable[str]) -> Layout:
        """The same layout for other names apart: of the same kinds, in layers of other numbers (a stack, say). Names of
        kinds that the model does not have stay as they are."""
        parts = {_kind(n): part for n, part in self.parts.items()}
        plain = {_kind(n): old for n, old in self.plain.items()}
        found, rest = dict[str, Part](), dict[str, str]()
        for name in names:
            part, layer = parts.get(_kind(name)), _LAYER.search(name)
            if name in self.parts:
                found[name] = self.parts[name]
            elif part is not None:
                found[name] = replace(part, packed=_moved(part.packed, layer))
            else:
                rest[name] = self.plain.get(name) or _moved(plain.get(_kind(name), name), layer)
        return Layout(found, rest)

    def packed(self, name: str) -> bool:
        """Whether a tensor of the model itself is packed."""
        return name in self.pieces


def packs(specs: Mapping[str, TensorSpec]) -> tuple[str, ...]:
    """The packed tensors: floats of three dimensions that lie among experts."""
    return tuple(n for n, s in specs.items() if s.is_float and len(s.shape) == 3 and s.rows and _among_experts(n))


def _among_experts(name: str) -> bool:
    return any(part == "experts" or part.endswith("moe") for part in name.split(".")[:-1])


def layout_of(specs: Mapping[str, TensorSpec]) -> Layout:
    """Every tensor under the name that it has where experts lie apart; numbered experts' w1, w3 and w2 are called gate,
    up and down, and `block_sparse_moe` is called `mlp`, as transformers does on loading."""
    packed = packs(specs)
    parts = {name: part for n in packed for name, part in _parts(n, specs)}
    plain = {_common(n): n for n in specs if n not in packed}
    if len(plain) + len(packed) < len(specs) or plain.keys() & parts.keys():  # names that would collide stay
        plain = {n: n for n in specs if n not in packed}
    return Layout(parts, plain)


def _common(name: str) -> str:
    numbered = _NUMBERED.fullmatch(name)
    if numbered:
        name = f"{numbered[1]}.{_ROLES[numbered[2]]}.weight"
    return name.replace(".block_sparse_moe.", ".mlp.")


def _parts(name: str, specs: Mapping[str, TensorSpec]) -> Iterator[tuple[str, Part]]:
    """The matrices of a packed tensor with their names."""
    count, rows, columns = specs[name].shape
    stem = name.removesuffix(".weight")
    place, _, role = stem.rpartition(".")
    base = _common(f"{place}.").removesuffix(".")
    base = base if base.endswith("experts") else f"{base}.experts"
    turned = _turned(place, specs)
    for e in range(count):
        if role in _GATE_UP and turned is False and rows % 2 == 0:
            half = rows // 2
            yield f"{base}.{e}.gate_proj.weight", Part(name, e, 0, half)
            yield f"{base}.{e}.up_proj.weight", Part(name, e, half, rows)
        else:
            known = "down_proj" if role in _DOWN else role
            yield f"{base}.{e}.{known}.weight", Part(name, e, 0, columns if turned else rows, bool(turned))


def _turned(place: str, specs: Mapping[str, TensorSpec]) -> bool | None:
    """Whether the packed projections of a block are (inputs, outputs), told by their shapes; None where they do not."""
    gate_up, down = (_shape(place, roles, specs) for roles in (_GATE_UP, _DOWN))
    if gate_up is None or down is None:
        return None
    if gate_up[1] == 2 * down[2] and gate_up[2] == down[1]:
        return False
    return True if gate_up[2] == 2 * down[1] and gate_up[1] == down[2] else None


def _shape(place: str, roles: Iterable[str], specs: Mapping[str, TensorSpec]) -> tuple[int, ...] | None:
    names = [f"{place}.{role}{end}" for role in roles for end in ("", ".weight")]
    return next((specs[n].shape for n in names if n in specs and len(specs[n].shape) == 3), None)


def _kind(name: str) -> str:
    """A name without the number of its layer."""
    return _LAYER.sub(".#.", name, count=1)


def _moved(name: str, layer: re.Match[str] | None) -> str:
    """A name with the layer number of another."""
    return _LAYER.sub(layer[0], name, count=1) if layer else name


@dataclass(frozen=True)
class Apart:
    """A model with its experts apart."""

    source: TensorMap
    layout: Layout

    @cached_property
    def specs(self) -> Mapping[str, TensorSpec]:
        """Sorted by the names apart."""
        specs = self.source.specs
        made = {n: specs[old] for n, old in self.layout.plain.items()}
        for name, part in self.layout.parts.items():
            _, rows, columns = specs[part.packed].shape
            made[name] = TensorSpec((part.hi - part.lo, rows if part.transposed else columns), specs[part.packed].dtype)
        return {n: made[n] for n in sorted(made)}

    @property
    def order(self) -> tuple[str, ...]:
        """As the model lies on disk."""
        names = {old: [n] for n, old in self.layout.plain.items()}
        names |= {old: [n for expert in experts for n in expert] for old, experts in self.layout.pieces.items()}
        return tuple(n for old in getattr(self.source, "order", self.source.specs) for n in names[old])

    def prefetch(self, name: str) -> None:
        """Pass the hint on for tensors that are read whole."""
        ahead = getattr(self.source, "prefetch", None)
        if ahead is not None and name in self.layout.plain:
            ahead(self.layout.plain[name])

    def buffer(self, name: str, lo: int = 0, hi: int | None = None) -> memoryview:
        """Rows lo..hi, bit for bit."""
        part = self.layout.parts.get(name)
        hi = self.specs[name].rows if hi is None else hi
        if part is None:
            return self.source.buffer(self.layout.plain[name], lo, hi)
        spec = self.source.specs[part.packed]
        raw = self.source.buffer(part.packed, part.expert, part.expert + 1)
        if part.transposed:
            return as_bytes(_matrix(raw, spec).T[lo:hi])
        stride = spec.shape[2] * spec.itemsize
        return raw[(part.lo + lo) * stride : (part.lo + hi) * stride]


@dataclass(frozen=True)
class Together:
    """A model whose experts lie apart, in the layout of another: the inverse of `Apart`. Tensors that the layout does
    not know keep their names."""

    source: TensorMap
    layout: Layout

    @cached_property
    def _names(self) -> Mapping[str, str]:
        """Names of plain tensors in the layout -> names apart."""
        known = {n: old for n, old in self.layout.plain.items() if n in self.source.specs}
        rest = [n for n in self.source.specs if n not in known and n not in self.layout.parts]
        return {**{old: n for n, old in known.items()}, **{n: n for n in rest}}

    @cached_property
    def specs(self) -> Mapping[str, TensorSpec]:
        """Sorted by the layout's names."""
        made = {old: self.source.specs[n] for old, n in self._names.items()}
        for packed, experts in self.layout.pieces.items():
            specs = [self.source.specs[n] for n in experts[0]]
            shape = (sum(s.rows for s in specs), specs[0].row_size)
            turned = self.layout.parts[experts[0][0]].transposed
            made[packed] = TensorSpec((len(experts), *(shape[::-1] if turned else shape)), specs[0].dtype)
        return {n: made[n] for n in sorted(made)}

    @property
    def order(self) -> tuple[str, ...]:
        """As the parts are ordered: a packed tensor where its first part is."""
        names = {n: old for old, n in self._names.items()} | {n: p.packed for n, p in self.layout.parts.items()}
        return tuple(dict.fromkeys(names[n] for n in getattr(self.source, "order", self.source.specs)))

    def buffer(self, name: str, lo: int = 0, hi: int | None = None) -> memoryview:
        """Experts lo..hi of a packed tensor, rows lo..hi of another."""
        experts = self.layout.pieces.get(name)
        hi = self.specs[name].rows if hi is None else hi
        if experts is None:
            return self.source.buffer(self._names[name], lo, hi)
        return memoryview(b"".join(self._expert(e) for e in experts[lo:hi]))

    def _expert(self, names: list[str]) -> bytes:
        raw = b"".join(self.source.buffer(n) for n in names)
        if not self.layout.parts[names[0]].transposed:
            return raw
        spec = self.source.specs[names[0]]
        return bytes(as_bytes(np.frombuffer(raw, numpy_bits(spec.dtype)).reshape(spec.shape).T))


def _matrix(raw: memoryview, spec: TensorSpec) -> np.ndarray[tuple[int, ...], np.dtype[np.unsignedinteger]]:
    return np.frombuffer(raw, numpy_bits(spec.dtype)).reshape(spec.shape[1:])
