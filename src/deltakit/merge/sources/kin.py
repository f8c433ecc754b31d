"""The checks of a blueprint's models before weights are read: each against the model that it is merged with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from deltakit.merge.plan.blueprint import Blueprint
from deltakit.merge.sources.allowances import Allowances
from deltakit.merge.sources.checks import Problems
from deltakit.merge.sources.drift import check_drift
from deltakit.merge.sources.parents import Kinship, Sampled, check_parents
from deltakit.merge.sources.source import Source

__all__ = ["Kin", "check_kin"]


@dataclass(frozen=True)
class Kin:
    """A line for everything doubtful, and how near each model lies to the base, by label."""

    warnings: tuple[str, ...]
    kinships: Mapping[str, Kinship]


def check_kin(blueprint: Blueprint, sources: Mapping[str, Source], allow: Allowances) -> Kin:
    """What is known of the models. MismatchError for those trained apart or run with other settings, all at once,
    unless allowed. Models whose layers only stand one after another need not be related."""
    head = blueprint.base or blueprint.donor
    mixed = {u.read.model for p in blueprint.pieces.values() for u in p.uses if len(p.uses) > 1 or p.base}
    others = [s for label, s in sources.items() if label != head and label in mixed]
    problems, silent = Problems(), tuple[str, ...]()
    kin = problems.of(
        lambda: check_parents(
            sources[head].tensors, [(s.label, s.tensors) for s in others],
            base_label=head, allow_unrelated=allow.unrelated, strict=allow.strict,
        ),
        Sampled({}),
    )  # fmt: skip
    drift = problems.of(
        lambda: check_drift(
            sources[head].sidecar.config, [(s.label, s.sidecar.config) for s in others],
            base_label=head, allow=allow.config_drift, ignore=("tie_word_embeddings", *blueprint.config),
        ),
        silent,
    )  # fmt: skip
    problems.refuse()
    return Kin((*kin.warnings, *drift), kin.kinships)
