"""mergekit's configs as text: YAML as its users write it, with anchors, merge keys and several documents.

Scalars follow the core schema of YAML 1.2, as in our own recipes (1e-4 is a number). Aliases are written out up to a
cap; tags are refused, since nothing but plain data is ever made of a config.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import yaml

from deltakit.recipe.document import Document, Path, resolve_scalar

__all__ = ["MAX_DEPTH", "MAX_DOCUMENTS", "MAX_VALUES", "parse_documents"]

MAX_DEPTH = 50
MAX_DOCUMENTS = 100
MAX_VALUES = 100_000  # of one file, with its aliases written out

_CORE = ("tag:yaml.org,2002:str", "tag:yaml.org,2002:seq", "tag:yaml.org,2002:map")


class _TooMuch(Exception):
    """Ends the reading of a file that grows or nests without end."""


def parse_documents(text: str) -> tuple[Document, ...]:
    """Every document of the text that holds anything. Problems are collected in the document where they are; where the
    syntax breaks, reading ends with that problem."""
    found: list[Document] = []
    try:
        _check_nesting(text)
        reader = _Reader()
        for node in _roots(text):
            document = Document()
            found.append(document)
            document.data = reader.value(node, (), document, ())
    except _TooMuch as much:
        _last(found).problems.append(str(much))
    except yaml.YAMLError as wrong:
        _last(found).problems.append(_syntax(text, wrong))
    return tuple(d for d in found if d.data is not None or d.problems) or (Document(),)


def _last(found: list[Document]) -> Document:
    if not found:
        found.append(Document())
    return found[-1]


def _check_nesting(text: str) -> None:
    """Before any tree is built, so that depth cannot exhaust the stack."""
    depth = documents = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        documents += isinstance(event, yaml.DocumentStartEvent)
        if depth > MAX_DEPTH:
            raise _TooMuch(f"{_line(event)}: nested deeper than {MAX_DEPTH} levels")
        if documents > MAX_DOCUMENTS:
            raise _TooMuch(f"{_line(event)}: more than {MAX_DOCUMENTS} documents")


def _roots(text: str) -> Iterator[yaml.Node]:
    """The tree of each document; an explicit tag is kept, all else is resolved by us."""
    for node in yaml.compose_all(text, Loader=yaml.BaseLoader):
        if node is not None:
            yield node


def _syntax(text: str, error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    if mark:
        where = f"line {mark.line + 1}, column {mark.column + 1}"
    else:  # a character that YAML does not allow: its reader tells only the position
        where = f"line {text.count(chr(10), 0, getattr(error, 'position', 0)) + 1}"
    return f"{where}: not valid YAML: {getattr(error, 'problem', None) or getattr(error, 'reason', None) or error}"


def _line(at: Any) -> str:
    return f"line {at.start_mark.line + 1}" if at.start_mark else "line 1"


class _Reader:
    """Trees into plain data. An alias is its anchor's tree once more, so what counts is the values written out."""

    def __init__(self) -> None:
        self.values = 0

    def value(self, node: yaml.Node, path: Path, out: Document, above: tuple[yaml.Node, ...]) -> Any:
        out.places[path] = _line(node)
        self.values += 1
        if self.values > MAX_VALUES:
            raise _TooMuch(f"{_line(node)}: more than {MAX_VALUES} values with the aliases written out")
        if any(node is a for a in above) or len(above) > MAX_DEPTH:
            raise _TooMuch(f"{_line(node)}: an alias within its own anchor, or nested deeper than {MAX_DEPTH} levels")
        if node.tag not in _CORE:
            out.problems.append(f"{_line(node)}: tag {node.tag!r}: tags are not allowed")
        if isinstance(node, yaml.ScalarNode):
            return _scalar(node, out)
        if isinstance(node, yaml.SequenceNode):
            return [self.value(item, (*path, i), out, (*above, node)) for i, item in enumerate(node.value)]
        assert isinstance(node, yaml.MappingNode)
        return self.mapping(node, path, out, (*above, node))

    def mapping(self, node: yaml.MappingNode, path: Path, out: Document, above: tuple[yaml.Node, ...]) -> Any:
        """Keys of a merge key `<<` give way to the mapping's own."""
        own: dict[str, Any] = {}
        merged: dict[str, Any] = {}
        for key, value in node.value:
            name = key.value if isinstance(key, yaml.ScalarNode) else None
            if name is None:
                out.problems.append(f"{_line(key)}: a key must be a plain word")
            elif name == "<<" and key.style is None:
                self.merge(value, merged, path, out, above)
            elif name in own:
                out.problems.append(f"{_line(key)}: duplicate key {name!r}, first at {out.places[(*path, name)]}")
            else:
                own[name] = self.value(value, (*path, name), out, above)
                out.places[(*path, name)] = _line(key)
        return {**merged, **own}

    def merge(
        self, node: yaml.Node, into: dict[str, Any], path: Path, out: Document, above: tuple[yaml.Node, ...]
    ) -> None:
        """The first of several mappings wins."""
        for item in node.value if isinstance(node, yaml.SequenceNode) else [node]:
            if not isinstance(item, yaml.MappingNode):
                out.problems.append(f"{_line(item)}: merge key <<: needs a mapping, such as an alias of one")
                continue
            for key, value in self.value(item, (*path, "<<"), out, above).items():
                into.setdefault(key, value)


def _scalar(node: yaml.ScalarNode, out: Document) -> Any:
    if node.style is not None:  # quoted or block: always a string
        return node.value
    try:
        return resolve_scalar(node.value)
    except ValueError as wrong:
        out.problems.append(f"{_line(node)}: {wrong}")
        return None
