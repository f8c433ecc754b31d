"""NAME=MODEL operands."""

import pytest

from deltakit.errors import RecipeError
from deltakit_eval.named import Named, read_named


@pytest.mark.parametrize(
    ("text", "name", "model"),
    [
        ("models/base", "models/base", "models/base"),
        ("base=models/base", "base", "models/base"),
        ("DARE: 0.2, rescaled=b + 0.5*d", "DARE: 0.2, rescaled", "b + 0.5*d"),
        ("a = runs/lr=1e-4", "a", "runs/lr=1e-4"),
        ("runs/lr=1e-4", "runs/lr=1e-4", "runs/lr=1e-4"),
        ("runs/lr=1e-4 + d", "runs/lr=1e-4 + d", "runs/lr=1e-4 + d"),
    ],
)
def test_a_name_stands_before_the_first_equals_sign(text, name, model):
    assert read_named([text]) == [Named(name, model)]


@pytest.mark.parametrize("rest", ["", " + other"])
def test_a_path_that_exists_is_a_path(rest, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "lr=1e-4").mkdir()
    assert read_named(["lr=1e-4" + rest])[0].name == "lr=1e-4" + rest


@pytest.mark.parametrize("text", ["=models/base", "name=", "name= "])
def test_half_an_operand_is_refused(text):
    with pytest.raises(RecipeError, match="cannot read"):
        read_named([text])


def test_names_are_unique_and_models_need_not_be():
    assert len(read_named(["a=models/m", "b=models/m"])) == 2
    with pytest.raises(RecipeError, match="of one name") as wrong:
        read_named(["a=models/m", "a=models/n", "c", "c"])
    assert wrong.value.details == ("a", "c")


def test_no_model_is_an_error():
    with pytest.raises(RecipeError, match="no model"):
        read_named([])


def test_a_text_too_long_for_a_path_is_no_crash():
    assert read_named(["x" * 5000 + "=models/m"])[0].text == "models/m"
