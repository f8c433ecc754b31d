"""The kinds of terms a delta is made of, one file each."""

from __future__ import annotations

from deltakit.registry import Registry

__all__ = ["TERMS"]

TERMS = Registry(
    "term",
    {
        "changes": "deltakit.delta.terms.changes:Changes",
        "dense": "deltakit.delta.terms.dense:Dense",
        "exact": "deltakit.delta.terms.exact:Exact",
        "grouped": "deltakit.delta.terms.grouped:Grouped",
        "lowrank": "deltakit.delta.terms.lowrank:LowRank",
        "ranged": "deltakit.delta.terms.ranged:Ranged",
        "raw": "deltakit.delta.terms.raw:Raw",
        "sign": "deltakit.delta.terms.sign:Sign",
        "sparse": "deltakit.delta.terms.sparse:Sparse",
    },
)
