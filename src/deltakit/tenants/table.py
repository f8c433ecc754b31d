"""All tenants' changes of one linear map, and how they are added to its output."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch

from deltakit.tenants.rows import Assignment, Now
from deltakit.tenants.share import Piece, Share
from deltakit.tenants.stack import Stack, stackable

__all__ = ["Table"]

_FEW = 64  # tokens in a batch up to which stacked products, which do the work of all tenants for all rows, pay


@dataclass(frozen=True)
class _Plan:
    """What an assignment means for one module: coefficients (rows, ranks) of the stack, or None; then (piece, rows,
    coefficients) of what is added term by term, the stack's own terms apart; then (rows, tenants' shares) of biases."""

    stacked: torch.Tensor | None
    low_rank: list[tuple[Piece, torch.Tensor, torch.Tensor]]
    others: list[tuple[Piece, torch.Tensor, torch.Tensor]]
    biases: list[tuple[Share, torch.Tensor]]


@dataclass(eq=False)
class Table:
    """`shares` by tenant for the module `name`, which sees the batch in `layout` ("rows", "flat", "shared" or "")."""

    name: str
    now: Now
    layout: str
    shares: dict[str, Share] = field(default_factory=dict)
    version: int = 0
    _stack: Stack | None = None

    def changed(self) -> None:
        """To be called after `shares` changed: plans are made anew, the stack too."""
        self.version += 1
        pieces = {p.key(): p for share in self.shares.values() for p in share.weight if stackable(p, self)}
        terms = {id(p.term) for p in pieces.values()}
        fits = len(pieces) == len(terms)  # a term that is used both ways round cannot lie in one stack twice
        self._stack = Stack(list(pieces.values()), self) if pieces and fits else None

    def add(self, y: torch.Tensor, x: torch.Tensor, bias: torch.Tensor | None) -> None:
        """y (batch's rows, ..., outputs) += every tenant's change for its rows of x, in place; `bias` is the base's."""
        rows = self.now.rows
        if rows is None or not any(name in self.shares for name in rows.names):
            return
        xs, ys = rows.split(x, self.layout, self.name), rows.split(y, self.layout, self.name)
        if self.now.form == "rows":
            self._by_row(ys, xs, rows, bias)
        else:
            self._by_term(ys, xs, rows, bias)

    def _by_row(self, y: torch.Tensor, x: torch.Tensor, rows: Assignment, bias: torch.Tensor | None) -> None:
        for row, name in enumerate(rows.names):
            share = self.shares.get(name) if name is not None else None
            for piece in share.weight if share else ():
                out = y[row] if piece.outs is None else y[row][..., piece.outs]
                out += piece.coef * piece.product(x[row])
            if share and bias is not None and "bias" in share.own:
                y[row] += share.own["bias"][: len(bias)] - bias  # a head's added rows have had theirs

    def _by_term(self, y: torch.Tensor, x: torch.Tensor, rows: Assignment, bias: torch.Tensor | None) -> None:
        plan = self._plan(rows)
        few = y.shape[:-1].numel() <= _FEW and self.now.form == "auto" and not torch.is_grad_enabled()
        if plan.stacked is not None and self._stack is not None and few:
            self._stack.add(y, x, plan.stacked)
            jobs = plan.others
        else:
            jobs = plan.low_rank + plan.others
        for piece, index, coefs in jobs:
            change = piece.product(x[index]) * coefs.to(x.dtype).reshape(-1, *(1,) * (x.dim() - 1))
            (y if piece.outs is None else y[..., piece.outs]).index_add_(0, index, change)
        if bias is not None:
            for share, index in plan.biases:
                y[index] += share.own["bias"][: len(bias)] - bias

    def _plan(self, rows: Assignment) -> _Plan:
        key = (id(self), self.version)
        if key not in rows.plans:
            rows.plans[key] = self._planned(rows)
        plan: _Plan = rows.plans[key]
        return plan

    def _planned(self, rows: Assignment) -> _Plan:
        having = [self.shares.get(name or "") for name in rows.names]
        used: dict[tuple[object, ...], tuple[Piece, list[int], list[float]]] = {}
        for row, share in enumerate(having):
            for piece in share.weight if share else ():
                _, at, coefs = used.setdefault(piece.key(), (piece, [], []))
                at.append(row)
                coefs.append(piece.coef)
        jobs = [(p, rows.index(at), torch.tensor(c, device=rows.device)) for p, at, c in used.values()]
        stack = self._stack
        in_stack = [bool(stack and stackable(p, self)) for p, _, _ in jobs]
        stacked = None
        if stack is not None and any(in_stack):
            ranks = sum(p.term.rank for (p, _, _), yes in zip(jobs, in_stack, strict=True) if yes)
            if 2 * ranks >= len(stack.s):  # else most of the stack would be computed for nothing
                own = [[p for p in share.weight if stackable(p, self)] if share else [] for share in having]
                stacked = stack.coefficients(own)
        biases = [(self.shares[n], at) for n, at in rows.groups(self.shares) if n and "bias" in self.shares[n].own]
        low = [job for job, yes in zip(jobs, in_stack, strict=True) if yes]
        return _Plan(stacked, low, [job for job, yes in zip(jobs, in_stack, strict=True) if not yes], biases)
