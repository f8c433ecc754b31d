"""The embedding and the head: tenants may know more tokens than the base, fewer, or have a head of their own."""

from __future__ import annotations

from typing import Any, cast

import torch
from torch.nn import functional

from deltakit.errors import MismatchError
from deltakit.tenants.modules import TenantModule, with_parameters
from deltakit.tenants.rows import Assignment
from deltakit.tenants.share import Share
from deltakit.tenants.table import Table

__all__ = ["TenantEmbedding", "TenantHead", "cut_logits"]


class TenantEmbedding(TenantModule):
    """Looks every row's tokens up in its tenant's own rows: base rows plus changes, added rows behind them."""

    weight: torch.Tensor

    def _with(self, share: Share) -> Any:
        return _Lookup(self, share)


class _Lookup:
    """An embedding over the rows that these ids touch, and no others."""

    def __init__(self, module: TenantEmbedding, share: Share) -> None:
        self._module, self._share = module, share

    def forward(self, ids: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
        asked, inverse = torch.unique(ids, return_inverse=True)
        made = with_parameters(self._module, {"weight": self._rows(asked)})
        made.padding_idx = None
        return made.forward(inverse, *args, **kwargs)

    def _rows(self, ids: torch.Tensor) -> torch.Tensor:
        """The tenant's rows of sorted ids."""
        base = self._module.weight
        known = self._share.vocabulary
        shared, size = (known.shared, known.size) if known else (len(base), len(base))
        if int(ids[-1]) >= size:
            raise MismatchError(
                f"token {int(ids[-1])} is beyond the tenant's vocabulary of {size}",
                remedy="encode the text with the tenant's own tokenizer",
            )
        old = ids[ids < shared]
        rows = base[old]
        for piece in self._share.weight:
            rows = rows + piece.coef * piece.term.gather(old)
        if known is not None and known.added is not None:
            rows = torch.cat([rows, known.added[ids[len(old) :] - shared]])
        return rows


class TenantHead(torch.nn.Module):
    """The logits of every row over its tenant's vocabulary; the widest one of the batch is the output's width, and what
    a narrower row has behind its own is cut by `cut_logits`."""

    weight: torch.Tensor
    bias: torch.Tensor | None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """x (rows, ..., inputs) to (rows, ..., widest vocabulary)."""
        y: torch.Tensor = super().forward(x)
        table: Table = self.__dict__["_tenants"]
        rows = table.now.rows
        if rows is None:
            return y
        special = {n: s for n in rows.names if n is not None and (s := table.shares.get(n)) and s.vocabulary}
        width = max([y.shape[-1], *(cast("Any", s.vocabulary).size for s in special.values())])
        out = y if width == y.shape[-1] else functional.pad(y, (0, width - y.shape[-1]))
        for name, index in rows.groups(special) if special else ():
            if name is not None:
                _own_rows(out, x, index, special[name], self)
        table.add(out[..., : y.shape[-1]], x, self.bias)
        return out


def _own_rows(out: torch.Tensor, x: torch.Tensor, index: torch.Tensor, share: Share, head: TenantHead) -> None:
    """The logits of rows with a vocabulary of their own, but for the pieces, written into `out`."""
    known = share.vocabulary
    assert known is not None
    bias = head.bias
    if bias is not None and "bias" in share.own:  # what the base has of it is changed with the pieces
        bias = torch.cat([bias, share.own["bias"][len(bias) :]])
    if known.source is not None and known.source is not head.weight:
        first = None if head.bias is None else head.bias[: known.shared]
        out[index, ..., : known.shared] = functional.linear(x[index], known.source[: known.shared], first)
    if known.added is not None:
        rest = None if bias is None else bias[known.shared :]
        out[index, ..., known.shared : known.size] = functional.linear(x[index], known.added, rest)


def cut_logits(logits: torch.Tensor, rows: Assignment, sizes: dict[str, int], base: int) -> torch.Tensor:
    """Logits (rows, ..., width) with -inf behind every row's own vocabulary; `base`: that of rows without a tenant."""
    known = [base if name is None else sizes[name] for name in rows.names]
    if all(size == logits.shape[-1] for size in known):
        return logits
    beyond = torch.arange(logits.shape[-1], device=logits.device) >= torch.tensor(known, device=logits.device)[:, None]
    return logits.masked_fill(beyond.reshape(len(known), *(1,) * (logits.dim() - 2), -1), float("-inf"))
