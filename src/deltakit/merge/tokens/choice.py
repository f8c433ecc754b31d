"""Which vocabulary a merge has, as recipes and mergekit's configs spell it: `tokenizer_source` or `tokenizer`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, model_validator

from deltakit.recipe import Section

__all__ = ["FromToken", "TokenChoice", "TokenizerChoice", "Zero", "tokenizer_choice"]


class Zero(Section):
    """A row of zeros."""

    kind: Literal["zero"]


class FromToken(Section):
    """The row that another token has in a model: by its text or by its id there."""

    kind: Literal["model_token"]
    model: str = Field(min_length=1, description="A model of the merge.")
    token: str | None = Field(None, description="The token's text.")
    token_id: int | None = Field(None, ge=0, description="The token's id in that model.")

    @model_validator(mode="after")
    def _one(self) -> FromToken:
        if (self.token is None) == (self.token_id is None):
            raise ValueError("give token or token_id, and only one of them")
        return self


class TokenChoice(Section):
    """Where the row of one token comes from, in models that lack it; with `force` in all models."""

    source: str | Zero | FromToken | None = Field(None, description="A model, {kind: zero} or {kind: model_token}.")
    force: bool = Field(False, description="Also in models that have the token.")


def _multiple(value: int | None) -> int | None:
    if value is not None and value < 1:
        raise ValueError("a multiple of at least 1")
    return value


class TokenizerChoice(Section):
    """The merged model's vocabulary. `source` is `union` (every model's tokens, the base's ids first), `base`, or a
    model of the merge."""

    source: str = Field("union", min_length=1, description="union, base, or a model of the merge.")
    tokens: Mapping[str, TokenChoice] | None = Field(None, description="Rows of single tokens.")
    pad_to_multiple_of: Annotated[int | None, AfterValidator(_multiple)] = Field(
        None, description="Rows are added up to a multiple of this."
    )


def tokenizer_choice(tokenizer_source: str | None, tokenizer: Mapping[str, Any] | None) -> TokenizerChoice | None:
    """The choice of either key, None where neither is given: then nothing is aligned. Plain data of `tokenizer` is
    checked (pydantic's ValidationError for what does not fit); giving both keys is the caller's error to report."""
    if tokenizer is not None:
        return TokenizerChoice.model_validate(tokenizer)
    return None if tokenizer_source is None else TokenizerChoice.model_validate({"source": tokenizer_source})
