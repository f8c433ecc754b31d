"""What tests of elementwise methods share: three fine-tunes on disk, slow whole-model versions of the papers' steps in
torch, and a merge in mergekit's dialect beside a version of it in torch that computes in the dtype itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from deltakit import rng
from deltakit.merge.plan.assemble import assemble
from deltakit.merge.plan.blueprint import Blueprint, Piece, Read, Use
from deltakit.merge.sources.allowances import Allowances
from deltakit.merge.sources.source import open_source
from deltakit.merge.tokens.aligned import Aligned
from support.merging import Arrays, draw, flat, rounded, store, tune, unflat, values

DTYPES = ("BF16", "F16", "F32")
WEIGHTS = (0.7, 0.4, 1.3)
NAMES = ("n0", "n1", "n2")
TORCH = {"BF16": torch.bfloat16, "F16": torch.float16, "F32": torch.float32}


@dataclass(frozen=True)
class Stored:
    """A base, three models with weights and names, and their folders."""

    base: Arrays
    models: list[Arrays]
    where: str
    items: list[dict[str, Any]]
    dtype: str

    @property
    def deltas(self) -> torch.Tensor:
        """(models, elements) float32."""
        return torch.stack([torch.from_numpy(flat(m) - flat(self.base)) for m in self.models])

    @property
    def weighted(self) -> torch.Tensor:
        """The weights as a column."""
        return torch.tensor(WEIGHTS)[:, None]

    def plain(self) -> list[dict[str, Any]]:
        """The items without weights."""
        return [{k: v for k, v in item.items() if k != "weight"} for item in self.items]


def three(folder: Path, dtype: str, **kinds: Any) -> Stored:
    """Three fine-tunes of one base, as folders."""
    base = draw(0, dtype)
    models = [tune(base, 10 + i, dtype, **kinds) for i in range(3)]
    items = [
        {"model": store(folder / f"m{i}", m, dtype), "name": n, "weight": w}
        for i, (m, n, w) in enumerate(zip(models, NAMES, WEIGHTS, strict=True))
    ]
    return Stored(base, models, store(folder / "base", base, dtype), items, dtype)


def check(made: Any, stored: Stored, merged: torch.Tensor) -> None:
    """base + merged, rounded once, but for the last bit of float32 sums made in another order."""
    want = unflat((torch.from_numpy(flat(stored.base)) + merged).float().numpy(), stored.base)
    found, exact = values(made), rounded(want, stored.dtype)
    ulp = {"BF16": 2**-7, "F16": 2**-10, "F32": 2**-20}[stored.dtype]
    for name in stored.base:
        assert np.allclose(found[name], exact[name], rtol=ulp, atol=1e-6)
    if stored.dtype != "F32":
        assert np.mean(flat(found) == flat(exact)) > 0.98


def lanes(base: Arrays, name: str, seed: int) -> torch.Tensor:
    """A model's random lanes, as numbers in [0, 1) float64, for the whole model."""
    parts = [rng.lanes(rng.key(seed, name, t), 0, base[t].size) for t in sorted(base)]
    return torch.from_numpy(np.concatenate(parts).astype(np.float64) / 2**32)


def by_row(base: Arrays, vector: torch.Tensor, compute: Callable[[torch.Tensor], torch.Tensor]) -> torch.Tensor:
    """`compute` on every row along the last dimension of every tensor of a whole model; a vector is one row."""
    made, tensors = {}, unflat(vector.numpy(), base)
    for name, some in tensors.items():
        rows = some.reshape(-1, max(1, some.shape[-1])) if some.ndim > 1 else some.reshape(1, -1)
        done = [compute(torch.from_numpy(r)).numpy() for r in rows if r.size]
        made[name] = np.concatenate([*done, np.zeros(0, some.dtype)]).reshape(some.shape)
    return torch.from_numpy(flat(made))


def drop(stored: Stored, density: float, seed: int) -> torch.Tensor:
    """DARE with the recorded masks, survivors divided by the probability."""
    kept = torch.stack([lanes(stored.base, n, seed) < rng.probability(density) for n in NAMES])
    return stored.deltas * kept / rng.probability(density)


