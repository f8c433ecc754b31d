"""A whole tensor of a pull, for methods that need it at once."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from deltakit.delta.terms.base import Float32
from deltakit.sparsify.flow import Pull
from deltakit.tensors import TensorSpec

__all__ = ["pull_whole"]


def pull_whole(pull: Pull, specs: Mapping[str, TensorSpec], name: str) -> Float32:
    """All rows of a tensor, (rows, row_size) float32."""
    return np.ascontiguousarray(pull(name, 0, specs[name].rows))
