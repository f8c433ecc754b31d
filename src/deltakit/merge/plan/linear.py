"""A linear merge as an expression: many of them over the same models share those models in memory."""

from __future__ import annotations

from deltakit.delta.open import Operand, parse_expression
from deltakit.errors import RecipeError
from deltakit.merge.plan.recipe import MergeRecipe, methods_of
from deltakit.merge.plan.series import expanded

__all__ = ["linear_expression"]

# what an expression has no words for
_MORE = ("tokenizer", "chat_template", "vocabulary", "heads", "dtype", "lora", "calibration")


def linear_expression(recipe: MergeRecipe) -> str | None:
    """ "BASE + c1*A + c2*B", the same model bit for bit, where the recipe is a weighted sum of deltas over its base and
    asks for nothing else; else None. Terms stand in the recipe's order, zeros too, so that all candidates of a sweep
    name the same deltas. No file is opened. Raises RecipeError for parameters and weights that do not fit.
    """
    recipe = expanded(recipe)
    methods = methods_of(recipe) if recipe.dialect == "paper" else ()
    if not methods or recipe.base is None or any(getattr(recipe, key) is not None for key in _MORE):
        return None
    weights = [item.weight for item in recipe.models]
    methods[0].reduce.check(weights)
    coefficients = methods[0].reduce.coefficients(weights)
    if coefficients is None or not all(step.idle for m in methods for step in (*m.each, *m.post)):
        return None
    terms = [Operand(recipe.lambda_ * c, item.model) for c, item in zip(coefficients, recipe.models, strict=True)]
    text = recipe.base + "".join(f" + {float(t.coef)!r}*{t.name}" for t in terms)
    return text if _reads_as(text, recipe.base, tuple(terms)) else None


def _reads_as(text: str, base: str, terms: tuple[Operand, ...]) -> bool:
    """Whether the text means what it was made of: a model may be an expression itself, or hold an operator."""
    try:
        return parse_expression(text) == (base, terms)
    except RecipeError:
        return False
