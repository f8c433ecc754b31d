"""The checks of a blueprint's models before weights are read: each against the model that it is merged with."""

from __future__ import annotations

from collections.abc import Mapping

from deltakit.merge.allowances import Allowances
from deltakit.merge.blueprint import Blueprint
from deltakit.merge.checks import Problems
from deltakit.merge.drift import check_drift
from deltakit.merge.parents import check_parents
from deltakit.merge.source import Source

__all__ = ["check_kin"]


def check_kin(blueprint: Blueprint, sources: Mapping[str, Source], allow: Allowances) -> tuple[str, ...]:
    """The warnings about models that do not belong together. MismatchError for those trained apart or run with other
    settings, all at once, unless allowed. Models whose layers only stand one after another need not be related."""
    head = blueprint.base or blueprint.donor
    mixed = {u.read.model for p in blueprint.pieces.values() for u in p.uses if len(p.uses) > 1 or p.base}
    others = [s for label, s in sources.items() if label != head and label in mixed]
    problems, none = Problems(), ()
    kin: tuple[str, ...] = problems.of(
        lambda: check_parents(
            sources[head].tensors, [(s.label, s.tensors) for s in others],
            base_label=head, allow_unrelated=allow.unrelated, strict=allow.strict,
        ).warnings,
        none,
    )  # fmt: skip
    drift: tuple[str, ...] = problems.of(
        lambda: check_drift(
            sources[head].sidecar.config, [(s.label, s.sidecar.config) for s in others],
            base_label=head, allow=allow.config_drift, ignore=("tie_word_embeddings", *blueprint.config),
        ),
        none,
    )  # fmt: skip
    problems.refuse()
    return (*kin, *drift)
