"""Recipe files: what loads, and what each mistake says."""

from pathlib import Path
from typing import Literal

import pytest
from pydantic import Field, field_validator

from deltakit.errors import InputError, RecipeError
from deltakit.recipe import Section, load_recipe, make_recipe, read_recipe
from deltakit.recipe.load import MAX_BYTES


class Item(Section):
    model: str
    weight: float = 1.0


class Toy(Section):
    items: tuple[Item, ...]
    out: Path | None = None
    method: Literal["mean", "sum"] = "mean"
    strength: float = Field(1.0, alias="lambda")
    count: int = 1

    @field_validator("count")
    @classmethod
    def _positive(cls, value: int) -> int:
        if value < 1:
            raise ValueError(f"{value} is not positive")
        return value


GOOD = "deltakit: 1\nitems:\n  - {model: a}\n  - {model: no, weight: 1e-1}\nout: some/where\nlambda: 2\n"


def test_a_file_becomes_a_frozen_instance(tmp_path):
    (tmp_path / "r.yaml").write_text(GOOD)
    toy = load_recipe(tmp_path / "r.yaml", Toy, ["items.0.weight=3", "method=sum"])
    assert toy == Toy(
        items=(Item(model="a", weight=3), Item(model="no", weight=0.1)),
        out=Path("some/where"),
        strength=2,
        method="sum",
    )


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("lambda: 2", "lamda: 2"), "line 6: unknown key 'lamda'"),
        (("weight: 1e-1", "wieght: 1"), "line 4: unknown key 'items.1.wieght'"),
        (("{model: a}", "{weight: 1}"), "line 3: missing key 'model' in items.0"),
        (("lambda: 2", "lambda: '2'"), "line 6: lambda: Input should be a valid number"),
        (("lambda: 2", "lambda: yes"), "line 6: lambda: Input should be a valid number"),
        (("lambda: 2", "count: true"), "line 6: count: Input should be a valid integer"),
        (("lambda: 2", "count: 0"), "line 6: count: 0 is not positive"),
        (("lambda: 2", "method: man"), "line 6: method: Input should be 'mean' or 'sum', found \"man\""),
        (("lambda: 2", "lambda: .nan"), "line 6: .nan is not a finite number"),
        (("deltakit: 1", "# none"), '"deltakit: 1" is missing'),
        (("deltakit: 1", "deltakit: 2"), "recipe format 2 is unknown"),
        (("deltakit: 1", "deltakit: true"), "recipe format True is unknown"),
        (("deltakit: 1", "merge_method: ties"), "a mergekit config"),
    ],
)
def test_each_mistake_names_its_line(change, said):
    with pytest.raises(RecipeError) as caught:
        read_recipe(GOOD.replace(*change), Toy)
    assert said in str(caught.value)
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("change", "meant"),
    [
        (("lambda: 2", "lamda: 2"), "lambda"),
        (("weight:", "wieght:"), "weight"),
        (("lambda: 2", "metod: sum"), "method"),
    ],
)
def test_misspelt_keys_get_a_suggestion(change, meant):
    with pytest.raises(RecipeError) as caught:
        read_recipe(GOOD.replace(*change), Toy)
    assert caught.value.remedy == f"did you mean {meant!r}?"


def test_all_problems_come_in_one_error_in_the_order_of_the_file():
    with pytest.raises(RecipeError) as caught:
        read_recipe("deltakit: 1\ncount: x\nitems:\n  - weight: 1\n    typo: 1\n", Toy)
    assert [d[:6] for d in caught.value.details] == ["line 2", "line 4", "line 5"]


def test_an_override_is_named_as_the_place_of_its_fault():
    with pytest.raises(RecipeError, match="--set count=x: count: Input should be a valid integer"):
        read_recipe(GOOD, Toy, ["count=x"])


@pytest.mark.parametrize("text", ["", "- a\n", "word", "deltakit: 1\n---\nitems: []\n"])
def test_what_is_no_recipe(text):
    with pytest.raises(RecipeError):
        read_recipe(text, Toy)


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(InputError, match=r"none\.yaml"):
        load_recipe(tmp_path / "none.yaml", Toy)
    with pytest.raises(InputError):
        load_recipe(tmp_path, Toy)
    (tmp_path / "latin.yaml").write_bytes(b"deltakit: 1\nout: \xe9\n")
    with pytest.raises(RecipeError, match="not UTF-8"):
        load_recipe(tmp_path / "latin.yaml", Toy)
    (tmp_path / "big.yaml").write_bytes(b"#" * (MAX_BYTES + 1))
    with pytest.raises(RecipeError, match="larger than"):
        load_recipe(tmp_path / "big.yaml", Toy)


def test_a_byte_order_mark_is_harmless(tmp_path):
    (tmp_path / "bom.yaml").write_bytes(b"\xef\xbb\xbf" + GOOD.encode())
    assert load_recipe(tmp_path / "bom.yaml", Toy).strength == 2


def test_plain_data_is_checked_as_strictly():
    assert make_recipe({"items": [{"model": "a"}], "lambda": 0.5}, Toy).strength == 0.5
    with pytest.raises(RecipeError, match="command line: given: unknown key 'itms'"):
        make_recipe({"items": [], "itms": 1}, Toy)
