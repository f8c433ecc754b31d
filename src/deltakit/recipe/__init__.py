"""Recipes: strict YAML read into typed, frozen models; every problem is listed at once with its line."""

from deltakit.recipe.load import load_recipe, make_recipe, read_recipe
from deltakit.recipe.schema import json_schema
from deltakit.recipe.section import Section

__all__ = ["Section", "json_schema", "load_recipe", "make_recipe", "read_recipe"]
