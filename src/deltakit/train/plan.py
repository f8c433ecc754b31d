"""All that is settled before a weight is read: data tokenised and counted, steps, order, identity of the run."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from deltakit.checkpoint import fingerprint
from deltakit.errors import InputError, RecipeError
from deltakit.prompts import PromptStyle, prompt_style
from deltakit.train.base import Base, open_base
from deltakit.train.masking import Counts, Encoded, encode, join
from deltakit.train.mixture import Mixture, Part, gather
from deltakit.train.order import Indexes, order, pool, steps
from deltakit.train.recipe import SftRecipe

__all__ = ["Plan", "identity", "plan_sft", "processes"]

_EPOCHS = 3.0
_Tokens = list[tuple[Encoded, Counts]]


@dataclass(frozen=True)
class Plan:
    """What a run will do. `batch` counts the records of a step, all processes together; `pool` is one epoch's examples;
    `facts` is what the plan tells, JSON-able."""

    recipe: SftRecipe
    base: Base
    train: Encoded
    held: Encoded | None
    pool: Indexes
    steps: int
    batch: int
    facts: Mapping[str, Any]

    def order(self) -> Indexes:
        """Example indexes in the order they are seen, (steps * batch,)."""
        settings, count = self.recipe.train, self.steps * self.batch
        return order(self.pool, self.train.lengths, count, self.batch, settings.seed, settings.group_by_length)


def processes() -> int:
    """How many processes the launcher started."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def plan_sft(recipe: SftRecipe) -> Plan:
    """Read data and the base's headers, tokenise, count; writes nothing.

    Raises RecipeError and InputError for what is wrong with recipe, data and base.
    """
    style = prompt_style(recipe.prompt)
    base = open_base(recipe)
    if recipe.lora and recipe.lora.output == "adapter" and base.model.delta is not None:
        problem = f"lora: an adapter needs a base of its own, {recipe.base!r} is a sum"
        raise RecipeError(problem, remedy="set lora.output to merged")
    mixture = gather(recipe)
    train = [_tokens(part, base, style, recipe) for part in mixture.train]
    held = [_tokens(part, base, style, recipe) for part in mixture.held]
    settings = recipe.train
    one_epoch = pool([len(e) for e, _ in train], [p.source.weight for p in mixture.train], settings.seed)
    if not len(one_epoch):
        raise RecipeError("the weights of the data leave no record", remedy="raise data.weight")
    batch = settings.batch_size * settings.accumulation * processes()
    count = settings.max_steps or steps(len(one_epoch), batch, settings.epochs or _EPOCHS)
    facts = _facts(mixture, train, held, base) | {
        "examples_per_epoch": len(one_epoch),
        "examples_per_step": batch,
        "steps": count,
        "epochs": round(count * batch / len(one_epoch), 4),
    }
    held_out = join([e for e, _ in held]) if held else None
    return Plan(recipe, base, join([e for e, _ in train]), held_out, one_epoch, count, batch, facts)


def _tokens(part: Part, base: Base, style: PromptStyle, recipe: SftRecipe) -> tuple[Encoded, Counts]:
    texts = [(style(r.instruction, r.input), r.response) for r in part.records]
    path, policy = part.source.path, recipe.tokens.too_long
    made, counts = encode(texts, base.tokenizer, max_length=base.max_length, too_long=policy, where=path)
    top = int(made.ids.max())
    if top >= base.rows:
        raise InputError(
            f"{path}: token {top} is beyond the model's {base.rows} rows",
            remedy="the tokenizer and the weights of the base do not belong together",
        )
    return made, counts


def _facts(mixture: Mixture, train: _Tokens, held: _Tokens, base: Base) -> dict[str, Any]:
    return {
        "data": [p.facts() | c.as_dict() for p, (_, c) in zip(mixture.train, train, strict=True)],
        "holdout": [p.facts() | c.as_dict() for p, (_, c) in zip(mixture.held, held, strict=True)],
        "holdout_prompts_in_training": mixture.repeated,
        "max_length": base.max_length,
        "parameters": base.parameters,
        "vocabulary": base.rows,
    }


def identity(plan: Plan) -> dict[str, Any]:
    """All that decides the trained weights: what an unfinished run and the one that resumes it must share."""
    settings = plan.recipe.model_dump(mode="json", exclude={"log", "save", "output", "base", "data", "holdout"})
    return {
        **settings,
        "base": fingerprint(plan.base.model.tensors),
        "data": [[d["sha256"], d["kind"], d["records"], d["weight"]] for d in plan.facts["data"]],
        "examples_per_step": plan.batch,
        "holdout": plan.recipe.holdout if isinstance(plan.recipe.holdout, float) else 0.0,
        "steps": plan.steps,
    }
