"""One tenant of a resident base: what it changes, and its own words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch

from deltakit.checkpoint.sidecar import Sidecar
from deltakit.runtime.tokenizer import load_tokenizer
from deltakit.tenants.share import Share
from deltakit.tenants.terms import Held

__all__ = ["Tenant"]


@dataclass(frozen=True, eq=False)
class Tenant:
    """`shares` by module; `terms` by tensor: (coefficient, term) each; `vectors` by tensor: small tensors as they are
    for this tenant; `rows`: rows that the base lacks."""

    name: str
    source: str
    sidecar: Sidecar
    shares: Mapping[str, Share]
    terms: Mapping[str, tuple[tuple[float, Held], ...]]
    vectors: Mapping[str, torch.Tensor]
    rows: Mapping[str, torch.Tensor]
    vocabulary: int

    @cached_property
    def tokenizer(self) -> Any:
        """The tenant's tokenizer, with its chat template; InputError where it has none."""
        return load_tokenizer(self.sidecar)

    @property
    def held(self) -> list[Held]:
        """Its terms, each once."""
        return list({id(t): t for parts in self.terms.values() for _, t in parts}.values())

    @property
    def own_bytes(self) -> int:
        """Bytes of what no other tenant can share: small tensors, added rows."""
        return sum(t.numel() * t.element_size() for t in (*self.vectors.values(), *self.rows.values()))

    @property
    def nbytes(self) -> int:
        """Bytes of all that it uses, shared terms included."""
        return self.own_bytes + sum(t.nbytes for t in self.held)

    def parameters(self) -> Iterator[tuple[str, torch.Tensor]]:
        """(name, tensor) of what may be trained while everything else stays: the scales of each term as "TENSOR#i" and
        the small tensors by their names. Scales belong to the term: tenants that share it share them too.

        Tensors of several dimensions that are held whole (routers, learnt positions) are not among them.
        """
        for name, parts in sorted(self.terms.items()):
            for i, (_, term) in enumerate(parts):
                if term.scales is not None:
                    yield f"{name}#{i}", term.scales
        yield from ((n, t) for n, t in sorted(self.vectors.items()) if t.dim() == 1)
