"""What a model is, by the bytes of every file that it is made of: the key under which its answers are remembered."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from deltakit.checkpoint import checksum, open_checkpoint
from deltakit.checkpoint.checksum import Checksum
from deltakit.delta.adapter import is_adapter
from deltakit.delta.file.container import is_delta
from deltakit.delta.open import Model, parse_expression, sources_of
from deltakit.manifest import digest
from deltakit.merge.plan.request import plan_file, request_models

__all__ = ["identity"]

_SUFFIXES = (".yaml", ".yml")
_CHUNK = 1 << 24


def identity(model: Model) -> str:
    """ "sha256:...": same files combined in the same way, same identity, wherever they lie; another byte anywhere
    (weights, config, tokenizer, chat template, a recipe's text or what it looks at), another identity."""
    beside = [[name, checksum(raw)] for name, raw in sorted(model.sidecar.files.items())]
    return digest([_parts(model.source), beside])


def _parts(text: str) -> list[Any]:
    """The coefficient and the files of every name of an expression."""
    first, operands = parse_expression(text)
    return [[1.0, *_files(first)], *([o.coef, *_files(o.name)] for o in operands)]


def _files(name: str) -> list[Any]:
    """(what it is called within its folder, checksum) of every file of weights behind one name, and the parts of what
    it names in turn, on the disk or on the hub."""
    path = Path(name)
    if path.suffix in _SUFFIXES and path.is_file():  # the plan knows what else decides it: calibration texts
        planned = digest(plan_file(path).manifest())
        return [_entry(path), planned, *map(_parts, request_models(path))]
    if is_delta(path):
        return [_entry(path), *map(_parts, sources_of(path))]
    if path.is_dir() and is_adapter(path):
        return [_entry(p) for p in sorted(path.iterdir()) if p.name.startswith("adapter_") and p.is_file()]
    shards = {shard.path for shard in open_checkpoint(name).shards.values()}
    return [_entry(shard) for shard in sorted(shards)]


def _entry(path: Path) -> list[str]:
    state = path.stat()
    return [path.name, _checksum(path.resolve(), state.st_size, state.st_mtime_ns)]


@cache
def _checksum(path: Path, size: int, changed: int) -> str:
    """Of all bytes of a file; read once a run however many models it is part of, unless it changes."""
    state = Checksum()
    with path.open("rb") as file:
        while raw := file.read(_CHUNK):
            state.update(raw)
    return state.text