def trim(taus: torch.Tensor, density: float) -> torch.Tensor:
    """Each whole delta to its largest share, as topk_values_mask of the TIES authors' code does."""
    size = taus.shape[1]
    kept = int(size * density)
    kth = taus.abs().kthvalue(size - kept, dim=1, keepdim=True).values
    return taus * (taus.abs() >= kth)


def elected_mean(taus: torch.Tensor, weights: Sequence[float]) -> torch.Tensor:
    """resolve_sign and disjoint_merge of the TIES authors' code, with weights."""
    sign = torch.sign(taus.sum(dim=0))
    majority = torch.sign(sign.sum())
    sign = torch.where(sign == 0, majority, sign)
    agree = torch.where(sign > 0, taus > 0, taus < 0).float() * torch.tensor(weights)[:, None]
    return (taus * agree).sum(dim=0) / agree.sum(dim=0).clamp(min=1e-12)


# ---- mergekit's dialect ---------------------------------------------------------------------------------------------


def in_mergekit(
    stored: Stored,
    method: str,
    own: Mapping[str, Any] | None = None,
    *,
    weights: Sequence[float] = WEIGHTS,
    scale: float = 1.0,
    based: bool = True,
    seed: int = 42,
    **parameters: Any,
) -> Arrays:
    """The merged tensors of a config that treats all tensors alike. A list in `own` holds a value for each model."""
    given = {n: v if isinstance(v, list) else [v] * 3 for n, v in (own or {}).items()}
    sources = {n: open_source(n, i["model"]) for n, i in zip(NAMES, stored.items, strict=True)}
    if based:
        sources["base"] = open_source("base", stored.where)
    pieces = {
        t: Piece(
            method,
            tuple(
                Use(Read(n, t), weights[i], {k: v[i] for k, v in given.items()})
                for i, n in enumerate(NAMES[: len(weights)])
            ),
            Read("base", t) if based else None,
            parameters,
            scale,
        )
        for t in stored.base
    }
    first = "base" if based else "n0"
    texts = {n: s.text for n, s in sources.items()}
    blueprint = Blueprint(texts, pieces, first, first if based else None, "mergekit", stored.dtype, seed=seed)
    return values(
        assemble(blueprint, Aligned(sources, 9), {"merge_method": method}, Allowances(unrelated=True)).tensors
    )


def largest(tau: torch.Tensor, first: int, end: int) -> torch.Tensor:
    """Only the elements of the ranks first..end, 0 the largest, of those that tie the first before the next."""
    mask = torch.zeros(tau.numel(), dtype=torch.bool)
    mask[torch.argsort(tau.abs().flatten().float(), descending=True, stable=True)[first:end]] = True
    return tau * mask.view_as(tau)


def matched(tau: torch.Tensor, kept: torch.Tensor) -> torch.Tensor:
    """What is kept, with the tensor's L1 norm, in its dtype."""
    norm = kept.abs().sum()
    return kept * (tau.abs().sum() / norm) if norm > 0 else kept


def stepwise(
    taus: Sequence[torch.Tensor],
    weights: Sequence[float] = WEIGHTS,
    *,
    normalize: bool = False,
    elect: bool = False,
    scale: float = 1.0,
) -> torch.Tensor:
    """mergekit's sum, written down from its outputs."""
    stack = torch.stack(list(taus))
    w = torch.tensor(weights, dtype=stack.dtype).reshape(-1, *[1] * taus[0].dim())
    terms = stack * w
    shares = w
    if elect:
        agree = terms.sign() == torch.where(terms.sum(dim=0) >= 0, 1, -1).to(stack.dtype)
        terms, shares = terms * agree, w * agree
    total = terms.sum(dim=0)
    if normalize:
        share = shares.sum(dim=0)
        total = total / torch.where(share == 0, torch.ones_like(share), share)
    return total * scale


def same_bits(found: Arrays, stored: Stored, compute: Callable[[list[torch.Tensor]], torch.Tensor]) -> None:
    """Every tensor is base + `compute(deltas)` in torch in the dtype itself, bit for bit."""
    kind = TORCH[stored.dtype]
    for name, some in found.items():
        base, *models = (torch.from_numpy(np.array(a[name])).to(kind) for a in (stored.base, *stored.models))
        want = base + compute([m - base for m in models])
        assert np.array_equal(some, want.float().numpy()), name
