"""TSV-Merge (Gargiulo et al., 2024, arXiv 2412.00081, algorithm 1)."""

from __future__ import annotations

from deltakit.merge.method import Method
from deltakit.merge.reduce.singular_vectors import SingularVectors

__all__ = ["tsv_m"]


def tsv_m(embeddings: bool = False) -> Method:
    """The first 1/N of each matrix's singular triplets, made orthogonal between tasks, times lambda (Gargiulo 2024).

    Tensors that are no matrices, and embeddings and heads unless `embeddings`, become the mean of the deltas.
    """
    return Method(SingularVectors(embeddings))
