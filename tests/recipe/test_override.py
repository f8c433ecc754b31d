"""`--set a.b=c`."""

import pytest

from deltakit.errors import RecipeError
from deltakit.recipe.document import parse_document
from deltakit.recipe.override import apply_override, parse_override


@pytest.mark.parametrize(
    ("text", "keys", "value"),
    [
        ("a=1", ("a",), 1),
        ("a.b=1e-4", ("a", "b"), 1e-4),
        ("a.0.c=no", ("a", "0", "c"), "no"),
        ("a=x=y", ("a",), "x=y"),
        ('per."*.mlp.*".density=0.5', ("per", "*.mlp.*", "density"), 0.5),
        ("a=[1, two]", ("a",), [1, "two"]),
        ("a={b: true}", ("a",), {"b": True}),
        ("a=", ("a",), None),
    ],
)
def test_override_texts(text, keys, value):
    assert parse_override(text) == (keys, value)


@pytest.mark.parametrize("text", ["a", "", "=1", "a..b=1", ".a=1", "a.=1", "a b=1", 'a"b=1'])
def test_malformed_keys_are_refused(text):
    with pytest.raises(RecipeError, match="is not KEY=VALUE"):
        parse_override(text)


@pytest.mark.parametrize("value", ["[1", "*x", "&a 1", ".inf", "!!int 3"])
def test_malformed_values_are_refused(value):
    with pytest.raises(RecipeError, match="--set 'a="):
        parse_override(f"a={value}")


def test_values_are_replaced_and_mappings_made():
    document = parse_document("a: 1\nm:\n  - w: 1\n  - w: 2\n")
    for text in ["m.1.w=0.5", "x.y.z=3", "a=5"]:
        apply_override(document, text)
    assert document.data == {"a": 5, "m": [{"w": 1}, {"w": 0.5}], "x": {"y": {"z": 3}}}
    assert document.place(("m", 1, "w")) == "--set m.1.w=0.5"
    assert document.place(("m", 0, "w")) == "line 3"


@pytest.mark.parametrize(
    ("text", "reason"), [("m.2.w=1", "no item '2'"), ("m.x=1", "no item 'x'"), ("a.b=1", "under a value")]
)
def test_overrides_that_reach_nothing_are_refused(text, reason):
    with pytest.raises(RecipeError, match=reason):
        apply_override(parse_document("a: 1\nm:\n  - 1\n  - 2\n"), text)
