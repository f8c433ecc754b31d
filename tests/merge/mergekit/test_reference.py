"""Model references in all the ways that configs spell them."""

from __future__ import annotations

import pytest

from deltakit.merge.mergekit.reference import Reference, parse_reference


@pytest.mark.parametrize(
    ("data", "label", "text"),
    [
        ("org/model", "org/model", "org/model"),
        ("org/model@abc", "org/model@abc", "org/model@abc"),
        ("org/model@abc+org/lora", "org/model@abc+org/lora", "org/model@abc + org/lora"),
        ("org/model+org/lora@v2", "org/model+org/lora@v2", "org/model + org/lora@v2"),
        ({"model": "org/model"}, "org/model", "org/model"),
        ({"model": {"path": "org/model", "revision": "abc"}, "lora": None}, "org/model@abc", "org/model@abc"),
        ({"model": {"path": "a/b"}, "lora": {"path": "c/d", "revision": "e"}}, "a/b+c/d@e", "a/b + c/d@e"),
    ],
)
def test_spellings(data, label, text):
    found = parse_reference(data)
    assert (found.label, found.text) == (label, text)
    assert parse_reference(found) is found


def test_an_architecture_to_take_instead_is_kept_aside():
    assert parse_reference({"model": "a", "override_architecture": "Llama"}) == Reference("a", "", "Llama")


def test_a_path_that_exists_is_taken_as_it_is(tmp_path):
    odd = tmp_path / "a+b@c+d"
    (odd / "lora+x").mkdir(parents=True)
    assert parse_reference(str(odd)) == Reference(str(odd))
    assert parse_reference(f"{odd}+{odd / 'lora+x'}") == Reference(str(odd), str(odd / "lora+x"))


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ("", "empty"),
        (3, "a model is text"),
        (None, "a model is text"),
        ("a+b+c", "more than one +"),
        ("+b", "missing beside the +"),
        ("a@b@c", "more than one @"),
        ("a@", "missing beside the @"),
        ({"path": "a"}, "a model's keys are"),
        ({"model": {"path": "a", "branch": "b"}}, "a model's place"),
        ({"model": ["a"]}, "a model's place"),
    ],
)
def test_what_is_no_reference_is_told(data, said):
    with pytest.raises(ValueError, match=said.replace("+", r"\+")):
        parse_reference(data)
