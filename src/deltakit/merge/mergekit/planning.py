"""A mergekit config as a merge that is ready to be pulled: stage by stage, the earlier ones as lazy models."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from deltakit import manifest as manifests
from deltakit.merge.allowances import Allowances
from deltakit.merge.assemble import Assembly, assemble
from deltakit.merge.mergekit.resolution import blueprint
from deltakit.merge.mergekit.stage import Stage, read_config
from deltakit.merge.source import Source, open_source

__all__ = ["config_models", "plan_config"]


def plan_config(
    path: str | Path, *, dialect: str = "mergekit", seed: int = 42, allow: Allowances | None = None
) -> Assembly:
    """The merge that a config describes; only headers and some MB of samples are read. No stage is written on the way:
    a later one reads it range by range. Raises RecipeError, InputError and MismatchError."""
    made: dict[str, Assembly] = {}
    for stage in read_config(path):
        sources = {label: _source(label, stage, made) for label in stage.references}
        plan = blueprint(stage, sources, dialect=dialect, seed=seed)
        made[stage.name] = assemble(plan, sources, stage.document, allow or Allowances())
    return made[stage.name]


def _source(label: str, stage: Stage, made: Mapping[str, Assembly]) -> Source:
    """An opened model, or the result of an earlier stage under its name."""
    if label not in stage.after:
        return open_source(label, stage.references[label].text)
    assembly = made[label]
    known = manifests.digest(assembly.manifest())
    return Source(label, label, assembly.tensors, assembly.sidecar, known, assembly.checkpoints)


def config_models(path: str | Path) -> tuple[str, ...]:
    """Every MODEL string that a config names, in all of its stages."""
    stages = read_config(path)
    found = [r.text for s in stages for label, r in s.references.items() if label not in s.after]
    return tuple(dict.fromkeys(found))
