"""Every method says what it needs and costs; reads are counted, so the passes that are known by heart must come out."""

from __future__ import annotations

import pytest

from deltakit.merge import DIALECTS
from deltakit.merge.plan.cost import cost_of, sample, traits_of


@pytest.mark.parametrize(("dialect", "name"), [(d, n) for d, r in DIALECTS.items() for n in r.names()])
def test_every_method_can_be_told_about(dialect: str, name: str) -> None:
    registry = DIALECTS[dialect]
    facts = traits_of(registry.make(name, **sample(registry, name)))
    assert all(facts.values())
    reads = cost_of(name, dialect)
    assert ("text" in facts["needs"]) == (reads is None)
    assert reads is None or reads >= 0.9


@pytest.mark.parametrize(
    ("name", "reads"), [("task_arithmetic", 1), ("linear", 1), ("dare_linear", 1), ("passthrough", 1), ("slerp", 2)]
)
def test_reads_are_counted(name: str, reads: int) -> None:
    assert cost_of(name) == pytest.approx(reads, abs=0.05)


def test_thresholds_cost_passes() -> None:
    ties = cost_of("ties")
    assert ties is not None
    assert 2 < ties <= 5


def test_words_follow_the_traits() -> None:
    dare = traits_of(DIALECTS["paper"].make("dare_linear", density=0.5))
    assert dare["chance"] == "seeded masks; the mean over seeds is the method without them"
    assert "text" in traits_of(DIALECTS["paper"].make("regmean"))["needs"]
    assert traits_of(DIALECTS["paper"].make("tsv_m"))["memory"].startswith("one whole matrix")
