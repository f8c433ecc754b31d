"""Modules that know of tenants: a module of the base changes its class in place, and changes it back."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any, cast

import torch
from torch.utils import _pytree as trees

from deltakit.errors import MismatchError
from deltakit.tenants.rows import Assignment
from deltakit.tenants.share import Share
from deltakit.tenants.table import Table

__all__ = ["TenantLinear", "TenantModule", "TenantNorm", "aware", "plain", "with_parameters"]

_CLASSES: dict[tuple[type, type], type] = {}


class TenantModule(torch.nn.Module):
    """Any small module (router, convolution, packed experts, learnt positions): every tenant's rows run through the
    module with the tenant's own parameters."""

    tables: dict[str, Table]

    @property
    def table(self) -> Table:
        """The tenants' changes of this module."""
        return self.__dict__["_tenants"]  # type: ignore[no-any-return]

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """The module's own forward, tenant by tenant."""
        table, rows = self.table, self.table.now.rows
        if rows is None or not any(name in table.shares for name in rows.names):
            return super().forward(*args, **kwargs)
        leaves, spec = trees.tree_flatten((args, kwargs))
        first = next(x for x in leaves if isinstance(x, torch.Tensor))
        layout = "rows" if table.layout == "shared" else table.layout
        if layout == "rows" and first.shape[0] == 1 < rows.count:  # one for all rows (positions): from here on apart
            leaves = [_repeated(x, rows.count) for x in leaves]
            first = next(x for x in leaves if isinstance(x, torch.Tensor))
        rows.split(first.detach(), layout, table.name)  # raises
        n = first.shape[0]
        groups = [(name, _positions(index, n // rows.count)) for name, index in rows.groups(table.shares)]
        outs = []
        for name, index in groups:
            inputs = leaves if len(groups) == 1 else [_picked(x, n, index) for x in leaves]
            own_args, own_kwargs = trees.tree_unflatten(inputs, spec)
            run = super().forward if name is None else self._with(table.shares[name]).forward
            outs.append(run(*own_args, **own_kwargs))
        return outs[0] if len(groups) == 1 else _joined(outs, [index for _, index in groups])

    def _with(self, share: Share) -> Any:
        weights = {n: share.whole(n, p) for n, p in self._parameters.items() if p is not None}
        return with_parameters(self, weights)


class TenantNorm(TenantModule):
    """A normalisation whose output is its weight times something (plus its bias), element by element: one pass for all
    rows, each with its own weights."""

    def forward(self, x: torch.Tensor) -> Any:
        """The norm over all rows at once, weights (rows, 1, ..., width)."""
        table, rows = self.table, self.table.now.rows
        if rows is None or not any(name in table.shares for name in rows.names):
            return super(TenantModule, self).forward(x)
        xs = rows.split(x, table.layout, table.name)
        held = {n: p for n, p in self._parameters.items() if p is not None}
        own = {n: self._stacked(n, p, rows, xs.dim()) for n, p in held.items()}
        if plain_class(self) is torch.nn.LayerNorm:  # its fused form takes one weight for all rows
            bare = torch.nn.functional.layer_norm(xs, self.normalized_shape, None, None, self.eps)  # type: ignore[arg-type]
            made = bare * own["weight"]
            return (made + own["bias"] if "bias" in own else made).view(x.shape)
        return with_parameters(self, own).forward(xs).view(x.shape)

    @staticmethod
    def fits(module: torch.nn.Module) -> bool:
        """Whether a module is such a normalisation: tried out on random numbers, rows apart and rows together."""
        own = {n: p for n, p in module._parameters.items() if p is not None}
        width = {tuple(p.shape) for p in own.values()}
        if type(module) is torch.nn.LayerNorm:
            return "weight" in own and module.weight.dim() == 1
        if len(width) != 1 or len(*width) != 1 or next(module.children(), None) is not None:
            return False
        draw = torch.Generator().manual_seed(0)
        some = {n: torch.randn(2, *p.shape, generator=draw).to(p) for n, p in own.items()}
        x = torch.randn(2, 3, *next(iter(width)), generator=draw).to(next(iter(own.values())))
        try:
            together = with_parameters(module, {n: w[:, None] for n, w in some.items()}).forward(x)
            apart = [with_parameters(module, {n: w[i] for n, w in some.items()}).forward(x[i : i + 1]) for i in (0, 1)]
        except (RuntimeError, TypeError, ValueError):
            return False
        return isinstance(together, torch.Tensor) and torch.equal(together, torch.cat(apart))

    def _stacked(self, name: str, base: torch.Tensor, rows: Assignment, dims: int) -> torch.Tensor:
        shares = [self.table.shares.get(tenant or "") for tenant in rows.names]
        values = torch.stack([base if share is None else share.whole(name, base) for share in shares])
        return values.reshape(len(values), *(1,) * (dims - 1 - base.dim()), *base.shape)


class TenantLinear(torch.nn.Module):
    """y = base(x), and for every tenant of the batch, for its rows: y += Δ x + change of bias."""

    weight: torch.Tensor
    bias: torch.Tensor | None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """x (rows, ..., inputs) to (rows, ..., outputs)."""
        y: torch.Tensor = super().forward(x)
        self.__dict__["_tenants"].add(y, x, self.bias)
        return y


def aware(module: torch.nn.Module, kind: type, table: Table) -> None:
    """Make a module tenant-aware, in place: it stays the same object with the same parameters."""
    own = plain_class(module)
    if (kind, own) not in _CLASSES:
        _CLASSES[kind, own] = type(f"{kind.__name__}[{own.__name__}]", (kind, own), {"plain": own})
    module.__class__ = _CLASSES[kind, own]
    module.__dict__["_tenants"] = table


def plain(module: torch.nn.Module) -> None:
    """Undo `aware`."""
    module.__class__ = plain_class(module)
    module.__dict__.pop("_tenants", None)


def plain_class(module: torch.nn.Module) -> type:
    """The class that the module has without tenants."""
    own = type(module)
    found: type = own.__dict__.get("plain", own)
    return found


def with_parameters(module: torch.nn.Module, parameters: dict[str, torch.Tensor]) -> Any:
    """A shallow copy of a module, of its plain class, with other tensors for its parameters; children are shared."""
    made = copy.copy(module)
    made.__class__ = plain_class(module)
    made._parameters = {**module._parameters, **cast("dict[str, Any]", parameters)}
    return made


def _repeated(x: Any, count: int) -> Any:
    return x.expand(count, *x.shape[1:]) if isinstance(x, torch.Tensor) and x.dim() and x.shape[0] == 1 else x


def _positions(index: torch.Tensor, each: int) -> torch.Tensor:
    """The positions of rows where each has `each` of them, one behind the other."""
    if each == 1:
        return index
    return (index[:, None] * each + torch.arange(each, device=index.device)).reshape(-1)


def _picked(x: Any, n: int, index: torch.Tensor) -> Any:
    return x[index] if isinstance(x, torch.Tensor) and x.dim() and x.shape[0] == n else x


def _joined(outs: Sequence[Any], indices: Sequence[torch.Tensor]) -> Any:
    """The groups' outputs with the batch's rows in their order again."""
    order = torch.argsort(torch.cat(list(indices)))
    flat = [trees.tree_flatten(out) for out in outs]
    joined = []
    for parts in zip(*(leaves for leaves, _ in flat), strict=True):
        tensors = all(isinstance(p, torch.Tensor) and p.dim() for p in parts)
        if tensors and all(p.shape[0] == len(i) for p, i in zip(parts, indices, strict=True)):
            joined.append(torch.cat(parts)[order])
        elif tensors:
            raise MismatchError("a module's output is not laid out by rows", remedy="serve this tenant alone")
        else:
            joined.append(parts[0])
    return trees.tree_unflatten(joined, flat[0][1])
