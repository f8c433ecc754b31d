"""The JSON schema of a recipe, for editors."""

from __future__ import annotations

from typing import Any

import pydantic

__all__ = ["json_schema"]


def json_schema(model: type[pydantic.BaseModel]) -> dict[str, Any]:
    """JSON schema (draft 2020-12) of recipe files of `model`, the format line included."""
    schema = model.model_json_schema(by_alias=True)
    version = {"const": 1, "description": "Format of the recipe; always 1."}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **schema,
        "properties": {"deltakit": version, **schema.get("properties", {})},
        "required": ["deltakit", *schema.get("required", [])],
    }
