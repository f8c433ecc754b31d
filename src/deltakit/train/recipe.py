"""The recipe of `deltakit sft`: strict pydantic models; an unknown key is an error.

Paths are taken from the folder the command runs in, as on any command line.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from deltakit.recipe import Section

__all__ = ["Log", "Lora", "Optimise", "Save", "SftRecipe", "Source", "Tokens"]


class Source(Section):
    """One data file: JSONL, or a JSON list, of records of one kind."""

    path: str
    kind: Literal["auto", "metamath", "instruction", "gsm8k"] = Field(
        default="auto", description="the records' schema; auto goes by the first record's fields"
    )
    limit: int | None = Field(default=None, ge=1, description="only the first so many records")
    weight: float = Field(
        default=1.0, gt=0, le=1000, description="how often an epoch sees each record; 0.5 is a seeded half"
    )


class Tokens(Section):
    """How records become token ids."""

    max_length: int | None = Field(
        default=None, ge=8, description="tokens a record may have; default: the model's context"
    )
    too_long: Literal["drop", "truncate", "error"] = Field(
        default="drop", description="for records above max_length; counted"
    )
    context: int | None = Field(default=None, ge=8, description="new max_position_embeddings (rotary models)")
    pad_token: str = Field(default="auto", description="auto | add | eos | a token of the vocabulary")


class Optimise(Section):
    """AdamW with clipping, a warm-up and a schedule; one step sees batch_size x accumulation x processes records."""

    lr: float = Field(default=2e-5, gt=0)
    epochs: float | None = Field(default=None, gt=0, description="default 3; or give max_steps")
    max_steps: int | None = Field(default=None, ge=1)
    batch_size: int = Field(default=8, ge=1, description="records a forward pass of one process")
    accumulation: int = Field(default=1, ge=1, description="forward passes a step")
    schedule: Literal["cosine", "linear", "constant"] = "cosine"
    warmup_ratio: float = Field(default=0.03, ge=0, lt=1, description="share of the steps")
    warmup_steps: int | None = Field(default=None, ge=0, description="instead of warmup_ratio")
    weight_decay: float = Field(default=0.0, ge=0)
    max_grad_norm: float = Field(default=1.0, gt=0)
    seed: int = Field(default=42, ge=0, lt=2**32)
    precision: Literal["bf16", "fp16", "fp32"] = Field(
        default="bf16", description="autocast; the weights themselves are fp32"
    )
    group_by_length: bool = Field(
        default=False, description="fill a batch with records of similar length: less padding, less mixed batches"
    )
    gradient_checkpointing: bool = False
    threads: int | None = Field(
        default=None, ge=1, description="CPU threads; default: one for models under 20 million parameters"
    )

    @model_validator(mode="after")
    def one_length(self) -> Optimise:
        if self.epochs is not None and self.max_steps is not None:
            raise ValueError("give epochs or max_steps, not both")
        return self


class Lora(Section):
    """Low-rank adapters through peft; the base stays frozen."""

    r: int = Field(default=8, ge=1)
    alpha: float = Field(default=16, gt=0)
    dropout: float = Field(default=0.0, ge=0, lt=1)
    target_modules: str | tuple[str, ...] = Field(
        default="all-linear", description="all-linear, a name, a pattern, or a list"
    )
    output: Literal["adapter", "merged"] = Field(default="adapter", description="a PEFT folder, or whole weights")


class Save(Section):
    """What stays on disk."""

    dtype: str | None = Field(
        default=None, description="of the written weights; default: each tensor's dtype in the base"
    )
    steps: int = Field(default=500, ge=1, description="a checkpoint to resume from every so many steps")
    keep: int = Field(default=1, ge=1, description="checkpoints kept during the run")
    checkpoints: bool = Field(default=False, description="keep them after the run too, in OUT.training")


class Log(Section):
    """What is measured on the way."""

    steps: int = Field(default=10, ge=1, description="mean training loss every so many steps")
    holdout_steps: int | None = Field(
        default=None, ge=1, description="held-out loss every so many steps; it is always taken at the end"
    )


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, dict) else value


class SftRecipe(Section):
    """Supervised fine-tuning of one base on records with a prompt and a response."""

    base: str = Field(description="a folder, or a hub id")
    data: Annotated[list[Source], BeforeValidator(_listed)] = Field(min_length=1, description="one file or several")
    holdout: Annotated[float, Field(ge=0, lt=1)] | Source = Field(
        default=0.0, description="a share of the records, or a file"
    )
    prompt: str = Field(default="alpaca", description="a prompt style of deltakit.prompts")
    output: str | None = Field(default=None, description="where the model goes, unless -o says so")
    tokens: Tokens = Tokens()
    train: Optimise = Optimise()
    lora: Lora | None = None
    save: Save = Save()
    log: Log = Log()

    @model_validator(mode="after")
    def pad_of_adapter(self) -> SftRecipe:
        if self.lora and self.lora.output == "adapter" and self.tokens.pad_token == "add":
            raise ValueError("tokens.pad_token: add makes a new embedding row, which an adapter cannot hold; use eos")
        return self
