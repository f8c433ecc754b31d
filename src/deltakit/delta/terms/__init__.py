"""The kinds of terms a delta is made of, one file each."""

from __future__ import annotations

from deltakit.registry import Registry

__all__ = ["TERMS"]

TERMS = Registry(
    "term",
    {
        "changes": "deltakit.delta.terms.changes:Changes",
        "copy": "deltakit.delta.terms.copy:Copy",
        "dense": "deltakit.delta.terms.dense:Dense",
        "exact": "deltakit.delta.terms.exact:Exact",
        "grouped": "deltakit.delta.terms.grouped:Grouped",
        "lowrank": "deltakit.delta.terms.lowrank:LowRank",
        "lowrank_minmax": "deltakit.delta.terms.minmax:MinMaxLowRank",
        "ranged": "deltakit.delta.terms.ranged:Ranged",
        "raw": "deltakit.delta.terms.raw:Raw",
        "rows": "deltakit.delta.terms.rows:Rows",
        "seeded": "deltakit.delta.terms.seeded:Seeded",
        "sign": "deltakit.delta.terms.sign:Sign",
        "sparse": "deltakit.delta.terms.sparse:Sparse",
    },
)
