"""Logit distillation of a tenant's few trainable numbers: its singular values, its scales, its one-dimensional tensors.

BitDelta (arXiv 2402.10193, section 3.2) trains one scale a matrix so; here are more of them, and nothing else moves.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from deltakit.errors import NonFiniteError
from deltakit.tenants import ResidentBase

__all__ = ["Distilled", "Steps", "distil", "divergence"]

Done = Callable[[int, float], None]
_WARM = 0.1  # share of the steps in which the step size rises; then it falls as a cosine


@dataclass(frozen=True)
class Steps:
    """`count` steps of Adam of relative size `rate`: a rate of 0.01 moves a number by at most about a hundredth of what
    it was (a one-dimensional tensor's, of their root mean square) in a step."""

    count: int
    rate: float = 3e-3


@dataclass(frozen=True)
class Distilled:
    """KL divergence in nats per token on text that was not trained on, before and after, and how many numbers moved.
    Where it did not fall, everything is as it was (`kept` is False)."""

    before: float
    after: float
    numbers: int
    kept: bool


def distil(
    base: ResidentBase, name: str, teacher: Any, train: Sequence[torch.Tensor], held: Sequence[torch.Tensor],
    steps: Steps, done: Done = lambda step, loss: None,
) -> Distilled:  # fmt: skip
    """Bring the logits of tenant `name` nearer to the teacher's, by the KL divergence of its distributions.

    Batches are ids (rows, length), gone through in their order, again and again. NonFiniteError if a loss is not
    finite: everything is then as it was.
    """
    known = dict(base.tenant(name).parameters())
    start = {n: p.detach().clone() for n, p in known.items()}
    units = {n: _unit(n, p) for n, p in start.items()}
    before = divergence(base, name, teacher, held)
    try:
        _descend(base, name, teacher, train, known, units, steps, done)
        after = divergence(base, name, teacher, held)
    except BaseException:
        _restore(known, start)
        raise
    finally:
        for parameter in known.values():
            parameter.requires_grad_(False)
    if not after < before:
        _restore(known, start)
    return Distilled(before, min(before, after), sum(p.numel() for p in start.values()), after < before)


def divergence(base: ResidentBase, name: str, teacher: Any, batches: Sequence[torch.Tensor]) -> float:
    """Mean KL(teacher || tenant) over all tokens, nats."""
    with torch.no_grad():
        found = [(float(_loss(base, name, teacher, ids)), ids.numel()) for ids in batches]
    return sum(loss * n for loss, n in found) / sum(n for _, n in found)


def _descend(
    base: ResidentBase, name: str, teacher: Any, train: Sequence[torch.Tensor], known: Mapping[str, torch.Tensor],
    units: Mapping[str, torch.Tensor], steps: Steps, done: Done,
) -> None:  # fmt: skip
    for parameter in known.values():
        parameter.requires_grad_(True)
    names = sorted(known)
    adam = torch.optim.Adam([known[n] for n in names], lr=1.0)
    for step in range(steps.count):
        loss = _loss(base, name, teacher, train[step % len(train)])
        if not torch.isfinite(loss):
            raise NonFiniteError(f"healing: the loss of step {step + 1} is not finite", remedy="lower the rate")
        adam.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        old = {n: known[n].detach().clone() for n in names}
        adam.step()
        with torch.no_grad():  # Adam's steps are of size one: each number takes them in its own unit
            for n in names:
                known[n].copy_(old[n] + (known[n] - old[n]) * units[n] * steps.rate * _schedule(step, steps.count))
        done(step + 1, float(loss.detach()))


def _loss(base: ResidentBase, name: str, teacher: Any, ids: torch.Tensor) -> torch.Tensor:
    """KL(teacher || tenant), mean over tokens."""
    with torch.no_grad():
        wanted = teacher(input_ids=ids).logits
    with base.rows([name] * len(ids)) as model:
        given = model(input_ids=ids).logits[..., : wanted.shape[-1]]
    log = torch.log_softmax(wanted.float(), -1).flatten(0, 1)
    return torch.nn.functional.kl_div(
        torch.log_softmax(given.float(), -1).flatten(0, 1), log, reduction="batchmean", log_target=True
    )


def _unit(name: str, start: torch.Tensor) -> torch.Tensor:
    """What a step of size one is for each number: a scale's own magnitude; for the rest, their root mean square."""
    if "#" in name:
        return start.abs()
    return start.square().mean().sqrt().expand_as(start)


def _schedule(step: int, count: int) -> float:
    """From 0 to 1 and back to 0."""
    warm = max(1, int(count * _WARM))
    if step < warm:
        return (step + 1) / warm
    return float(0.5 * (1 + np.cos(np.pi * (step - warm) / max(1, count - warm))))


def _restore(known: Mapping[str, torch.Tensor], start: Mapping[str, torch.Tensor]) -> None:
    with torch.no_grad():
        for n, parameter in known.items():
            parameter.copy_(start[n])
