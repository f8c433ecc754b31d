"""Everything that has a name can be listed and explained."""

import pytest

from deltakit.errors import RecipeError
from deltakit_cli.catalogue import KINDS, explained, listing, recipes_folder


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_kind_has_entries_with_a_line_each(kind):
    items = listing(kind)
    assert items
    assert [i["name"] for i in items] == sorted(i["name"] for i in items)
    assert all(i["summary"] for i in items), [i["name"] for i in items if not i["summary"]]


@pytest.mark.parametrize("kind", ["methods", "primitives", "posts", "codecs", "modes", "scorers", "tasks", "recipes"])
def test_everything_listed_is_explained(kind):
    for item in listing(kind):
        assert explained(item["name"])["text"]


def test_an_unknown_name_gets_a_suggestion():
    with pytest.raises(RecipeError) as wrong:
        explained("dare_tie")
    assert "dare_ties" in wrong.value.remedy


def test_recipes_are_found():
    assert (recipes_folder() / "pipelines").is_dir()
