"""Examples into one padded batch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from deltakit.train.masking import IGNORE

__all__ = ["pad_batch"]


def pad_batch(examples: Sequence[tuple[NDArray[np.int32], int]], pad: int) -> dict[str, torch.Tensor]:
    """`input_ids` and `labels`, int64 (examples, longest), padded on the right; prompt and padding are labelled IGNORE.

    There is no attention mask: a causal model never looks to the right, so no learned position sees the padding, and
    attention without a mask is faster.
    """
    longest = max(len(ids) for ids, _ in examples)
    inputs = np.full((len(examples), longest), pad, np.int64)
    labels = np.full_like(inputs, IGNORE)
    for row, (ids, border) in enumerate(examples):
        inputs[row, : len(ids)] = ids
        labels[row, border : len(ids)] = ids[border:]
    return {"input_ids": torch.from_numpy(inputs), "labels": torch.from_numpy(labels)}
