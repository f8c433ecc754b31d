"""Which row of the batch belongs to which tenant, and how modules see those rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from deltakit.errors import MismatchError

__all__ = ["Assignment", "Now"]


class Assignment:
    """One name per row of the batch; None is the base alone. `plans` is where modules keep what they derive from it."""

    def __init__(self, names: Sequence[str | None], device: Any = "cpu") -> None:
        self.names = tuple(names)
        self.count = len(self.names)
        self.device = device
        self.plans: dict[tuple[int, int], Any] = {}

    def groups(self, having: Mapping[str, Any]) -> list[tuple[str | None, torch.Tensor]]:
        """(tenant, its rows) for the tenants in `having`; all other rows come first, under None."""
        rows: dict[str | None, list[int]] = {None: []}
        for row, name in enumerate(self.names):
            rows.setdefault(name if name in having else None, []).append(row)
        return [(name, self.index(at)) for name, at in rows.items() if at]

    def index(self, rows: Sequence[int]) -> torch.Tensor:
        """Row numbers as a tensor."""
        return torch.tensor(rows, dtype=torch.long, device=self.device)

    def split(self, x: torch.Tensor, layout: str, name: str) -> torch.Tensor:
        """`x` with the batch's rows as its first dimension (a view), as a module laid out so sees them.

        MismatchError where the module's input is not laid out by rows: a change of it cannot be told apart by tenant.
        """
        n = x.shape[0] if x.dim() else 0
        if layout == "rows" and n == self.count:
            return x
        if layout == "flat" and self.count and n % self.count == 0:
            return x.view(self.count, n // self.count, *x.shape[1:])
        raise MismatchError(
            f"module {name!r} does not see the batch row by row (an input of {list(x.shape)} for {self.count} rows)",
            remedy="serve this tenant alone, as a model of its own",
        )


class Now:
    """What all modules of one resident base look at: the assignment in force, and how changes are added.

    `form` "rows" adds each row's change by itself, in products of fixed shape: the oracle, and bits that do not depend
    on the neighbours' tenants. "terms" adds each term once, for all rows that use it. "auto" is "terms", with low-rank
    terms stacked into one product where few tokens run at once.
    """

    def __init__(self) -> None:
        self.rows: Assignment | None = None
        self.form = "auto"
