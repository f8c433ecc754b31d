"""A mergekit config as a merge that is ready to be pulled: stage by stage, the earlier ones as lazy models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import yaml

from deltakit import manifest as manifests
from deltakit.errors import InputError, RecipeError
from deltakit.merge.mergekit.resolution import blueprint, tokenizer_of
from deltakit.merge.mergekit.stage import Stage, read_config, tokenizer_models
from deltakit.merge.plan.assemble import Assembly, assemble
from deltakit.merge.sources.allowances import Allowances
from deltakit.merge.sources.presence import check_present
from deltakit.merge.sources.source import Source, experts_apart, open_source
from deltakit.merge.tokens.align import align
from deltakit.merge.tokens.aligned import Aligned
from deltakit.merge.tokens.choice import tokenizer_choice

__all__ = ["CONFIG_NAME", "config_models", "plan_config"]

CONFIG_NAME = "mergekit_config.yml"


def plan_config(
    path: str | Path, *, dialect: str = "mergekit", seed: int = 42, allow: Allowances | None = None
) -> Assembly:
    """The merge that a config describes; only headers and some MB of samples are read. No stage is written on the way:
    a later one reads it range by range. Raises RecipeError, InputError and MismatchError."""
    made: dict[str, Assembly] = {}
    stages = read_config(path)
    check_present(config_models(path))
    for stage in stages:
        aligned = _aligned(stage, {label: _source(label, stage, made) for label in stage.references})
        aligned = replace(aligned, sources=experts_apart(aligned.sources))
        plan = blueprint(stage, aligned.sources, dialect=dialect, seed=seed)
        made[stage.name] = assemble(plan, aligned, stage.document, allow or Allowances())
    result = made[stage.name]
    return replace(result, sidecar=result.sidecar.with_files({CONFIG_NAME: _text(stages)}))


def _text(stages: Sequence[Stage]) -> bytes:
    """The config for the result's folder, where mergekit's users look; local paths are cut to their last part."""
    documents = [manifests.portable(stage.document) for stage in stages]
    return yaml.safe_dump_all(documents, sort_keys=False, allow_unicode=True).encode()


def _aligned(stage: Stage, sources: Mapping[str, Source]) -> Aligned:
    """The models in one vocabulary; heads that are tied in one and untied in another have the same names behind it."""
    config = stage.config
    base = config.base_model.label if config.base_model else None
    donor = base or next(iter(sources))
    choice = tokenizer_choice(None, tokenizer_of(config))
    return align(sources, choice, donor=donor, base=base, chat_template=config.chat_template)


def _source(label: str, stage: Stage, made: Mapping[str, Assembly]) -> Source:
    """An opened model, or the result of an earlier stage under its name."""
    if label not in stage.after:
        try:
            return open_source(label, stage.references[label].text)
        except InputError as wrong:
            if label not in [r.label for r in tokenizer_models(stage.config)]:
                raise
            raise RecipeError(
                f"the tokenizer's source {label!r} is neither union nor base nor a model: {wrong.message}",
                remedy="choose union, base, or a model of the merge",
            ) from None
    assembly = made[label]
    known = manifests.digest(assembly.manifest())
    return Source(label, label, assembly.tensors, assembly.sidecar, known, assembly.checkpoints)


def config_models(path: str | Path) -> tuple[str, ...]:
    """Every MODEL string that a config names, in all of its stages."""
    stages = read_config(path)
    found = [r.text for s in stages for label, r in s.references.items() if label not in s.after]
    return tuple(dict.fromkeys(found))
