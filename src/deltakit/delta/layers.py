"""Which layer a tensor belongs to, read from its name alone: no architecture is described anywhere."""

from __future__ import annotations

import re
from collections.abc import Iterable

__all__ = ["depths_of", "layer_of", "stack_of"]

# The first number behind a word for a row of layers: llama layers.3, GPT-2 h.3, BERT encoder.layer.3, T5 block.3 (the
# layer.1 within it counts its halves), MPT blocks.3, CLIP resblocks.3, ALBERT albert_layer_groups.0. Numbers behind
# other words (experts.5, classifier.0, mlp.2) count no layers.
_LAYER = re.compile(r"(?:^|(?<=\.))(?:[A-Za-z_]*(?:layers?|layer_groups|blocks?)|h)\.(\d+)(?=\.|$)")


def layer_of(name: str) -> int | None:
    """The number of the layer that a tensor lies in; None for embeddings, heads, final norms."""
    found = _LAYER.search(name)
    return int(found[1]) if found else None


def stack_of(name: str) -> str | None:
    """The name up to the layer's number: what tells the layers of an encoder from those of a decoder or a vision
    tower, each counted from 0."""
    found = _LAYER.search(name)
    return name[: found.start(1) - 1] if found else None


def depths_of(names: Iterable[str]) -> dict[str, int]:
    """How many layers each stack has: its highest number and one."""
    depths: dict[str, int] = {}
    for name in names:
        found = _LAYER.search(name)
        if found:
            stack = name[: found.start(1) - 1]
            depths[stack] = max(depths.get(stack, 0), int(found[1]) + 1)
    return dict(sorted(depths.items()))
