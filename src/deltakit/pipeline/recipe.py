"""The recipe of a pipeline: named steps, each one public command; variables; what the results must show."""

from __future__ import annotations

from collections import Counter
from typing import Annotated

from pydantic import Field, field_validator, model_validator

from deltakit.recipe import Section

__all__ = ["BUILT_IN", "ClaimRecipe", "PipelineRecipe", "StepRecipe"]

BUILT_IN = ("out", "recipes")
Value = str | int | float


class StepRecipe(Section):
    """One command, written as on a command line; {variables} are filled in after it is split into words."""

    name: str = Field(min_length=1, description="unique; shown before the command")
    run: str = Field(min_length=1, description="the command without `deltakit`, e.g. extract {base} {out}/math -o ...")
    save: str | None = Field(default=None, description="a file that takes what the command prints on stdout")
    inputs: tuple[str, ...] = Field(
        default=(), description="further files the step depends on, that its command does not name"
    )
    expect: int = Field(default=0, ge=0, le=255, description="the exit code that is right for this step")


class ClaimRecipe(Section):
    """A sentence about one accuracy in the results, and the bound that makes it true."""

    say: str = Field(min_length=1, description="the claim in words")
    model: str = Field(description="a model's name in the results")
    task: str
    above: float | None = None
    at_least: float | None = None
    below: float | None = None
    at_most: float | None = None
    times: str | None = Field(default=None, description="the bound is a share of this model's accuracy")

    @model_validator(mode="after")
    def one_bound(self) -> ClaimRecipe:
        if sum(b is not None for b in (self.above, self.at_least, self.below, self.at_most)) != 1:
            raise ValueError("give one of above, at_least, below, at_most")
        return self


class PipelineRecipe(Section):
    """Steps that run in order and stop at the first that fails."""

    pipeline: str = Field(min_length=1, description="its title")
    output: str | None = Field(default=None, description="the folder {out}, unless -o says so")
    variables: dict[Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")], Value] = Field(
        default={}, description="words for {name} in commands; a value may use those above it, {out} and {recipes}"
    )
    steps: tuple[StepRecipe, ...] = Field(min_length=1)
    results: str | None = Field(default=None, description="the file of `deltakit eval` that claims are checked in")
    claims: tuple[ClaimRecipe, ...] = ()

    @field_validator("variables")
    @classmethod
    def own_names(cls, found: dict[str, Value]) -> dict[str, Value]:
        if taken := [name for name in BUILT_IN if name in found]:
            raise ValueError(f"{', '.join(taken)}: set by deltakit itself; choose another name")
        return found

    @model_validator(mode="after")
    def unique_steps(self) -> PipelineRecipe:
        twice = sorted(name for name, n in Counter(s.name for s in self.steps).items() if n > 1)
        if twice:
            raise ValueError(f"steps named twice: {', '.join(twice)}")
        if self.claims and self.results is None:
            raise ValueError("claims need results: the file that `deltakit eval -o` writes")
        return self
