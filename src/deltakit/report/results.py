"""The rows of `deltakit eval` results: one model each, with its size and its scores."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from deltakit.checkpoint.strict_json import parse_json
from deltakit.errors import InputError
from deltakit.grade.interval import Z, wilson

__all__ = ["LOSS", "Row", "Score", "read_results", "rows_of", "whiskers"]

LOSS = "held-out loss"


@dataclass(frozen=True)
class Score:
    """A mean over `n` items with its standard error; None where it is not finite or not known."""

    value: float | None
    stderr: float | None
    n: int

    @property
    def is_share(self) -> bool:
        """Whether the items were right or wrong: the standard error says so (sqrt(p(1-p)/(n-1)))."""
        if self.value is None or self.stderr is None or not 0 <= self.value <= 1 or self.n < 2:
            return False
        return math.isclose(self.stderr, math.sqrt(self.value * (1 - self.value) / (self.n - 1)), abs_tol=1e-6)

    @property
    def interval(self) -> tuple[float, float] | None:
        """A 95 % interval: Wilson's for shares (it has width at 0 and 1 too), else 1.96 standard errors."""
        if self.value is None or self.stderr is None:
            return None
        if not self.is_share:
            return self.value - Z * self.stderr, self.value + Z * self.stderr
        return wilson(self.value * self.n, self.n)


def whiskers(scores: Sequence[Score]) -> list[list[float]]:
    """Of 95 % intervals the lengths downward and upward, in per cent, as a plot takes them; 0 where there is none."""
    ends = [(s.value or 0.0, *(s.interval or (s.value or 0.0, s.value or 0.0))) for s in scores]
    return [[100 * max(0.0, value - low) for value, low, _ in ends], [100 * max(0.0, high - v) for v, _, high in ends]]


@dataclass(frozen=True)
class Row:
    """One model. `group` is the part of its name before ": ", `label` the rest; `nbytes` what it takes on disk beyond
    its base (None: computed from a recipe), `model_bytes` the weights of the whole model."""

    name: str
    source: str
    nbytes: int | None
    model_bytes: int | None
    scores: Mapping[str, Score]

    @property
    def group(self) -> str:
        """Empty for a name without ": "."""
        group, colon, _ = self.name.partition(": ")
        return group if colon else ""

    @property
    def label(self) -> str:
        """The name without its group."""
        return self.name.removeprefix(f"{self.group}: ") if self.group else self.name

    @property
    def ratio(self) -> float | None:
        """Bytes of the whole model over bytes on disk."""
        return self.model_bytes / self.nbytes if self.nbytes and self.model_bytes else None

    @property
    def ratio_text(self) -> str:
        """With two decimals; a dash where it is not known."""
        return "-" if self.ratio is None else f"{self.ratio:.2f}"


def read_results(paths: Sequence[Path]) -> list[Row]:
    """The rows of several result files, in order; a model in two files is one row where their tasks differ.

    InputError for what is no result, and for two scores of one model on one task.
    """
    found: dict[str, Row] = {}
    for path in paths:
        for row in rows_of(parse_json(_bytes(path), str(path)), str(path)):
            found[row.name] = _joined(found.get(row.name), row, path)
    return list(found.values())


def rows_of(result: Any, where: str) -> list[Row]:
    """The rows of one parsed result; held-out loss is a score of its own."""
    try:
        return [_row(model) for model in result["models"]]
    except (KeyError, TypeError, ValueError, AttributeError) as wrong:
        problem = f"{where}: no result of `deltakit eval` ({type(wrong).__name__}: {wrong})"
        raise InputError(problem, remedy="give the file that `deltakit eval -o` writes") from None


def _row(model: Mapping[str, Any]) -> Row:
    scores = {
        name: Score(_number(task["accuracy"]), _number(task["stderr"]), int(task["n"]))
        for name, task in model["tasks"].items()
    }
    if loss := model.get("loss"):
        scores[LOSS] = Score(_number(loss["loss"]), _number(loss["stderr"]), int(loss["records"]))
    sizes = [None if model.get(key) is None else int(model[key]) for key in ("bytes", "model_bytes")]
    return Row(str(model.get("name", model["model"])), str(model["model"]), sizes[0], sizes[1], scores)


def _number(value: Any) -> float | None:
    return float(value) if value is not None and math.isfinite(float(value)) else None


def _joined(old: Row | None, new: Row, path: Path) -> Row:
    if old is None:
        return new
    if twice := sorted(old.scores.keys() & new.scores.keys()):
        raise InputError(
            f"{path}: {new.name!r} already has a score on {', '.join(twice)} from another file",
            remedy='give one of the files, or name the models apart ("NAME=MODEL" in deltakit eval)',
        )
    return replace(old, scores={**old.scores, **new.scores})


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}", remedy="name an existing file") from None
