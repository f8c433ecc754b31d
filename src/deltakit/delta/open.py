"""The one opener of every MODEL string: a path, a hub id, a recipe, or an expression "BASE + 0.6*MATH + 0.4*CHAT"."""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Hashable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

from deltakit.checkpoint.dequantised import open_floats
from deltakit.checkpoint.fingerprint import fingerprint
from deltakit.checkpoint.open import Checkpoint, open_checkpoint
from deltakit.checkpoint.sidecar import Sidecar
from deltakit.delta.adapter import adapter_delta, is_adapter, open_adapter
from deltakit.delta.applied import Applied
from deltakit.delta.difference import difference
from deltakit.delta.expression import Delta, Entries, add, check_base, scale
from deltakit.delta.file.container import is_delta, open_archive, open_delta
from deltakit.errors import CheckpointError, InputError, MismatchError, RecipeError
from deltakit.tensors import TensorMap

__all__ = [
    "RECIPE_MODELS",
    "RECIPE_OPENER",
    "Model",
    "Operand",
    "Shared",
    "local_paths",
    "open_as_delta",
    "open_model",
    "parse_expression",
    "sources_of",
]

# Rooms above this one open what lies above it: a path to a Model, and a path to the MODEL strings within.
RECIPE_OPENER = "deltakit.merge.open:open_recipe"
RECIPE_MODELS = "deltakit.merge.open:recipe_models"

Shared: TypeAlias = dict[Hashable, Any]  # opened bases and deltas
_OPERATOR = re.compile(r"\s+([+-])(?:\s+|$)")
_SCALED = re.compile(r"^(?P<coef>[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*\*\s*(?P<name>\S.*)$")
_NESTED = 8  # stored expressions within each other
_SPACES = 'write "BASE + 0.6*DELTA", with spaces around + and -'


@dataclass(frozen=True)
class Operand:
    """coef * name in an expression."""

    coef: float
    name: str


@dataclass(frozen=True)
class Model:
    """What a MODEL string names: tensors and the files beside them; where it is a sum over a base, its parts."""

    tensors: TensorMap
    sidecar: Sidecar
    source: str
    base: Checkpoint | None = None
    delta: Delta | None = None


def parse_expression(text: str) -> tuple[str, tuple[Operand, ...]]:
    """("BASE", operands) of "BASE + c*D - E"; operators stand between spaces, so that paths may hold + and -."""
    if Path(text).exists():
        return text, ()
    first, *rest = _OPERATOR.split(text)
    operands = tuple(_operand(sign, name, text) for sign, name in zip(rest[::2], rest[1::2], strict=True))
    if not first.strip() or _SCALED.match(first):
        raise RecipeError(f"{text!r}: an expression begins with its base", remedy='write "BASE + 0.6*DELTA"')
    if "*" in first and not Path(first.strip()).exists():
        raise RecipeError(f"{text!r}: cannot read {first!r}", remedy=_SPACES)
    return first.strip(), operands


def _operand(sign: str, text: str, whole: str) -> Operand:
    found = _SCALED.match(text.strip())
    if not text.strip() or (not found and "*" in text):
        raise RecipeError(f"{whole!r}: cannot read {text!r}", remedy=_SPACES)
    coef, name = (float(found["coef"]), found["name"]) if found else (1.0, text.strip())
    return Operand(-coef if sign == "-" else coef, name)


def local_paths(text: str, _seen: tuple[str, ...] = ()) -> tuple[Path, ...]:
    """The local files and folders that a MODEL string names, also within stored sums and recipes: an output lies apart
    from all of them."""
    first, operands = parse_expression(text)
    found = [Path(n) for n in (first, *(o.name for o in operands)) if Path(n).exists()]
    inner = [source for p in found if is_delta(p) for source in sources_of(p)]
    inner += [m for p in found if _is_recipe(p) for m in _room(RECIPE_MODELS)(p)]
    deeper = [q for m in inner if m not in _seen for q in local_paths(m, (*_seen, text))]
    return (*found, *deeper)


def sources_of(path: Path) -> tuple[str, ...]:
    """The MODEL strings of a stored expression, in its order; of other delta files none."""
    return tuple(_beside(path, str(item["of"])) for item in open_archive(path).index.get("sum", ()))


def _beside(path: Path, name: str) -> str:
    """A source as it lies from a stored expression's own folder, else as it is called."""
    local = path.parent / name
    return str(local) if local.exists() else name


def open_model(text: str, *, dequantise: bool = False, shared: Shared | None = None) -> Model:
    """Open whatever a MODEL string names; weights stay on disk until something reads them. With `dequantise` quantised
    checkpoints count as the floats that they stand for, where that can be (else they are refused).

    `shared` keeps the operands of sums from call to call: thirty sums over two deltas open each once, and their terms
    are the same objects. A file that has changed is opened anew.
    """
    first, operands = parse_expression(text)
    path = Path(first)
    if not operands:
        return _alone(text, path, dequantise)
    if path.suffix in (".yaml", ".yml") or is_delta(path) or is_adapter(path):
        raise RecipeError(f"{text!r}: {first!r} is no checkpoint", remedy="an expression begins with a base checkpoint")
    shared = {} if shared is None else shared
    base = _shared_base(first, shared)
    deltas = [scale(_shared_delta(o.name, base, dequantise, shared), o.coef) for o in operands]
    return applied(base, add(deltas), text)


