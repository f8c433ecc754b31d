"""Iso-CTS (Marczak et al., 2025, arXiv 2502.04959, section 4.2)."""

from __future__ import annotations

from deltakit.merge.method import Method
from deltakit.merge.reduce.isotropic import IsotropicSubspaces

__all__ = ["iso_cts"]


def iso_cts(common: float = 0.8, embeddings: bool = False) -> Method:
    """Iso-C whose weakest common directions give way to each task's own, times lambda (Marczak et al., 2025).

    Tensors that are no matrices, and embeddings and heads unless `embeddings`, become the mean of the deltas.
    """
    return Method(IsotropicSubspaces(embeddings, common))
