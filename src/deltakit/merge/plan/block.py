"""Tensors of a blueprint that are made alike, as the inputs of one merge."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from deltakit.delta.difference import difference
from deltakit.delta.expression import Delta, Entries, Entry, Lineage
from deltakit.errors import MismatchError, RecipeError
from deltakit.manifest import canonical_json
from deltakit.merge import DIALECTS
from deltakit.merge.method import Method
from deltakit.merge.plan.blueprint import Blueprint, Piece, Read
from deltakit.merge.sources.inputs import Inputs, Member
from deltakit.merge.sources.source import Source, View
from deltakit.recipe.parameters import make_checked
from deltakit.tensors import TensorMap, cast

__all__ = ["Block", "blocks_of"]

_WIDTH = ("BF16", "F16", "F32", "F64")


@dataclass(frozen=True)
class Block:
    """The tensors `names` and what they are merged from; `dtype` is the one float dtype of all inputs, "" where the
    tensors are integers."""

    names: tuple[str, ...]
    method: str
    scale: float
    inputs: Inputs
    dtype: str


def blocks_of(blueprint: Blueprint, sources: Mapping[str, Source]) -> tuple[Block, ...]:
    """The blocks of a blueprint, in the order of their first tensor. Only specs are looked at.

    Raises MismatchError listing every tensor that a piece reads and a model lacks, and RecipeError for parameters.
    """
    _check_reads(blueprint, sources)
    alike: dict[bytes, list[str]] = {}
    for name in sorted(blueprint.pieces):
        dtype = _dtype(_reads(blueprint.pieces[name]), sources)
        alike.setdefault(_key(blueprint.pieces[name], dtype), []).append(name)
    return tuple(_block(blueprint, sources, names) for names in alike.values())


def _check_reads(blueprint: Blueprint, sources: Mapping[str, Source]) -> None:
    lacking = [
        f"{read.model}: lacks {read.name}"
        for piece in blueprint.pieces.values()
        for read in _reads(piece)
        if read.name not in sources[read.model].tensors.specs
    ]
    if lacking:
        raise MismatchError(
            f"the models do not fit together: {len(lacking)} problem(s)",
            remedy="merge only models of one architecture, or leave the layers out that one of them lacks",
            details=sorted(set(lacking)),
        )


def _reads(piece: Piece) -> Iterator[Read]:
    if piece.base is not None:
        yield piece.base
    yield from (use.read for use in piece.uses)


def _dtype(reads: Iterator[Read], sources: Mapping[str, Source]) -> str:
    """The widest float dtype of what is read; BF16 with F16 needs F32. "" for integers."""
    found = {spec.dtype for r in reads if (spec := sources[r.model].tensors.specs[r.name]).is_float}
    if found == {"BF16", "F16"}:
        return "F32"
    return max(found, key=_WIDTH.index, default="")


def _key(piece: Piece, dtype: str) -> bytes:
    """Equal for tensors that are made alike: all but the names that are read."""
    base = piece.base.model if piece.base else None
    uses = [[u.read.model, u.weight, dict(u.parameters)] for u in piece.uses]
    return canonical_json([piece.method, dict(piece.parameters), piece.scale, base, uses, dtype])


def _block(blueprint: Blueprint, sources: Mapping[str, Source], names: Sequence[str]) -> Block:
    pieces = {n: blueprint.pieces[n] for n in names}
    first = pieces[names[0]]
    roles = _Roles(pieces, sources, _dtype(_reads(first), sources))
    base = roles.view({n: _base_of(p) for n, p in pieces.items()})
    methods = _methods(blueprint.dialect, first)
    members = [roles.member(i, base, method) for i, method in enumerate(methods)]
    if blueprint.dialect == "paper" and methods[0].symmetric:
        members.sort(key=lambda m: (m.delta.lineage.key, m.delta.lineage.tuned, m.key))
    source = sources[_base_of(first).model]
    stand_in = "" if first.base else source.label
    inputs = Inputs(base, source.text, source.fingerprint, source.sidecar, tuple(members), stand_in, len(members) == 1)
    return Block(tuple(names), first.method, first.scale, inputs, roles.dtype)


def _base_of(piece: Piece) -> Read:
    """What the deltas are taken over: without a base the first model stands in for it."""
    return piece.base or piece.uses[0].read


@dataclass(frozen=True)
class _Roles:
    """What each model reads for the tensors of a block."""

    pieces: Mapping[str, Piece]
    sources: Mapping[str, Source]
    dtype: str

    def view(self, reads: Mapping[str, Read]) -> TensorMap:
        """One model's tensors under the names of the result, in the block's dtype."""
        source = self.sources[next(iter(reads.values())).model]
        seen = View(source.tensors, {n: r.name for n, r in reads.items()})
        mixed = any(s.is_float and s.dtype != self.dtype for s in seen.specs.values())
        return cast(seen, self.dtype) if mixed else seen

    def member(self, i: int, base: TensorMap, method: Method) -> Member:
        """The i-th model over the base; over itself it is no change at all. A model that is used twice keys its random
        masks by its label and a count."""
        reads = {n: p.uses[i].read for n, p in self.pieces.items()}
        uses = next(iter(self.pieces.values())).uses
        source = self.sources[uses[i].read.model]
        earlier = sum(u.read.model == source.label for u in uses[:i])
        key = f"{source.label}#{earlier + 1}" if earlier else source.label
        itself = all(reads[n] == _base_of(p) for n, p in self.pieces.items())
        lineage = Lineage(self.sources[_base_of(self.pieces[next(iter(reads))]).model].fingerprint, source.fingerprint)
        tuned = self.view(reads)
        delta = _nothing(base, lineage) if itself else difference(base, tuned, lineage=lineage)
        return Member(source.label, key, uses[i].weight, method, delta, source.text, source.reads)


def _nothing(base: TensorMap, lineage: Lineage) -> Delta:
    return Delta(Entries(base.specs, lambda n: Entry(base.specs[n], base.specs[n].rows)), (), lineage)


def _methods(dialect: str, piece: Piece) -> tuple[Method, ...]:
    """The method as it works on each model. RecipeError for a parameter that one model alone cannot have."""
    registry = DIALECTS[dialect]
    made: list[Method] = [
        make_checked(registry, piece.method, {**piece.parameters, **use.parameters}) for use in piece.uses
    ]
    made[0].reduce.check([use.weight for use in piece.uses])
    for use, method in zip(piece.uses, made, strict=True):
        if (method.reduce, method.post) != (made[0].reduce, made[0].post):
            own = sorted({**piece.uses[0].parameters, **use.parameters})
            raise RecipeError(
                f"model {use.read.model!r}: {', '.join(own)} cannot differ between models",
                remedy="give it once, at the top",
            )
    return tuple(made)
