"""Iso-C (Marczak et al., 2025, arXiv 2502.04959, section 4.1)."""

from __future__ import annotations

from deltakit.merge.method import Method
from deltakit.merge.reduce.isotropic import Isotropic

__all__ = ["iso_c"]


def iso_c(embeddings: bool = False) -> Method:
    """The sum of deltas with all singular values of a matrix set to their mean, times lambda (Marczak et al., 2025).

    Tensors that are no matrices, and embeddings and heads unless `embeddings`, become the mean of the deltas.
    """
    return Method(Isotropic(embeddings))
