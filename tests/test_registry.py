"""The registry: lazy, strict, helpful."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from importlib.metadata import EntryPoint
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deltakit import registry as module
from deltakit.errors import RecipeError
from deltakit.registry import Registry, check_keys, did_you_mean, parse_call


@dataclass(frozen=True)
class Drop:
    """Drop at random.

    More.
    """

    density: float
    rescale: bool = True
    name: str = ""


@pytest.fixture
def registry() -> Registry:
    return Registry("method", {"drop": f"{Drop.__module__}:Drop", "lost": "no_such_module_at_all:X"})


def test_names_need_no_import(registry: Registry) -> None:
    assert registry.names() == ["drop", "lost"]
    assert "no_such_module_at_all" not in sys.modules


def test_making(registry: Registry) -> None:
    assert registry.make("drop", density=0.2) == Drop(0.2)
    assert registry.parse("drop(density=0.2, rescale=False)") == Drop(0.2, False)
    assert registry.summary("drop") == "Drop at random."
    assert list(registry.parameters("drop")) == ["density", "rescale", "name"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("dorp(density=1)", "did you mean 'drop'"),
        ("drop(densty=1)", "did you mean 'density'"),
        ("drop(density=1, a=2, b=3)", "no parameter 'a'"),
        ("drop", "needs density"),
        ("drop()", "needs density"),
        ("drop(0.2)", "cannot read"),
        ("drop(density=0.2", "cannot read"),
        ("drop(density=open('x'))", "values must be literals"),
        ("drop(density=1)(2)", "cannot read"),
        ("drop(**{'density': 1})", "no parameter"),
        ("a.b()", "cannot read"),
        ("", "cannot read"),
        ("1 + 1", "cannot read"),
        ("x = 1", "cannot read"),
        ("zzzz", "known: drop, lost"),
    ],
)
def test_what_cannot_be_made_says_why(registry: Registry, text: str, said: str) -> None:
    with pytest.raises(RecipeError) as caught:
        registry.parse(text)
    assert said in str(caught.value)


def test_nothing_is_evaluated() -> None:
    with pytest.raises(RecipeError):
        parse_call("drop(density=__import__('os').getcwd())")
    assert parse_call("drop(a=-1.5, b=[1, 'x'], c=True, d=None)") == (
        "drop",
        {"a": -1.5, "b": [1, "x"], "c": True, "d": None},
    )


@given(st.builds(Drop, st.floats(allow_nan=False, allow_infinity=False), st.booleans(), st.text(max_size=10)))
def test_spelling_is_read_back(thing: Drop) -> None:
    registry = Registry("method", {"drop": f"{Drop.__module__}:Drop"})
    text = registry.spell(thing, "drop")
    name, given_keys = parse_call(text)
    assert (name, Drop(**given_keys)) == ("drop", thing)


def test_entry_points_add_names_and_may_not_hide_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    def found(group: str) -> tuple[Any, ...]:
        return (EntryPoint("theirs", f"{Drop.__module__}:Drop", group),)

    monkeypatch.setattr(module, "entry_points", found)
    assert Registry("method", {"ours": "x:y"}, group="g").names() == ["ours", "theirs"]
    with pytest.raises(RecipeError, match="defined twice"):
        Registry("method", {"theirs": "x:y"}, group="g").names()
    assert Registry("method", {"ours": "x:y"}).names() == ["ours"]


def test_helpers() -> None:
    assert did_you_mean("lineer", ["linear", "ties"]) == "did you mean 'linear'?"
    assert did_you_mean("q", ["linear", "ties"]) == "known: linear, ties"
    check_keys({"a": 1}, ["a", "b"], "x")
    with pytest.raises(RecipeError, match="x has no parameter 'c'"):
        check_keys({"c": 1}, ["a", "b"], "x")


def test_a_summary_that_is_cut_says_so():
    from deltakit.compress.codec import CODECS

    assert not any("\n" in CODECS.summary(n) for n in CODECS.names())
    assert CODECS.summary("sign").endswith(" ...")
