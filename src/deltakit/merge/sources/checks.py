"""What is checked before weights are read, beyond names and shapes, and all that is wrong said at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from deltakit.delta.applied import Applied
from deltakit.errors import MismatchError
from deltakit.merge.plan.recipe import MergeRecipe
from deltakit.merge.sources.drift import check_drift
from deltakit.merge.sources.inputs import Inputs
from deltakit.merge.sources.parents import Kinship, Sampled, check_parents
from deltakit.merge.sources.vocabulary import Layout, plan_layout

__all__ = ["Problems", "Settled", "settle"]

T = TypeVar("T")


@dataclass
class Problems:
    """Mismatches of several checks, gathered into one error."""

    found: list[MismatchError] = field(default_factory=list)

    def of(self, check: Callable[[], T], otherwise: T) -> T:
        """What the check gives, or `otherwise` after keeping its mismatch."""
        try:
            return check()
        except MismatchError as wrong:
            self.found.append(wrong)
            return otherwise

    def refuse(self) -> None:
        """MismatchError with everything that was found, if anything was."""
        if len(self.found) < 2:
            for wrong in self.found:
                raise wrong
            return
        details = [d for wrong in self.found for d in wrong.details or (wrong.message,)]
        raise MismatchError(
            "; ".join(wrong.message for wrong in self.found),
            remedy="; ".join(dict.fromkeys(wrong.remedy for wrong in self.found if wrong.remedy)),
            details=details,
        )


@dataclass(frozen=True)
class Settled:
    """What checking gives: the layout of the result, a line for everything doubtful, and how near each model lies to
    the base, by label."""

    layout: Layout
    warnings: tuple[str, ...]
    kinships: Mapping[str, Kinship]


def settle(inputs: Inputs, recipe: MergeRecipe, dtype: str | None) -> Settled:
    """The layout of the result and the warnings. MismatchError for models that do not fit together in names and shapes,
    were trained apart, or are run with different settings; each of these can be allowed by the recipe."""
    problems, none = Problems(), Layout({}, None, ())
    silent: tuple[str, ...] = ()
    label = inputs.stand_in or "the base"
    models = [(m.label, Applied(inputs.base, m.delta)) for m in inputs.members]
    configs = [(m.label, m.delta.sidecar.config) for m in inputs.members]
    parents = problems.of(
        lambda: check_parents(
            inputs.base, models, base_label=label, allow_unrelated=recipe.allow_unrelated, strict=recipe.strict
        ),
        Sampled({}),
    )
    # Where tensors differ, a head that is tied in one model and untied in the other is said there.
    tied = any(m.delta.specs.keys() != inputs.base.specs.keys() for m in inputs.members)
    drifts: tuple[str, ...] = problems.of(
        lambda: check_drift(
            inputs.sidecar.config, configs, base_label=label, allow=recipe.allow_config_drift,
            ignore=("tie_word_embeddings",) if tied else (),
        ),
        silent,
    )  # fmt: skip
    layout = problems.of(lambda: plan_layout(inputs, recipe.vocabulary, dtype), none)
    problems.refuse()
    return Settled(layout, (*parents.warnings, *drifts), parents.kinships)
