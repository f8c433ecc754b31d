"""The schema of a recipe file."""

from pydantic import Field

from deltakit.recipe import Section, json_schema


class Toy(Section):
    model: str
    strength: float = Field(1.0, alias="lambda", description="Scale.")


def test_the_schema_is_of_files():
    schema = json_schema(Toy)
    assert schema["required"] == ["deltakit", "model"]
    assert list(schema["properties"]) == ["deltakit", "model", "lambda"]
    assert schema["properties"]["lambda"]["description"] == "Scale."
    assert schema["additionalProperties"] is False
