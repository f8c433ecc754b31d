"""Merging: a method is a composition (each, reduce, post) over lazy deltas, computed while it is read."""

from __future__ import annotations

from deltakit.registry import Registry

__all__ = ["DIALECTS", "METHODS", "POSTS"]

METHODS = Registry(
    "method",
    {
        "arcee_fusion": "deltakit.merge.methods.arcee_fusion:arcee_fusion",
        "breadcrumbs": "deltakit.merge.methods.breadcrumbs:breadcrumbs",
        "breadcrumbs_ties": "deltakit.merge.methods.breadcrumbs_ties:breadcrumbs_ties",
        "consensus": "deltakit.merge.methods.consensus:consensus",
        "cart": "deltakit.merge.methods.cart:cart",
        "core_space": "deltakit.merge.methods.core_space:core_space",
        "dare_linear": "deltakit.merge.methods.dare_linear:dare_linear",
        "dare_ties": "deltakit.merge.methods.dare_ties:dare_ties",
        "darex": "deltakit.merge.methods.darex:darex",
        "della": "deltakit.merge.methods.della:della",
        "della_linear": "deltakit.merge.methods.della_linear:della_linear",
        "expo": "deltakit.merge.methods.expo:expo",
        "iso_c": "deltakit.merge.methods.iso_c:iso_c",
        "iso_cts": "deltakit.merge.methods.iso_cts:iso_cts",
        "karcher": "deltakit.merge.methods.karcher:karcher",
        "knots": "deltakit.merge.methods.knots:knots",
        "linear": "deltakit.merge.methods.linear:linear",
        "lines": "deltakit.merge.methods.lines:lines",
        "magmax": "deltakit.merge.methods.magmax:magmax",
        "model_stock": "deltakit.merge.methods.model_stock:model_stock",
        "multislerp": "deltakit.merge.methods.multislerp:multislerp",
        "nearswap": "deltakit.merge.methods.nearswap:nearswap",
        "nuslerp": "deltakit.merge.methods.nuslerp:nuslerp",
        "passthrough": "deltakit.merge.methods.passthrough:passthrough",
        "ram": "deltakit.merge.methods.ram:ram",
        "ramplus": "deltakit.merge.methods.ramplus:ramplus",
        "ramplus_tl": "deltakit.merge.methods.ramplus:ramplus",
        "regmean": "deltakit.merge.methods.regmean:regmean",
        "regmean_pp": "deltakit.merge.methods.regmean_pp:regmean_pp",
        "sce": "deltakit.merge.methods.sce:sce",
        "slerp": "deltakit.merge.methods.slerp:slerp",
        "svc": "deltakit.merge.methods.svc:svc",
        "task_arithmetic": "deltakit.merge.methods.task_arithmetic:task_arithmetic",
        "ties": "deltakit.merge.methods.ties:ties",
        "tsv_m": "deltakit.merge.methods.tsv_m:tsv_m",
    },
    group="deltakit.methods",
    spelling="set `{key}:` in the recipe, or give --{option}",
)

# What mergekit's configs name, in mergekit's arithmetic; a method whose arithmetic is the paper's is the same one.
MERGEKIT = Registry(
    "mergekit method",
    {
        "arcee_fusion": "deltakit.merge.methods.arcee_fusion:arcee_fusion",
        "breadcrumbs": "deltakit.merge.methods.breadcrumbs:mergekit",
        "breadcrumbs_ties": "deltakit.merge.methods.breadcrumbs_ties:mergekit",
        "dare_linear": "deltakit.merge.methods.dare_linear:mergekit",
        "dare_ties": "deltakit.merge.methods.dare_ties:mergekit",
        "della": "deltakit.merge.methods.della:mergekit",
        "della_linear": "deltakit.merge.methods.della_linear:mergekit",
        "karcher": "deltakit.merge.methods.karcher:mergekit",
        "linear": "deltakit.merge.methods.linear:mergekit",
        "model_stock": "deltakit.merge.methods.model_stock:mergekit",
        "multislerp": "deltakit.merge.methods.multislerp:mergekit",
        "nearswap": "deltakit.merge.methods.nearswap:mergekit",
        "nuslerp": "deltakit.merge.methods.nuslerp:mergekit",
        "passthrough": "deltakit.merge.methods.passthrough:mergekit",
        "ram": "deltakit.merge.methods.ram:mergekit",
        "ramplus_tl": "deltakit.merge.methods.ramplus:mergekit",
        "sce": "deltakit.merge.methods.sce:mergekit",
        "slerp": "deltakit.merge.methods.slerp:mergekit",
        "task_arithmetic": "deltakit.merge.methods.task_arithmetic:mergekit",
        "ties": "deltakit.merge.methods.ties:mergekit",
    },
)

# Primitives on the merged delta, behind any method: `post:` in a recipe.
POSTS = Registry(
    "post primitive",
    {
        "aim": "deltakit.merge.post.aim:Aim",
        "lines": "deltakit.sparsify.lines:Lines",
    },
    group="deltakit.posts",
)

DIALECTS = {"paper": METHODS, "mergekit": MERGEKIT}
