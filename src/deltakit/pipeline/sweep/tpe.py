"""Optuna's sampler (the tree-structured Parzen estimator: Bergstra et al., 2011; Akiba et al., 2019, arXiv 1907.10902),
asked for a round of candidates at a time."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from deltakit.errors import RecipeError, ResourceError
from deltakit.pipeline.sweep.axis import Axis, Scalar
from deltakit.pipeline.sweep.sampler import Asked
from deltakit.pipeline.sweep.space import Space

__all__ = ["Optuna"]


@dataclass(frozen=True)
class Optuna:
    """`trials` candidates, `round` of them evaluated together; the first `startup` are drawn at random. The same seed
    and the same scores give the same candidates."""

    trials: int = 30
    seed: int = 0
    round: int = 8
    startup: int = 10

    def __post_init__(self) -> None:
        for name, least in (("trials", 1), ("seed", 0), ("round", 1), ("startup", 1)):
            if getattr(self, name) < least:
                raise RecipeError(f"sampler optuna: {name} is {getattr(self, name)}", remedy=f"at least {least}")

    @property
    def most(self) -> int | None:
        """The number of trials."""
        return self.trials

    def study(self, space: Space) -> _Study:
        """A new search. ResourceError where optuna is not installed."""
        try:
            optuna = importlib.import_module("optuna")
        except ModuleNotFoundError:
            raise ResourceError(
                "sampler optuna needs the package optuna",
                remedy='pip install "deltakit-llm[search]" (or pip install optuna), or sampler: grid',
            ) from None
        return _Study(optuna, self, space)


class _Study:
    """One optuna study that lives in memory: told scores are all its state."""

    def __init__(self, optuna: Any, sampler: Optuna, space: Space) -> None:
        self._optuna, self._space = optuna, space
        self._left, self._size = sampler.trials, sampler.round
        self._open: list[Any] = []
        before = optuna.logging.get_verbosity()
        optuna.logging.set_verbosity(optuna.logging.WARNING)  # it says on stderr that a study was made
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
                tpe = optuna.samplers.TPESampler(
                    seed=sampler.seed, n_startup_trials=sampler.startup, constant_liar=True, multivariate=True
                )
            self._study = optuna.create_study(direction="maximize", sampler=tpe)
        finally:
            optuna.logging.set_verbosity(before)

    def ask(self) -> list[Asked]:
        count = min(self._size, self._left)
        self._left -= count
        self._open = [self._study.ask() for _ in range(count)]
        return [{axis.field: _suggested(trial, axis) for axis in self._space.axes} for trial in self._open]

    def tell(self, scores: Sequence[float | None]) -> None:
        """A candidate that failed tells nothing of its neighbours."""
        failed = self._optuna.trial.TrialState.FAIL
        for trial, score in zip(self._open, scores, strict=True):
            if score is None:
                self._study.tell(trial, state=failed)
            else:
                self._study.tell(trial, score)


def _suggested(trial: Any, axis: Axis) -> Scalar:
    """Listed numbers that rise are drawn by their place, so that neighbours count as near; other values as names."""
    if axis.values:
        places = range(len(axis.values))
        place = trial.suggest_int(axis.field, 0, len(axis.values) - 1) if axis.ordered else _named(trial, axis, places)
        return axis.values[place]
    if axis.integer:
        return int(trial.suggest_int(axis.field, int(axis.low), int(axis.high), log=axis.log))
    return float(f"{trial.suggest_float(axis.field, axis.low, axis.high, log=axis.log):.6g}")


def _named(trial: Any, axis: Axis, places: range) -> int:
    return int(trial.suggest_categorical(axis.field, list(places)))
