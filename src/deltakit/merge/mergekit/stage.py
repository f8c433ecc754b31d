"""Config files into stages: one merge each, those that others read first, with every problem of the file at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pydantic

from deltakit.errors import RecipeError
from deltakit.merge.mergekit.document import parse_documents
from deltakit.merge.mergekit.reference import Reference
from deltakit.merge.mergekit.schema import Config, Module, Slice, unknown_keys
from deltakit.recipe.document import Document
from deltakit.recipe.explain import explain
from deltakit.recipe.load import read_text, refuse

__all__ = ["Stage", "parse_config", "read_config", "tokenizer_models"]


@dataclass(frozen=True)
class Stage:
    """One merge of a config. `name` is "" for the document that has none; `document` is the data as read; `references`
    maps labels to models in the order of the config; `after` are those labels that are other stages' names; `notes`
    are what was read but has no meaning."""

    name: str
    config: Config
    document: Mapping[str, Any]
    references: Mapping[str, Reference]
    after: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def read_config(path: str | Path) -> tuple[Stage, ...]:
    """The stages of a mergekit config, each behind those that it reads; the last one is the result.

    Raises InputError for a file that cannot be read and RecipeError for what it says, all problems in one error.
    """
    return parse_config(read_text(Path(path)), str(path))


def parse_config(text: str, source: str = "config") -> tuple[Stage, ...]:
    """The same from text; `source` names it in errors."""
    documents = parse_documents(text)
    configs = [_config(document) for document in documents]
    problems = Document(problems=[p for d in documents for p in d.problems])
    refuse(problems, source)
    made = [c for c in configs if c is not None]
    names = [c.name for c in made if c.name]
    _check_names(made, names, source)
    stages = [_stage(c, d, names, source) for c, d in zip(made, documents, strict=True)]
    return _in_order(stages, source)


def _config(document: Document) -> Config | None:
    if not isinstance(document.data, dict):
        where = document.places.get((), "line 1")
        document.problems.append(f"{where}: a config is a mapping of keys to values; start with merge_method:")
        return None
    try:
        return Config.model_validate(document.data)
    except pydantic.ValidationError as wrong:
        document.problems.extend(explain(wrong, Config, document.data, document))
        return None


def _check_names(configs: list[Config], names: list[str], source: str) -> None:
    twice = sorted({n for n in names if names.count(n) > 1})
    if twice:
        raise RecipeError(f"{source}: two documents are named {', '.join(map(repr, twice))}", remedy="rename one")
    if len(configs) - len(names) > 1:
        raise RecipeError(
            f"{source}: {len(configs) - len(names)} documents have no name",
            remedy="name all but the one that is the result",
        )


def _stage(config: Config, document: Document, names: list[str], source: str) -> Stage:
    references = {r.label: r for r in _references(config)}
    after = tuple(label for label, r in references.items() if r.model in names and r.model != config.name)
    adapted = [label for label in after if references[label].lora]
    if adapted:
        raise RecipeError(
            f"{source}: {adapted[0]!r}: an adapter over another document's result",
            remedy="write that result first, and name its folder",
        )
    notes = tuple(_ignored(config, document))
    return Stage(config.name or "", config, document.data, references, after, notes)


def _ignored(config: Config, document: Document) -> Iterator[str]:
    for path, remedy in unknown_keys(config):
        meant = f"; {remedy}" if remedy.startswith("did you mean") else ""
        spelled = ".".join(map(str, path))
        yield f"{document.place(path)}: unknown key {spelled!r} is ignored, as mergekit does{meant}"
    if any(r.override for r in _references(config)):
        yield "override_architecture is ignored: names and shapes decide"


def _references(config: Config) -> Iterator[Reference]:
    """Every model that a config names, in its order; the base first."""
    if config.base_model:
        yield config.base_model
    parts: list[Config | Module] = [config, *(config.modules or {}).values()]
    for part in parts:
        yield from (entry.model for entry in part.models or ())
        for piece in part.slices or ():
            yield from _of_slice(piece)
    yield from tokenizer_models(config)


def _of_slice(piece: Slice) -> Iterator[Reference]:
    if piece.base_model:
        yield piece.base_model
    yield from (s.model for s in piece.sources)


def tokenizer_models(config: Config) -> Iterator[Reference]:
    """The models that the choice of a tokenizer names."""
    sources = [config.tokenizer_source]
    if config.tokenizer:
        sources += [config.tokenizer.source, *(t.source for t in (config.tokenizer.tokens or {}).values())]
    for source in sources:
        found = source.get("model") if isinstance(source, dict) else source
        if isinstance(found, Reference):
            yield found


def _in_order(stages: list[Stage], source: str) -> tuple[Stage, ...]:
    """Each behind those that it reads, else as in the file; the unnamed one last, else the last that none reads."""
    done: dict[str, Stage] = {}
    waiting = sorted(stages, key=lambda s: not s.name)
    while waiting:
        ready = next((s for s in waiting if all(n in done for n in s.after)), None)
        if ready is None:
            circle = ", ".join(repr(s.name) for s in waiting)
            raise RecipeError(f"{source}: documents read each other in a circle: {circle}", remedy="break the circle")
        waiting.remove(ready)
        done[ready.name] = ready
    waiting = list(done.values())
    result = next((s for s in waiting if not s.name), None) or _last_unread(waiting)
    needed = _needed(result, done)
    return tuple(s for s in waiting if s.name in needed and s is not result) + (result,)


def _last_unread(stages: list[Stage]) -> Stage:
    read = {name for s in stages for name in s.after}
    return [s for s in stages if s.name not in read][-1]


def _needed(result: Stage, stages: Mapping[str, Stage]) -> set[str]:
    found, waiting = set[str](), [result.name]
    while waiting:
        name = waiting.pop()
        found.add(name)
        waiting += [n for n in stages[name].after if n not in found]
    return found
