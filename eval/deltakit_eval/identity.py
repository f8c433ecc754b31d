"""What a model is, by the bytes of every file that it is made of: the key under which its answers are remembered."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from deltakit.checkpoint import checksum, open_checkpoint
from deltakit.checkpoint.checksum import Checksum
from deltakit.delta.adapter import is_adapter
from deltakit.delta.file.container import is_delta
from deltakit.delta.open import Model, local_paths, parse_expression
from deltakit.manifest import digest

__all__ = ["identity"]

_SUFFIXES = (".yaml", ".yml")
_CHUNK = 1 << 24


def identity(model: Model) -> str:
    """ "sha256:...": same files combined in the same way, same identity, wherever they lie; another byte anywhere
    (weights, config, tokenizer, chat template, a recipe's text), another identity."""
    first, operands = parse_expression(model.source)
    parts = [[1.0, *_files(first)], *([o.coef, *_files(o.name)] for o in operands)]
    beside = [[name, checksum(raw)] for name, raw in sorted(model.sidecar.files.items())]
    return digest([parts, beside])


def _files(name: str) -> list[list[str]]:
    """(what it is called within its folder, checksum) of every file of weights behind one name of an expression."""
    path = Path(name)
    if is_delta(path) or (path.suffix in _SUFFIXES and path.is_file()):
        inner = [p for p in local_paths(name) if p.resolve() != path.resolve()]
        return [_entry(path), *(entry for p in inner for entry in _files(str(p)))]
    if path.is_dir() and is_adapter(path):
        return [_entry(p) for p in sorted(path.iterdir()) if p.name.startswith("adapter_")]
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
