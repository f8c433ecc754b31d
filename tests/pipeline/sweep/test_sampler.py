"""Every sampler: rounds that end, settings of the space, a replay that asks the same."""

from collections.abc import Callable

import pytest

from deltakit.pipeline.sweep import SAMPLERS
from deltakit.pipeline.sweep.sampler import Asked, Sampler
from deltakit.pipeline.sweep.space import make_space
from deltakit.recipe.parameters import parse_checked

MERGE = {"base": "b", "models": [{"model": "m"}]}
SPACE = make_space(MERGE, {"lambda": [0.2, 0.4, 0.8], "method": ["task_arithmetic", "ties"]})
GIVEN = {"optuna": "optuna(trials=9, round=4, startup=3)"}


def walked(sampler: Sampler, score: Callable[[Asked], float | None]) -> list[Asked]:
    study, seen = sampler.study(SPACE), []
    while asked := study.ask():
        study.tell([score(a) for a in asked])
        seen += asked
        assert len(seen) < 1000
    assert study.ask() == []
    return seen


@pytest.mark.parametrize("name", SAMPLERS.names())
def test_told_the_same_it_asks_the_same(name: str) -> None:
    sampler = parse_checked(SAMPLERS, GIVEN.get(name, name))
    seen = walked(sampler, lambda a: float(a["lambda"]))  # type: ignore[arg-type]
    assert seen == walked(sampler, lambda a: float(a["lambda"]))  # type: ignore[arg-type]
    assert all(list(a) == ["lambda", "method"] for a in seen)
    assert all(a["lambda"] in (0.2, 0.4, 0.8) and a["method"] in ("task_arithmetic", "ties") for a in seen)
    assert sampler.most is None or len(seen) == sampler.most


@pytest.mark.parametrize("name", SAMPLERS.names())
def test_failures_stop_no_search(name: str) -> None:
    sampler = parse_checked(SAMPLERS, GIVEN.get(name, name))
    assert walked(sampler, lambda _: None)