def _shared_base(name: str, shared: Shared) -> Checkpoint:
    """A sum over codes can only mean the numbers that they stand for."""
    key = ("base", name, _state(name))
    if key not in shared:
        shared[key] = open_floats(name)
    found: Checkpoint = shared[key]
    return found


def _shared_delta(name: str, base: Checkpoint, dequantise: bool, shared: Shared) -> Delta:
    """An operand whose terms are made once and bound to this base."""
    key = ("delta", name, id(base), dequantise, _state(name))  # the base is held by the same map
    if key not in shared:
        delta = open_as_delta(name, base, dequantise=dequantise).bind(base)
        shared[key] = replace(delta, entries=Entries(delta.specs, delta.entries.__getitem__))
    found: Delta = shared[key]
    return found


def _state(name: str) -> tuple[tuple[str, int, int], ...]:
    """Size and time of every file behind a name: a changed one is opened anew."""
    tops = {path.resolve() for path in local_paths(name)}
    files = sorted({path for top in tops for path in (top, *(top.iterdir() if top.is_dir() else ()))})
    return tuple((str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in files)


def applied(base: Checkpoint, delta: Delta, source: str) -> Model:
    """base + delta as a model."""
    tensors = Applied(base, delta)
    return Model(tensors, tensors.sidecar, source, base, tensors.delta)


def open_as_delta(text: str, base: Checkpoint, *, dequantise: bool = False, _inside: tuple[Path, ...] = ()) -> Delta:
    """An operand of an expression over `base`: a checkpoint means its difference from the base; deltas and adapters are
    themselves. Bound to the base."""
    path = Path(text)
    if is_delta(path):
        return _stored(path, base, dequantise, _inside)
    if path.is_dir() and is_adapter(path):
        return adapter_delta(open_adapter(path), base)
    if _is_recipe(path):
        return difference(base, _opener()(path).tensors)
    return difference(base, _opened(text, dequantise))


def _opened(text: str, dequantise: bool) -> Checkpoint:
    return open_floats(text) if dequantise else open_checkpoint(text)


def _alone(text: str, path: Path, dequantise: bool) -> Model:
    if _is_recipe(path):
        return _opener()(path)
    if is_delta(path) or (path.is_dir() and is_adapter(path)):
        raise MismatchError(f"{text!r} is a delta, which alone is no model", remedy=f'write "BASE + {text}"')
    checkpoint = _opened(text, dequantise)
    return Model(checkpoint, checkpoint.sidecar, text)


def _stored(path: Path, base: Checkpoint, dequantise: bool, inside: tuple[Path, ...]) -> Delta:
    """A delta file over its base; a stored expression opens the sources it names, relative to its own folder. `inside`
    are the expressions that it stands in."""
    archive = open_archive(path)
    if "sum" not in archive.index:
        delta = open_delta(path)
        check_base(delta, fingerprint(base), base.source)
        return delta.bind(base)
    if path.resolve() in inside or len(inside) >= _NESTED:
        where = "leads back to itself" if path.resolve() in inside else f"is nested deeper than {_NESTED}"
        raise CheckpointError(f"the stored expression {path} {where}", remedy="write the expression again")
    parts = [_source(path, item, base, dequantise, (*inside, path.resolve())) for item in archive.index["sum"]]
    return add(parts)


def _source(path: Path, item: dict[str, object], base: Checkpoint, dequantise: bool, inside: tuple[Path, ...]) -> Delta:
    name = str(item["of"])
    try:
        delta = open_as_delta(_beside(path, name), base, dequantise=dequantise, _inside=inside)
    except InputError as wrong:
        raise type(wrong)(f"{path}: its source {name!r}: {wrong.message}", remedy=wrong.remedy) from wrong
    if item.get("tuned") not in (None, delta.lineage.tuned):
        raise MismatchError(
            f"{path}: its source {name!r} has changed (it is {delta.lineage.tuned}, not {item['tuned']})",
            remedy="write the expression again",
        )
    return scale(delta, float(str(item["coef"])))


def _is_recipe(path: Path) -> bool:
    return path.suffix in (".yaml", ".yml") and path.is_file()


def _opener() -> Callable[[Path], Model]:
    return _room(RECIPE_OPENER)


def _room(target: str) -> Callable[[Path], Any]:
    """A function of a room above this one."""
    module, _, name = target.partition(":")
    found: Callable[[Path], Any] = getattr(importlib.import_module(module), name)
    return found
