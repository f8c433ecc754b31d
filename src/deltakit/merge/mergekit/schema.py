"""The schema of mergekit's configs. Keys that it does not know are kept aside and told, never an error: configs in
model cards are full of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any

import pydantic
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, InstanceOf

from deltakit.errors import RecipeError
from deltakit.merge.mergekit.reference import Reference, parse_reference
from deltakit.merge.mergekit.role import ROLES
from deltakit.merge.mergekit.setting import parse_setting
from deltakit.registry import did_you_mean
from deltakit.tensors import FLOAT_DTYPES, dtype_code

__all__ = ["Config", "Entry", "Module", "Slice", "SliceSource", "TokenEntry", "Tokenizer", "unknown_keys"]


def _dtype(text: str) -> str:
    try:
        code = dtype_code(text)
    except RecipeError as wrong:
        raise ValueError(wrong.message) from None
    if code not in FLOAT_DTYPES:
        raise ValueError(f"{text!r} holds no weights; use bfloat16, float16 or float32")
    return code


def _method(name: str) -> str:
    if name not in ROLES:
        raise ValueError(f"unknown merge_method {name!r}; {did_you_mean(name, sorted(ROLES))}")
    return name


def _source(data: Any) -> Any:
    return data if data in ("union", "base") else parse_reference(data)


def _token_source(data: Any) -> Any:
    """A model, or {kind: zero}, or {kind: model_token, model, token | token_id}."""
    if not isinstance(data, Mapping) or "kind" not in data:
        return parse_reference(data)
    known = {"zero": {"kind"}, "model_token": {"kind", "model", "token", "token_id"}}
    kind = data["kind"]
    if kind not in known:
        raise ValueError(f"kind is zero or model_token, found {kind!r}")
    if extra := sorted(set(data) - known[kind]):
        raise ValueError(f"kind {kind}: unknown {', '.join(extra)}")
    if kind == "zero":
        return {"kind": "zero"}
    if ("token" in data) == ("token_id" in data):
        raise ValueError("kind model_token takes one of token and token_id")
    return {**data, "model": parse_reference(data.get("model"))}


def _some(value: Any) -> Any:
    if value is not None and not value:
        raise ValueError("name at least one")
    return value


_SOME = AfterValidator(_some)  # unlike a least length, this speaks only where all items are sound
Settings = dict[str, Annotated[Any, AfterValidator(parse_setting)]]
Model = Annotated[InstanceOf[Reference], BeforeValidator(parse_reference)]
Dtype = Annotated[str, AfterValidator(_dtype)]


class _Loose(BaseModel):
    model_config = ConfigDict(extra="allow", frozen=True)


class Entry(_Loose):
    """A model under `models:`."""

    model: Model
    parameters: Settings | None = None


class SliceSource(_Loose):
    """A model's layers [a, b) in a slice."""

    model: Model
    layer_range: tuple[int, int]
    parameters: Settings | None = None

    @pydantic.field_validator("layer_range")
    @classmethod
    def _forward(cls, value: tuple[int, int]) -> tuple[int, int]:
        if not 0 <= value[0] < value[1]:
            raise ValueError(f"[{value[0]}, {value[1]}) holds no layers; give [first, last + 1]")
        return value


class Slice(_Loose):
    """Layers of the result, made of as many layers of each source."""

    sources: Annotated[tuple[SliceSource, ...], _SOME]
    base_model: Model | None = None
    parameters: Settings | None = None


class Module(_Loose):
    """A part of a model that is described by itself."""

    models: Annotated[tuple[Entry, ...] | None, _SOME] = None
    slices: Annotated[tuple[Slice, ...] | None, _SOME] = None
    parameters: Settings | None = None

    @pydantic.model_validator(mode="after")
    def _one_form(self) -> Module:
        if (self.models is None) == (self.slices is None):
            raise ValueError("a module takes exactly one of models and slices")
        return self


class TokenEntry(_Loose):
    """Where a token's row comes from."""

    source: Annotated[Any, BeforeValidator(_token_source)] = None
    force: bool = False


class Tokenizer(_Loose):
    """Which tokens the result has, and how their rows are made."""

    source: Annotated[Any, BeforeValidator(_source)] = "union"
    tokens: dict[str, TokenEntry] | None = None
    pad_to_multiple_of: int | None = Field(None, ge=1)


class Config(_Loose):
    """One document."""

    merge_method: Annotated[str, AfterValidator(_method)]
    models: Annotated[tuple[Entry, ...] | None, _SOME] = None
    slices: Annotated[tuple[Slice, ...] | None, _SOME] = None
    modules: Annotated[dict[str, Module] | None, _SOME] = None
    base_model: Model | None = None
    parameters: Settings | None = None
    dtype: Dtype | None = None
    out_dtype: Dtype | None = None
    tokenizer_source: Annotated[Any, BeforeValidator(lambda v: None if v is None else _source(v))] = None
    tokenizer: Tokenizer | None = None
    chat_template: str | None = None
    name: str | None = Field(None, min_length=1)

    @pydantic.model_validator(mode="after")
    def _fits(self) -> Config:
        forms = [n for n in ("models", "slices", "modules") if getattr(self, n) is not None]
        if len(forms) != 1:
            raise ValueError(f"exactly one of models, slices and modules; found {', '.join(forms) or 'none'}")
        if self.tokenizer is not None and self.tokenizer_source is not None:
            raise ValueError("tokenizer and tokenizer_source say the same thing; give one of them")
        return self


def unknown_keys(part: BaseModel, path: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """The path of every key that the schema does not know, and what may have been meant."""
    for key in part.model_extra or {}:
        yield (*path, key), did_you_mean(key, sorted(type(part).model_fields))
    for name in type(part).model_fields:
        yield from _within(getattr(part, name), (*path, name))


def _within(value: Any, path: tuple[str | int, ...]) -> Iterator[tuple[tuple[str | int, ...], str]]:
    if isinstance(value, BaseModel):
        yield from unknown_keys(value, path)
    elif isinstance(value, tuple):
        for i, item in enumerate(value):
            yield from _within(item, (*path, i))
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _within(item, (*path, key))
