"""The operands of a comparison: result files, single models of them, folders of lm-eval."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from deltakit.checkpoint.strict_json import parse_json
from deltakit.errors import InputError, RecipeError
from deltakit.registry import did_you_mean
from deltakit.report.paired.item import Run
from deltakit.report.paired.ours import read_ours
from deltakit.report.paired.theirs import latest_results, read_theirs

__all__ = ["read_runs", "together"]

_KINDS = "give results of `deltakit eval -o`, FILE#MODEL for one model of them, or a folder that lm-eval wrote"


def read_runs(operands: Sequence[str]) -> list[Run]:
    """All models of all operands, in order, under names that differ.

    A model whose tasks lie in two files is one run if both measured the same bytes; models of one name that overlap
    are told apart by their files. InputError for files, RecipeError for a model that a file does not have.
    """
    found: list[Run] = []
    for operand in operands:
        found += [run for run in _of(operand) if run not in found]
    runs = together(found)
    if runs and not any(run.tasks for run in runs):
        problem = f"{', '.join(dict.fromkeys(r.where for r in runs))}: results without samples"
        remedy = "items are paired one by one: give the file of `deltakit eval -o`, not what it printed"
        raise InputError(problem, remedy=remedy)
    return runs


def together(runs: Sequence[Run]) -> list[Run]:
    """One run a model where its tasks lie in several files; names that differ, by their files if need be."""
    return _apart(_joined(runs))


def _of(operand: str) -> list[Run]:
    path, wanted = _split(operand)
    runs = _read(path)
    if wanted is None:
        return runs
    names = [run.name for run in runs]
    if wanted not in names:
        raise RecipeError(f"{path}: no model {wanted!r} in it", remedy=did_you_mean(wanted, names))
    return [run for run in runs if run.name == wanted]


def _split(operand: str) -> tuple[Path, str | None]:
    """FILE#MODEL; a "#" in the name of an existing file is part of it."""
    path, cut = Path(operand), len(operand)
    while not path.exists() and "#" in operand[:cut]:
        cut = operand.rindex("#", 0, cut)
        path = Path(operand[:cut])
    if path.exists():
        return path, operand[cut + 1 :] if cut < len(operand) else None
    return Path(operand.partition("#")[0]), None


def _read(path: Path) -> list[Run]:
    if path.is_dir():
        files, notes = latest_results(path)
        runs = [run for file in files for run in _read(file)]
        return [replace(runs[0], notes=(*notes, *runs[0].notes)), *runs[1:]]
    try:
        found = parse_json(path.read_bytes(), str(path))
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}", remedy=_KINDS) from None
    if isinstance(found, dict) and isinstance(found.get("models"), list):
        return read_ours(found, str(path))
    if isinstance(found, dict) and isinstance(found.get("results"), dict) and "configs" in found:
        return [read_theirs(found, path)]
    if isinstance(found, dict) and isinstance(found.get("candidates"), list):
        remedy = "`deltakit sweep` has compared its candidates itself; evaluate the winner to compare it here"
        raise InputError(f"{path}: a sweep, no result of an evaluation", remedy=remedy)
    raise InputError(f"{path}: no result of an evaluation", remedy=_KINDS)


def _joined(runs: Iterable[Run]) -> list[Run]:
    """Runs of one name, the same weights and different tasks become one."""
    out: list[Run] = []
    for run in runs:
        for i, other in enumerate(out):
            same = other.name == run.name and other.content and other.content == run.content
            if same and other.conditions == run.conditions and not other.tasks.keys() & run.tasks.keys():
                tasks, labels = {**other.tasks, **run.tasks}, {**other.labels, **run.labels}
                out[i] = replace(other, tasks=tasks, labels=labels, notes=other.notes + run.notes)
                break
        else:
            out.append(run)
    return out


def _apart(runs: Sequence[Run]) -> list[Run]:
    counts = Counter(run.name for run in runs)
    named = [replace(r, name=f"{r.name} ({r.where})") if counts[r.name] > 1 else r for r in runs]
    seen: Counter[str] = Counter()
    out = []
    for run in named:
        seen[run.name] += 1
        out.append(replace(run, name=f"{run.name} [{seen[run.name]}]") if seen[run.name] > 1 else run)
    return out
