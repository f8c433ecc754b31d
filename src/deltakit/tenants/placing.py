"""From a delta to its shares: which module gets which terms. What cannot be served beside others is refused by name."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import torch

from deltakit.delta.applied import Applied
from deltakit.delta.expression import Entry
from deltakit.delta.open import Model
from deltakit.delta.terms.base import Float32, base_floats
from deltakit.errors import MismatchError
from deltakit.runtime.places import Place
from deltakit.tenants.bank import Bank
from deltakit.tenants.frame import Frame, span
from deltakit.tenants.modules import TenantLinear
from deltakit.tenants.share import Piece, Share, Vocabulary
from deltakit.tenants.tenant import Tenant
from deltakit.tenants.terms import Held
from deltakit.tenants.vocabulary import TenantEmbedding, TenantHead
from deltakit.tensors import TensorMap, to_float32

__all__ = ["placed"]

_SMALL = 1 << 18  # elements up to which a tensor that is no matrix of a linear map is held whole, as the tenant has it
_ALONE = "serve this tenant alone, as a model of its own"
_WIDTH = {"F64": 4, "F32": 3, "BF16": 1, "F16": 1}  # a dtype holds all numbers of those with a lower figure

Parts = tuple[tuple[float, Held], ...]


def placed(name: str, model: Model, frame: Frame, bank: Bank) -> Tenant:
    """The tenant of a model that is base + delta. MismatchError lists every tensor that has no place among tenants."""
    assert isinstance(model.tensors, Applied)
    assert model.base is not None
    work = _Work(model.source, model.tensors, model.base, frame, bank)
    problems = work.lacking()
    for tensor in model.tensors.specs:
        try:
            work.tensor(tensor)
        except MismatchError as wrong:
            problems.append(wrong.message)
    if problems:
        raise MismatchError(f"{model.source!r} cannot be a tenant of this base", remedy=_ALONE, details=problems)
    size = work.heads()
    return Tenant(name, model.source, model.sidecar, work.shares, work.terms, work.vectors, work.added, size)


@dataclass
class _Work:
    """The shares while they are made."""

    source: str
    model: Applied
    base: TensorMap
    frame: Frame
    bank: Bank
    shares: dict[str, Share] = field(default_factory=dict)
    terms: dict[str, Parts] = field(default_factory=dict)
    vectors: dict[str, torch.Tensor] = field(default_factory=dict)
    added: dict[str, torch.Tensor] = field(default_factory=dict)

    def tensor(self, name: str) -> None:
        """Put one tensor's change where it belongs."""
        entry, have = self.model.delta.entries[name], self.base.specs.get(name)
        resized = have is None or entry.spec.rows != have.rows
        if not entry.parts and have is not None and not resized and not _narrower(have.dtype, entry.spec.dtype):
            return
        place = self.frame.places.get(name)
        if have is None and name != self._head_tensor() or place is None:
            raise MismatchError(f"{name}: the running base has no place for it")
        if not entry.spec.is_float:
            raise MismatchError(f"{name}: a changed {entry.spec.dtype} tensor")
        if have is not None and self._is_tied_copy(name, place):
            return
        if resized:
            self._resized(name, entry, place)
        if have is None:
            return
        homes = [(m, p, self._kind(name, m, p)) for m, p in self.frame.sharers[place.weight]]
        if entry.spec.numel <= _SMALL and not any(p == "weight" and _by_terms(kind) for _, p, kind in homes):
            self._own(name, entry, place, homes)
            return
        parts = self._parts(name, entry)
        if parts:
            self.terms[name] = parts
        for module, parameter, kind in homes if parts or resized else ():
            self._share(name, module, parameter, kind, place, parts, entry)

    def lacking(self) -> list[str]:
        """Tensors of the base that the tenant lacks: only a head may be missing, where it is the embedding."""
        head = self._head_tensor()
        return [f"{n}: the tenant lacks this tensor" for n in self.model.delta.missing if n != head]

    def heads(self) -> int:
        """Heads that are tied where the base's is not, and the other way round; the tenant's vocabulary comes back."""
        frame = self.frame
        embedding = frame.modules[frame.embedding].weight
        assert isinstance(embedding, torch.Tensor)
        if not frame.head:
            return len(embedding)
        head, name = frame.modules[frame.head].weight, self._head_tensor()
        own = self.shares.get(frame.head, Share())
        known = own.vocabulary
        assert isinstance(head, torch.Tensor)
        if frame.tied and name in self.added and name not in self.base.specs:  # a head of its own
            own, known = replace(own, pieces={}), Vocabulary(0, None, self.added[name])
        elif not frame.tied and name in self.model.delta.missing:  # its embedding is its head
            mine = self.shares.get(frame.embedding, Share())
            own, known = replace(own, pieces=dict(mine.pieces)), mine.vocabulary or Vocabulary(len(embedding), None)
            known = replace(known, source=embedding)
        elif known is not None:
            known = replace(known, source=head)
        if known is not None:
            self.shares[frame.head] = own.with_vocabulary(known)
        return known.size if known is not None else len(head)

    def _head_tensor(self) -> str:
        """The checkpoint's name of the head, also where the base's checkpoint has none because it is tied."""
        weight = f"{self.frame.head}.weight"
        return next((n for n, p in self.frame.places.items() if p.weight == weight), weight)

    def _kind(self, name: str, module: str, parameter: str) -> type:
        """How the module is made tenant-aware; one that the batch does not pass row by row is refused."""
        kind = self.frame.kind(module, parameter)
        if kind is None or self.frame.layouts.get(module) == "":
            what = type(self.frame.modules[module]).__name__
            raise MismatchError(f"{name}: module {module!r} ({what}) does not work row by row")
        return kind

    def _is_tied_copy(self, name: str, place: Place) -> bool:
        """Whether this is the second tensor of a tied weight, whose values must be those of the first."""
        first = self.frame.tensor_of(self.frame.embedding)
        same = {f"{m}.{p}" for m, p in self.frame.sharers[place.weight]}
        if name == first or f"{self.frame.embedding}.weight" not in same:
            return False
        if self.model.specs[name] == self.model.specs[first] and self.model.buffer(name) == self.model.buffer(first):
            return True
        raise MismatchError(f"{name}: differs from {first}, and the base ties them")

    def _parts(self, name: str, entry: Entry) -> Parts:
        """(coefficient, held term) of the shared rows."""
        have = self.base.specs[name]
        if _narrower(have.dtype, entry.spec.dtype):
            values = self._values(name, entry) - base_floats(self.base, name, 0, entry.shared, have.dtype)
            key = (name, self.source, "restored")
            found = [(1.0, self.bank.put(key, values, entry.shared_spec.shape, name))]
        else:
            found = [(part.coef, self.bank.take(part.term, name)) for part in entry.parts]
        return tuple((coef, held) for coef, held in found if held is not None)

    def _values(self, name: str, entry: Entry) -> Float32:
        """The shared rows of the restored tensor before they are rounded; the tuned bits where they are known."""
        if entry.bits is not None:
            raw = to_float32(entry.bits(0, entry.shared), entry.spec.dtype)
            return raw.reshape(entry.shared, entry.spec.row_size)
        values = base_floats(self.base, name, 0, entry.shared, entry.spec.dtype)
        values += self.model.delta.rows(name, 0, entry.shared)
        return values

    def _resized(self, name: str, entry: Entry, place: Place) -> None:
        """Rows that the base lacks, or the other way round: of the embedding and the head alone."""
        frame = self.frame
        fewer = entry.added is None
        homes = frame.sharers[place.weight]
        if not place.whole or any(m not in (frame.embedding, frame.head) or p != "weight" and fewer for m, p in homes):
            raise MismatchError(f"{name}: {list(entry.spec.shape)}; only the vocabulary may differ from the base's")
        if entry.added is not None:
            like = frame.modules[homes[0][0]].weight
            assert isinstance(like, torch.Tensor)
            rows = entry.added.rows(0, entry.added.spec.rows)
            self.added[name] = _tensor(name, rows, entry.added.spec.shape, like)

    def _own(self, name: str, entry: Entry, place: Place, homes: list[tuple[str, str, type]]) -> None:
        """A small parameter as the tenant has it; tensors that make up one parameter are put in one after another."""
        module, parameter, _ = homes[0]
        base = getattr(self.frame.modules[module], parameter).detach()
        values = _tensor(name, self._values(name, entry), entry.shared_spec.shape, base)
        before = self.shares.get(module, Share()).own.get(parameter)
        if place.whole:
            whole = values if name not in self.added else torch.cat([values, self.added.pop(name)])
        else:
            whole = base.clone() if before is None else before
            place.put(whole, values)
        if before is None and whole.shape == base.shape and torch.equal(whole, base):
            return
        self.vectors[name if place.whole else place.weight] = whole
        for home, own, _ in homes:
            self.shares.setdefault(home, Share()).own[own] = whole

    def _share(
        self, name: str, module: str, parameter: str, kind: type, place: Place, parts: Parts, entry: Entry
    ) -> None:
        """One module's part in the change of a matrix."""
        share = self.shares.setdefault(module, Share())
        if parameter == "weight" and kind in (TenantEmbedding, TenantHead):
            resized = entry.spec.rows != self.base.specs[name].rows
            if resized:
                self.shares[module] = share = share.with_vocabulary(
                    Vocabulary(entry.shared, None, self.added.get(name))
                )
            outs = slice(0, entry.shared) if entry.shared != self.base.specs[name].rows else None
            share.add(parameter, [Piece(coef, term, place, outs=outs) for coef, term in parts])
        elif parameter == "weight" and kind is TenantLinear:
            share.add(parameter, [self._linear(name, module, coef, term, place) for coef, term in parts])
        else:
            share.add(parameter, [Piece(coef, term, place) for coef, term in parts])

    def _linear(self, name: str, module: str, coef: float, term: Held, place: Place) -> Piece:
        """A term of a matrix as a map from inputs to outputs."""
        weight = self.frame.modules[module].weight
        assert isinstance(weight, torch.Tensor)
        ins, outs = (0, 1) if self.frame.transposed(module) else (1, 0)
        if len(place.axes) != 2:
            raise MismatchError(f"{name}: has not the two axes of {place.weight}")
        into, out = (span(place.index[axis], weight.shape[axis]) for axis in (ins, outs))
        return Piece(coef, term, place, place.axes[0] == ins, out, into)


def _by_terms(kind: type) -> bool:
    return kind in (TenantLinear, TenantHead, TenantEmbedding)


def _narrower(base: str, tuned: str) -> bool:
    """Whether the base's numbers are rounded in the tuned dtype: then the restored tensor is not base + delta."""
    return base != tuned and _WIDTH.get(tuned, 0) <= _WIDTH.get(base, 0)


def _tensor(name: str, values: Float32, shape: tuple[int, ...], like: torch.Tensor) -> torch.Tensor:
    if not np.isfinite(values).all():
        raise MismatchError(f"{name}: values that are not finite")
    return torch.from_numpy(np.array(values, np.float32)).reshape(shape).to(like.device, like.dtype)
