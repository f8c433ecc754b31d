"""How each module of a running model sees the batch: found by changing one row and looking where that shows."""

from __future__ import annotations

import inspect
from typing import Any

import torch

__all__ = ["row_layout"]

_ROWS, _TOKENS, _CHANGED = 3, 5, 0


@torch.no_grad()
def row_layout(model: Any) -> dict[str, str]:
    """Name of every module that has parameters of its own and was run to its layout: "rows" (the first dimension of its
    input is the batch's rows), "flat" (rows times tokens, row by row), "shared" (one row for all), "" (none of these).

    Two runs over 3 rows of 5 tokens that differ in one row: a module is laid out by rows only if just that row's part
    of its input changed.
    """
    size = int(model.get_input_embeddings().weight.shape[0])
    ids = torch.arange(_ROWS * _TOKENS, device=model.device).reshape(_ROWS, _TOKENS) % size
    other = ids.clone()
    other[_CHANGED] = (ids[_CHANGED] * 7 + 3) % size
    first, second = _inputs(model, ids), _inputs(model, other)
    return {name: _layout(seen, second.get(name, [])) for name, seen in first.items()}


def _inputs(model: Any, ids: torch.Tensor) -> dict[str, list[torch.Tensor]]:
    """The first tensor that each module was called with, call by call."""
    seen: dict[str, list[torch.Tensor]] = {}

    def watch(name: str) -> Any:
        def look(module: Any, args: Any, kwargs: Any) -> None:
            tensors = [x for x in (*args, *kwargs.values()) if isinstance(x, torch.Tensor)]
            seen.setdefault(name, []).extend(x.detach().clone() for x in tensors[:1])

        return look

    handles = [
        module.register_forward_pre_hook(watch(name), with_kwargs=True)
        for name, module in model.named_modules()
        if any(p is not None for p in module._parameters.values())
    ]
    known = inspect.signature(model.forward).parameters
    given = {"position_ids": torch.arange(ids.shape[1], device=ids.device).expand(ids.shape), "use_cache": False}
    try:
        model(input_ids=ids, **{k: v for k, v in given.items() if k in known})
    finally:
        for handle in handles:
            handle.remove()
    return seen


def _layout(first: list[torch.Tensor], second: list[torch.Tensor]) -> str:
    """One layout for all calls, or ""."""
    found = {_one(a, b) for a, b in zip(first, second, strict=False)} if len(first) == len(second) else {""}
    return found.pop() if len(found) == 1 else ""


def _one(first: torch.Tensor, second: torch.Tensor) -> str:
    if first.shape != second.shape or not first.dim():
        return ""
    n = first.shape[0]
    changed = set(torch.nonzero((first != second).reshape(n, -1).any(1)).flatten().tolist())
    if n == _ROWS and changed <= {_CHANGED}:
        return "rows"
    if n == _ROWS * _TOKENS and changed <= set(range(_CHANGED * _TOKENS, (_CHANGED + 1) * _TOKENS)):
        return "flat"
    return "shared" if n == 1 and not changed else ""
