"""The base of every recipe model: unknown keys are errors, instances are frozen, numbers are finite."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

__all__ = ["Section"]


class Section(BaseModel):
    """Part of a recipe. Fields are typed keyword defaults; they are the schema and the help text too."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, populate_by_name=True)
