"""The files a report is made of, told apart by what they hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from deltakit.checkpoint.strict_json import parse_json
from deltakit.errors import InputError
from deltakit.report.comparison import Comparison, read_comparison
from deltakit.report.curve import Curve, read_curve
from deltakit.report.paired.item import Run
from deltakit.report.paired.operands import together
from deltakit.report.paired.ours import read_ours
from deltakit.report.results import Row, read_results
from deltakit.report.sweep import is_sweep, read_sweep
from deltakit.report.vectors import TaskVectors, read_vectors

__all__ = ["Sources", "read_diffs", "read_sources"]


@dataclass(frozen=True)
class Sources:
    """Everything a report may show. `measured`: per result file its tasks, settings and versions; `runs`: the models
    whose results hold samples, to be compared item by item."""

    rows: tuple[Row, ...] = ()
    comparisons: tuple[Comparison, ...] = ()
    vectors: tuple[TaskVectors, ...] = ()
    spectra: tuple[tuple[Mapping[str, Any], ...], ...] = ()
    curves: tuple[Curve, ...] = ()
    measured: tuple[Mapping[str, Any], ...] = ()
    runs: tuple[Run, ...] = ()
    sweeps: tuple[Mapping[str, Any], ...] = ()


def read_sources(paths: Sequence[str | Path]) -> Sources:
    """Results of `deltakit eval -o`, output of `deltakit diff --format json`, results or folders of `deltakit sweep`,
    loss files or folders of `deltakit sft`.

    InputError for a file that is none of these; it names them all.
    """
    results: list[Path] = []
    diffs: list[tuple[Mapping[str, Any], str]] = []
    curves: list[Curve] = []
    measured: list[Mapping[str, Any]] = []
    runs: list[Run] = []
    sweeps: list[Mapping[str, Any]] = []
    for path in map(Path, paths):
        path = path / "sweep.json" if (path / "sweep.json").is_file() else path
        if path.is_dir() or path.suffix == ".jsonl":
            curves.append(read_curve(path))
            continue
        found = _parsed(path)
        if "models" in found:
            results.append(path)
            runs += read_ours(found, str(path))
            measured.append({key: found.get(key, {}) for key in ("tasks", "settings", "versions")})
        elif "tensors" in found and "summary" in found:
            diffs.append((found, str(path)))
        elif is_sweep(found):
            sweeps.append(read_sweep(found, str(path)))
        else:
            raise InputError(f"{path}: nothing that a report can show", remedy=_KINDS)
    rows, sampled = tuple(read_results(results)), tuple(run for run in together(runs) if run.tasks)
    return replace(
        read_diffs(diffs), rows=rows, curves=tuple(curves), measured=tuple(measured), runs=sampled, sweeps=tuple(sweeps)
    )


def read_diffs(diffs: Sequence[tuple[Mapping[str, Any], str]]) -> Sources:
    """What `deltakit diff` found, each with its place for messages: norms, task vectors over a base, spectra."""
    comparisons: list[Comparison] = []
    vectors: list[TaskVectors] = []
    for found, where in diffs:
        if "vectors" not in found:
            comparisons.append(read_comparison(found, where))
            continue
        try:
            vectors.append(read_vectors(found["vectors"], str(found["against"])))
            comparisons += vectors[-1].norms()
        except (KeyError, TypeError, ValueError) as wrong:
            problem = f"{where}: no comparison ({type(wrong).__name__}: {wrong})"
            raise InputError(problem, remedy="give what `deltakit diff --format json` prints") from None
    spectra = tuple(tuple(found["spectra"]) for found, _ in diffs if found.get("spectra"))
    return Sources(comparisons=tuple(comparisons), vectors=tuple(vectors), spectra=spectra)


_KINDS = (
    "give results of `deltakit eval -o` or `deltakit sweep -o`, output of `deltakit diff --format json`, or the folder "
    "of `deltakit sft`"
)


def _parsed(path: Path) -> dict[str, Any]:
    try:
        found = parse_json(path.read_bytes(), str(path))
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}", remedy="name an existing file") from None
    return found if isinstance(found, dict) else {}
