"""What the law tests give each method: parameters it cannot do without, and those that keep everything as it is."""

from __future__ import annotations

from typing import Any

NEEDED: dict[str, dict[str, Any]] = {
    "dare_linear": {"density": 0.4},
    "dare_ties": {"density": 0.6},
    "darex": {"density": 0.4, "steps": 2},
    "della": {"density": 0.5},
    "della_linear": {"density": 0.5},
    "lines": {"alpha": 0.2, "beta": 0.6},
    "nearswap": {"t": 0.02},
    "ram": {"epsilon": 1e-3},
    "sce": {"select_topk": 0.3},
    "slerp": {"t": 0.3},
}

KEEP_ALL: dict[str, dict[str, Any]] = {
    "breadcrumbs": {"density": 1.0},
    "breadcrumbs_ties": {"density": 1.0},
    "consensus": {"k": 0},
    "dare_linear": {"density": 1.0},
    "dare_ties": {"density": 1.0, "trim_density": 1.0},
    "darex": {"density": 1.0},
    "della": {"density": 1.0},
    "della_linear": {"density": 1.0},
    "lines": {"alpha": 1.0, "beta": 0.0},
    "nearswap": {"t": 100.0},
    "ram": {"epsilon": 0.0},
    "ramplus": {"epsilon": 0.0},
    "ramplus_tl": {"epsilon": 0.0},
    "sce": {"select_topk": 1.0},
    "slerp": {"t": 1.0},
    "ties": {"density": 1.0},
}
