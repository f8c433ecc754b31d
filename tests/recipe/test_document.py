"""YAML 1.2 scalars, and everything that a recipe may not contain."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deltakit.recipe.document import MAX_DEPTH, parse_document, resolve_scalar


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-4", 1e-4),
        ("1E5", 1e5),
        (".5", 0.5),
        ("-3.", -3.0),
        ("+7", 7),
        ("010", 10),
        ("0o17", 15),
        ("0xff", 255),
        ("true", True),
        ("False", False),
        ("null", None),
        ("~", None),
        ("no", "no"),
        ("on", "on"),
        ("y", "y"),
        ("1:30", "1:30"),
        ("1_000", "1_000"),
        ("2026-01-01", "2026-01-01"),
        ("0b1", "0b1"),
        ("1e", "1e"),
    ],
)
def test_scalars_follow_yaml_1_2(text, value):
    found = parse_document(f"a: {text}").data["a"]
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize("text", [".inf", "-.Inf", ".nan", "1e999", "9" * 101])
def test_numbers_that_are_not_meant_are_refused(text):
    with pytest.raises(ValueError, match="finite|large|digits"):
        resolve_scalar(text)
    assert parse_document(f"a: 1\nb: {text}").problems[0].startswith("line 2: ")


def test_quoted_scalars_stay_strings():
    assert parse_document("a: '1'\nb: \"true\"\nc: |\n  2\n").data == {"a": "1", "b": "true", "c": "2\n"}


def test_places_are_the_lines_of_keys_and_items():
    document = parse_document("a: 1\nb:\n  - x\n  - y: 2\n")
    assert document.place(("b",)) == "line 2"
    assert document.place(("b", 1, "y")) == "line 4"
    assert document.place(("b", 1, "missing")) == "line 4"
    assert document.place(("nowhere",)) == "line 1"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: &x 1", "line 1: anchor &x"),
        ("a: 1\nb: *x", "line 2: alias *x"),
        ("a: !!python/object:os.system x", "line 1: tag"),
        ("a: 1\na: 2", "line 2: duplicate key 'a', first at line 1"),
        ("a:\n  <<: {b: 1}", "line 2: merge key"),
        ("a: 1\n---\nb: 2", "line 2: a second document"),
        ("? [a, b]\n: 1", "line 1: a key must be a plain word"),
        ("a: 1\nb: [1, 2", "line 2, column 9: not valid YAML"),
        ("a: 1\nb: \x07", "line 2: not valid YAML"),
        ("a\tb: [\n\t- x", "not valid YAML"),
        ("a: " + "[" * 5000, "nested deeper"),
        ("a: " + "{b: " * (MAX_DEPTH + 1), "nested deeper"),
    ],
)
def test_what_a_recipe_may_not_contain(text, problem):
    assert problem in "\n".join(parse_document(text).problems)


def test_all_problems_are_found_at_once():
    problems = parse_document("a: &x 1\nb: *x\na: .inf\n").problems
    assert [p[:6] for p in problems] == ["line 1", "line 2", "line 3", "line 3"]


def test_an_empty_file_has_no_data():
    assert parse_document("").data is None
    assert parse_document("# only a comment\n").data is None


@given(st.text(max_size=60))
def test_no_text_breaks_the_reader(text):
    document = parse_document(text)
    assert isinstance(document.problems, list)
