"""A merged model whose bytes fused kernels make, in one pass and bit for bit as the numpy form does.

The table from compositions to kernels: sums (linear, task arithmetic, DARE, slerp) and elected means (TIES), over
deltas that are differences of plain tensors behind drops and trims. For all else the numpy form serves.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from deltakit.delta.applied import Applied
from deltakit.delta.expression import Entry
from deltakit.delta.terms.ref import Ref
from deltakit.merge.compute.pulls import ModelBits, TermRows
from deltakit.merge.engine.device import in_use, runs_on
from deltakit.merge.engine.program import (
    KINDS,
    Member,
    NoKernel,
    Program,
    Reader,
    Source,
    Step,
    columns,
    exactly,
    worth,
)
from deltakit.merge.engine.select import factors, majority, reader
from deltakit.merge.reduce.elected_mean import Elected, not_finite
from deltakit.merge.reduce.slerp import Arced
from deltakit.merge.reduce.weighted_sum import Summed
from deltakit.sparsify.drop import Dropped
from deltakit.sparsify.flow import Pull
from deltakit.sparsify.pulled import Pulled
from deltakit.sparsify.trim import Trimmed
from deltakit.tensors import Mapped, TensorMap, TensorSpec, cast, prefetch

__all__ = ["ELECT", "SUM", "Fused", "Kernel", "kernel_of"]

SUM, ELECT = 0, 1  # reducers


@dataclass(frozen=True)
class Kernel:
    """All that the one pass over a tensor takes. `numbers` = (the base's coefficient, scale, sign of ties)."""

    program: Program
    reducer: int
    weights: tuple[float, ...]
    numbers: tuple[float, float, float] = (0.0, 1.0, -1.0)
    after: tuple[Step, ...] = ()
    whole: bool = False  # the reduced rows are the model's own, not a delta

    @cached_property
    def tables(self) -> tuple[Any, ...]:
        """reducer, weights, numbers, after, whole: the kernel's last arguments."""
        after = (np.array([s.code for s in self.after], np.int64), columns(self.after))
        numbers = tuple(np.float32(n) for n in self.numbers)
        return self.reducer, np.array(self.weights, np.float32), numbers, after, self.whole

    def run(self, name: str, lo: int, hi: int, spec: TensorSpec) -> memoryview:
        """Rows lo..hi as bytes of `spec`'s dtype. InputError where an election meets what is not finite."""
        if in_use():
            made = runs_on(self, in_use(), lo, hi, spec)
            if made is not None:
                return made
        from deltakit.merge.kernels.combine import combine

        count = (hi - lo) * spec.row_size
        out = np.empty(count * spec.itemsize, np.uint8)
        tables, held = self.program.over(lo, hi)
        address = np.uint64(out.__array_interface__["data"][0])
        if not combine(address, KINDS[spec.dtype], count, lo * spec.row_size, self.program.block, tables, *self.tables):
            raise not_finite(name)
        del held
        return out.data


def kernel_of(base: TensorMap, name: str, entry: Entry) -> Kernel:
    """The kernel of an entry over a base. NoKernel where there is none."""
    read = reader(base, name)
    dtype = base.specs[name].dtype if name in base.specs else ""
    if dtype not in KINDS or not exactly(dtype, entry.spec.dtype) or not entry.parts:
        raise NoKernel(f"{name}: nothing to compute, or no dtype of kernels")
    whole = _whole(entry)
    if whole is not None:
        return _reduced(read, whole, True)
    lone = entry.parts[0].term
    if len(entry.parts) == 1 and isinstance(lone, Pulled) and not isinstance(lone.pull, TermRows):
        if entry.parts[0].coef != 1.0:
            raise NoKernel(f"{name}: a multiple of what is computed")
        return _reduced(read, lone.pull, False)
    if entry.bits is not None:
        raise NoKernel(f"{name}: a copy")
    parts = [read.part(p) for p in entry.parts]
    members = tuple(Member(((source, 1.0),)) for source, _ in parts)
    return Kernel(Program(read.base, members), SUM, tuple(coef for _, coef in parts))


def _whole(entry: Entry) -> Pull | None:
    """The pull of a model that is computed itself, not as a delta."""
    term = entry.parts[0].term
    if (
        len(entry.parts) == 1
        and entry.parts[0].coef == 1.0
        and isinstance(term, Ref)
        and isinstance(term.tuned, Mapped)
    ):
        bits = term.tuned.pull
        return bits.pull if isinstance(bits, ModelBits) else None
    return None


def _reduced(read: Reader, pull: Pull, whole: bool) -> Kernel:
    """The kernel of a reducer's pull, with the steps behind it."""
    after: list[Step] = []
    while isinstance(pull, Dropped | Trimmed):
        if isinstance(pull, Trimmed):
            raise NoKernel(f"{read.name}: a trim of what is computed")
        after.insert(0, read.drop(pull))
        pull = pull.flow.pull
    base = read.base.tensors
    if isinstance(pull, Summed):
        read.check_base(pull.base)
        program = _program(read, [f.pull for f in pull.flows])
        return Kernel(program, SUM, pull.coefficients, (pull.rest, 1.0, -1.0), tuple(after), whole)
    if isinstance(pull, Elected):
        tie = 1.0 if majority(base, pull.majority, read.name) > 0 else -1.0
        program = _program(read, [f.pull for f in pull.flows])
        return Kernel(program, ELECT, pull.weights, (0.0, pull.scale, tie), tuple(after), whole)
    if isinstance(pull, Arced):
        rest, second = factors(base, pull.arcs, read.name)
        program = _program(read, [pull.arcs.flow.pull])
        return Kernel(program, SUM, (second,), (rest, 1.0, -1.0), tuple(after), whole)
    return Kernel(_program(read, [pull]), SUM, (1.0,), after=tuple(after), whole=whole)


def _program(read: Reader, pulls: Sequence[Pull]) -> Program:
    return Program(read.base, tuple(read.member(p) for p in pulls))


@dataclass(frozen=True)
class Fused:
    """`applied`, float tensors in `dtype` if that is given, with the bytes of the numpy form."""

    applied: Applied
    dtype: str | None = None
    _kernels: dict[str, Kernel | None] = field(default_factory=dict, repr=False)

    @cached_property
    def plain(self) -> TensorMap:
        """The numpy form. With a dtype of its own it is computed in float32 and rounded once."""
        return cast(self.applied, self.dtype) if self.dtype else self.applied

    @property
    def specs(self) -> Mapping[str, TensorSpec]:
        """Those of the result."""
        return self.plain.specs

    @property
    def order(self) -> tuple[str, ...]:
        """The order of pulling."""
        return self.applied.order

    def prefetch(self, name: str) -> None:
        """Pass the hint on to all that the tensor's kernel reads."""
        kernel = self._kernels.get(name)
        sources = kernel.program.sources if kernel else (Source(self.applied, name),)
        for source in sources:
            prefetch(source.tensors, source.name)

    def buffer(self, name: str, lo: int = 0, hi: int | None = None) -> memoryview:
        """Rows lo..hi, by a kernel where one fits."""
        hi = self.specs[name].rows if hi is None else hi
        kernel = self.kernel(name)
        if kernel is None or hi > self.applied.delta.entries[name].shared or lo >= hi:
            return self.plain.buffer(name, lo, hi)
        return kernel.run(name, lo, hi, self.specs[name])

    def kernel(self, name: str) -> Kernel | None:
        """The kernel of a tensor, found once."""
        if name not in self._kernels:  # two threads at one tensor would find the same
            self._kernels[name] = self._find(name)
        return self._kernels[name]

    def _find(self, name: str) -> Kernel | None:
        if self.specs[name].dtype not in KINDS or not self.worth:
            return None
        try:
            return kernel_of(self.applied.base, name, self.applied.delta.entries[name])
        except NoKernel:
            return None

    @cached_property
    def worth(self) -> bool:
        """Whether the model is large enough for kernels to pay."""
        return bool(in_use()) or worth(self.specs)
