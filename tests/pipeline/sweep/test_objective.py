"""The objective and paired differences, against what statistics says of them by hand."""

import math
from typing import Any

import numpy as np
import pytest

from deltakit.errors import InputError
from deltakit.pipeline.sweep.objective import difference, objective, scores_of


def task(values: list[float], paired: bool = True) -> dict[str, Any]:
    mean, error = float(np.mean(values)), float(np.std(values, ddof=1) / math.sqrt(len(values)))
    items = {str(i): v for i, v in enumerate(values)} if paired else None
    return {"accuracy": mean, "stderr": error, "n": len(values), "items": items}


def test_the_objective_is_the_weighted_mean_with_its_error() -> None:
    scores = {"a": task([1, 0, 1, 1]), "b": task([0, 0, 1, 0])}
    value, error = objective(scores, {"a": 3.0, "b": 1.0})
    assert value == pytest.approx(0.75 * 0.75 + 0.25 * 0.25)
    assert error == pytest.approx(math.hypot(0.75 * scores["a"]["stderr"], 0.25 * scores["b"]["stderr"]))
    assert objective(scores, {"b": 2.0})[0] == 0.25
    single = {"a": {"accuracy": 1.0, "stderr": None, "n": 1, "items": None}}
    assert objective(single, {"a": 1.0}) == (1.0, None)


def test_differences_are_paired_item_by_item() -> None:
    one, other = {"a": task([1, 1, 1, 0, 1, 0])}, {"a": task([1, 1, 0, 0, 1, 1])}
    mean, error, paired = difference(one, other, {"a": 1.0})
    assert (mean, paired) == (pytest.approx(0.0), True)
    assert error == pytest.approx(np.std([0, 0, 1, 0, 0, -1], ddof=1) / math.sqrt(6))
    assert difference(one, one, {"a": 1.0}) == (0.0, 0.0, True)


def test_without_items_the_two_errors_are_added() -> None:
    one, other = {"a": task([1, 1, 1, 0], paired=False)}, {"a": task([1, 0, 0, 0])}
    mean, error, paired = difference(one, other, {"a": 1.0})
    assert (mean, paired) == (pytest.approx(0.5), False)
    assert error == pytest.approx(math.hypot(one["a"]["stderr"], other["a"]["stderr"]))
    lone = {"a": {"accuracy": 1.0, "stderr": None, "n": 1, "items": {"0": 1.0}}}
    assert difference(lone, lone, {"a": 1.0}) == (0.0, None, False)


def model(headline: str, samples: list[dict[str, Any]], accuracy: float | None = 0.5) -> dict[str, Any]:
    found = {"accuracy": accuracy, "stderr": 0.1, "n": len(samples), "headline": headline, "samples": samples}
    return {"tasks": {"a": found}}


def test_scores_of_items_are_those_of_the_headline() -> None:
    samples = [{"doc_id": i, "filters": {"f": {"m": bool(i), "n": 7}, "g": {"m": 3}}} for i in range(2)]
    assert scores_of(model("m,f", samples))["a"]["items"] == {"0": 0.0, "1": 1.0}
    assert scores_of(model("m,other", samples))["a"]["items"] is None
    assert scores_of(model("m,f", [*samples, {"doc_id": 2, "filters": {}}]))["a"]["items"] is None
    with pytest.raises(InputError, match="the score on a is not finite"):
        scores_of(model("m,f", samples, accuracy=None))
