"""What the methods of a config take: which models, and which parameters one model alone can have."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["NO_EFFECT", "ROLES", "Role"]

# Parameters of many published configs that change no result.
NO_EFFECT = ("embed_slerp", "int8_mask", "residual_weight")


@dataclass(frozen=True)
class Role:
    """`own` are the parameters of each model, `weighted` says that every model needs a weight. `base`: "delta", the
    method needs one and it is no model of the merge; "option", the same if there is one; "model", it is one of the
    models, added if it is not listed; "listed", it is one of the models only where it is listed. `least` and `most`
    count the models."""

    base: Literal["delta", "option", "model", "listed"]
    own: tuple[str, ...] = ()
    weighted: bool = False
    scaled: bool = False  # lambda has a meaning
    least: int = 1
    most: int | None = None


_SUM = Role("delta", ("weight",), weighted=True, scaled=True)
_DROP = Role("delta", ("weight", "density"), weighted=True, scaled=True)
_DELLA = Role("delta", ("weight", "density", "epsilon"), weighted=True, scaled=True)
_BREADCRUMBS = Role("delta", ("weight", "density", "gamma"), weighted=True, scaled=True)

ROLES: dict[str, Role] = {
    "arcee_fusion": Role("delta", most=1),
    "breadcrumbs": _BREADCRUMBS,
    "breadcrumbs_ties": _BREADCRUMBS,
    "dare_linear": _DROP,
    "dare_ties": _DROP,
    "della": _DELLA,
    "della_linear": _DELLA,
    "karcher": Role("model", least=2),
    "linear": Role("listed", ("weight",), weighted=True),
    "model_stock": Role("delta", least=2),
    "multislerp": Role("option", ("weight",), weighted=True, least=2),
    "nearswap": Role("delta", most=1),
    "nuslerp": Role("option", ("weight",), weighted=True, least=2, most=2),
    "passthrough": Role("listed", ("scale",), most=1),
    "ram": Role("delta"),
    "ramplus_tl": Role("delta"),
    "sce": Role("delta"),
    "slerp": Role("delta", most=1),
    "task_arithmetic": _SUM,
    "ties": _DROP,
}
