"""A recipe of ours that needs more than one delta over a base: another tool's dialect, or a vocabulary of its own."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pydantic

from deltakit.delta.adapter import is_adapter
from deltakit.delta.file.container import is_delta
from deltakit.errors import RecipeError
from deltakit.merge import DIALECTS
from deltakit.merge.plan.assemble import Assembly, assemble
from deltakit.merge.plan.blueprint import Blueprint, Piece, Read, Use
from deltakit.merge.plan.plan import plan_merge
from deltakit.merge.plan.planned import Planned
from deltakit.merge.plan.recipe import MergeRecipe, ModelItem, methods_of, parameters_of
from deltakit.merge.plan.series import expanded
from deltakit.merge.sources.allowances import Allowances
from deltakit.merge.sources.presence import check_present
from deltakit.merge.sources.source import Source, open_source
from deltakit.merge.tokens.align import align
from deltakit.merge.tokens.choice import tokenizer_choice
from deltakit.merge.tokens.ties import ties_differ
from deltakit.registry import check_keys, did_you_mean
from deltakit.tensors import dtype_code

__all__ = ["needs_blueprint", "plan_native", "plan_recipe"]

_BASE = "base"


def needs_blueprint(recipe: MergeRecipe) -> bool:
    """Whether a recipe asks for what one lazy delta cannot give."""
    return recipe.dialect != "paper" or recipe.tokenizer is not None or recipe.chat_template is not None


def plan_recipe(recipe: MergeRecipe) -> Planned:
    """The plan of a recipe, whatever it asks for."""
    recipe = expanded(recipe)
    check_present([*([recipe.base] if recipe.base else []), *(item.model for item in recipe.models)])
    return plan_native(recipe) if needs_blueprint(recipe) or _mixed_ties(recipe) else plan_merge(recipe)


def _mixed_ties(recipe: MergeRecipe) -> bool:
    """Whether a head is the embedding in some models and a matrix of its own in others, and no key settles heads."""
    texts = [*([recipe.base] if recipe.base else []), *(item.model for item in recipe.models)]
    whole = [t for t in texts if not is_delta(Path(t)) and not (Path(t).is_dir() and is_adapter(Path(t)))]
    return not _clash(recipe) and ties_differ(whole)


def _clash(recipe: MergeRecipe) -> list[str]:
    """The keys that are set and that a blueprint has no words for; a method that looks at text is among them."""
    found = [key for key in ("vocabulary", "heads", "post", "calibration") if getattr(recipe, key) is not None]
    found += ["text"] if any(item.text for item in recipe.models) else []
    looks = recipe.dialect == "paper" and any(m.calibrated for m in methods_of(recipe))
    return [*found, f"method: {recipe.method}"] if looks else found


def plan_native(recipe: MergeRecipe) -> Assembly:
    """Open the models of a recipe and settle the merge; only headers and some MB of samples are read.

    Raises RecipeError, InputError and MismatchError.
    """
    _check(recipe)
    sources = {} if recipe.base is None else {_BASE: open_source(_BASE, recipe.base)}
    for item in recipe.models:
        label = item.name or item.model
        if label in sources:
            raise RecipeError(f"two models are called {label!r}", remedy="give each a name: of its own")
        sources[label] = open_source(label, _text(item, recipe))
    allow = Allowances(recipe.allow_unrelated, recipe.allow_config_drift, recipe.allow_nonfinite, recipe.strict)
    document = recipe.model_dump(by_alias=True, exclude_none=True)
    choice = tokenizer_choice(None, recipe.tokenizer)
    donor = next(iter(sources))
    base = None if recipe.base is None else _BASE
    aligned = align(sources, choice, donor=donor, base=base, chat_template=recipe.chat_template)
    return assemble(_blueprint(recipe, aligned.sources), aligned, document, allow)


def _check(recipe: MergeRecipe) -> None:
    """What a blueprint has no words for, and what the dialect does not know."""
    if recipe.dialect not in DIALECTS:
        raise RecipeError(f"unknown dialect {recipe.dialect!r}", remedy=did_you_mean(recipe.dialect, sorted(DIALECTS)))
    registry = DIALECTS[recipe.dialect]
    known = list(registry.parameters(recipe.method))
    check_keys(parameters_of(recipe), known, f"{registry.kind} {recipe.method!r}")
    for item in recipe.models:
        check_keys(parameters_of(item), known, f"model {item.name or item.model!r}: method {recipe.method!r}")
    try:
        tokenizer_choice(None, recipe.tokenizer)
    except pydantic.ValidationError as wrong:
        first = wrong.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise RecipeError(f"tokenizer: {where}: {first['msg']}", remedy="see docs/tokenizers.md") from None
    if clash := _clash(recipe):
        raise RecipeError(
            f"{', '.join(clash)} cannot stand beside tokenizer:, chat_template: or another dialect",
            remedy="leave one of them out",
        )
    if not recipe.models:
        raise RecipeError("a merge needs at least one model", remedy="list them under models:, or give --model")


def _text(item: ModelItem, recipe: MergeRecipe) -> str:
    """The MODEL string of an item: a delta or an adapter counts as the base plus itself."""
    path = Path(item.model)
    if not is_delta(path) and not (path.is_dir() and is_adapter(path)):
        return item.model
    if recipe.base is None:
        raise RecipeError(f"{item.model} is a delta, and the recipe names no base", remedy="name its base")
    return f"{recipe.base} + {item.model}"


def _blueprint(recipe: MergeRecipe, sources: Mapping[str, Source]) -> Blueprint:
    items = {item.name or item.model: item for item in recipe.models}
    donor = _BASE if recipe.base is not None else next(iter(items))
    method = DIALECTS[recipe.dialect].make(recipe.method, **parameters_of(recipe))
    stand_in = donor if recipe.base is None and method.reduce.needs == "pair" else None
    base = _BASE if recipe.base is not None else stand_in
    names = sorted({n for s in sources.values() for n in s.tensors.specs})
    dtype = None if recipe.dtype is None else dtype_code(recipe.dtype)

    def piece(name: str) -> Piece:
        uses = tuple(
            Use(Read(label, name), item.weight, parameters_of(item))
            for label, item in items.items()
            if label != stand_in
        )
        read = None if base is None else Read(base, name)
        return Piece(recipe.method, uses, read, parameters_of(recipe), recipe.lambda_)

    return Blueprint(
        models={label: s.text for label, s in sources.items()}, pieces={n: piece(n) for n in names}, donor=donor,
        base=_BASE if recipe.base is not None else None, dialect=recipe.dialect, dtype=dtype, seed=recipe.seed,
        tokenizer=recipe.tokenizer, chat_template=recipe.chat_template,
    )  # fmt: skip
