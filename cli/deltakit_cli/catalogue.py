"""Everything that has a name: the registries, the tasks, the recipes; listed and explained."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

from deltakit.errors import RecipeError
from deltakit.registry import Registry, did_you_mean
from deltakit_cli.tasks import about_task, listed_tasks

__all__ = ["KINDS", "explained", "listing", "recipes_folder"]

_REGISTRIES = {
    "methods": "deltakit.merge:METHODS",
    "primitives": "deltakit.sparsify:TRANSFORMS",
    "posts": "deltakit.merge:POSTS",
    "codecs": "deltakit.compress.codec:CODECS",
    "choosers": "deltakit.compress.plan.choice:CHOOSERS",
    "modes": "deltakit.generate.modes:MODES",
    "scorers": "deltakit.generate.scorers:SCORERS",
}


def recipes_folder() -> Path:
    """The shipped recipes if the package has them, else the checkout's."""
    import deltakit

    here = Path(deltakit.__file__).resolve().parent
    shipped = here / "recipes"
    return shipped if shipped.is_dir() else here.parent.parent / "recipes"


def _registry(kind: str) -> Registry:
    module, _, name = _REGISTRIES[kind].partition(":")
    found: Registry = getattr(importlib.import_module(module), name)
    return found


def _registered(kind: str) -> list[dict[str, str]]:
    registry = _registry(kind)
    return [{"name": n, "summary": registry.summary(n)} for n in registry.names()]


def _recipes() -> list[dict[str, str]]:
    folder = recipes_folder()
    found = {p.relative_to(folder).with_suffix("").as_posix(): p for p in folder.rglob("*.yaml")}
    return [{"name": name, "summary": _about(found[name])} for name in sorted(found)]


def _about(path: Path) -> str:
    """The first comment of a YAML file that is not a command."""
    lines = [line.lstrip("# ").strip() for line in path.read_text().splitlines() if line.startswith("#")]
    return next((line for line in lines if line and "deltakit " not in line), "")


KINDS: dict[str, Callable[[], list[dict[str, Any]]]] = {
    "methods": lambda: _registered("methods"),
    "primitives": lambda: _registered("primitives"),
    "posts": lambda: _registered("posts"),
    "codecs": lambda: sorted(_registered("codecs") + _registered("choosers"), key=lambda item: item["name"]),
    "modes": lambda: _registered("modes"),
    "scorers": lambda: _registered("scorers"),
    "tasks": listed_tasks,
    "recipes": _recipes,
}


def listing(kind: str) -> list[dict[str, Any]]:
    """Names and one-line summaries of one kind, sorted; of tasks also how they can be asked."""
    return KINDS[kind]()


def explained(name: str) -> dict[str, Any]:
    """Docstring and parameters of whatever has that name, of a task ("gsm8k:cot8") a prompt too.

    RecipeError with a suggestion if nothing has it.
    """
    for kind in _REGISTRIES:
        registry = _registry(kind)
        if name in registry.names():
            about = _about_method(name) if kind == "methods" else {}
            return {"name": name, "kind": registry.kind, **_about_factory(registry, name), **about}
    task = about_task(name)
    if task is not None:
        return task
    others = {i["name"]: (kind, i["summary"]) for kind in ("tasks", "recipes") for i in listing(kind)}
    if name in others:
        kind, text = others[name]
        return {"name": name, "kind": kind.removesuffix("s"), "text": text, "parameters": []}
    known = [n for kind in _REGISTRIES for n in _registry(kind).names()]
    raise RecipeError(f"nothing is called {name!r}", remedy=did_you_mean(name, [*known, *others]))


def _about_method(name: str) -> dict[str, Any]:
    """What a method needs and costs, and what it is called and does in mergekit's dialect."""
    from deltakit.merge import MERGEKIT
    from deltakit.merge.plan.cost import cost_of, sample, traits_of

    registry = _registry("methods")
    reads = cost_of(name)
    facts = traits_of(registry.make(name, **sample(registry, name)))
    facts["reads"] = "a model is run over the text" if reads is None else f"every byte of a model {reads:.3g} time(s)"
    if name in MERGEKIT.names():
        other = MERGEKIT.factory(name)
        same = other is registry.factory(name)
        facts["mergekit"] = "the same arithmetic" if same else (inspect.getdoc(other) or "")
    return {"facts": facts}


def _about_factory(registry: Registry, name: str) -> dict[str, Any]:
    factory = registry.factory(name)
    parameters = [
        {
            "name": p.name,
            "type": p.annotation if isinstance(p.annotation, str) else getattr(p.annotation, "__name__", ""),
            "default": "required" if p.default is p.empty else repr(p.default),
        }
        for p in registry.parameters(name).values()
    ]
    return {"text": inspect.getdoc(factory) or "", "parameters": parameters}
