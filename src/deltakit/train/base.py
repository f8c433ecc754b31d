"""The base made ready for training: weights in float32, context, padding token, adapters."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch

from deltakit.checkpoint.sidecar import Sidecar
from deltakit.delta.open import Model, open_model
from deltakit.errors import InputError, RecipeError
from deltakit.runtime import load_model, load_tokenizer
from deltakit.train.recipe import Lora, SftRecipe

__all__ = ["Base", "load_trainable", "open_base", "peft_silenced"]

PAD = "[PAD]"  # the name that Alpaca and MetaMath give the token they add


@dataclass(frozen=True)
class Base:
    """What is trained, before any weight is read. `sidecar` has the recipe's context; `pad` is the padding token's id;
    `rows` is the vocabulary the model must have (more than it has now where a padding token was added)."""

    model: Model
    sidecar: Sidecar
    tokenizer: Any
    pad: int
    rows: int
    max_length: int
    pad_changed: bool
    tokenizer_changed: bool

    @property
    def parameters(self) -> int:
        """Float elements of the base."""
        return sum(spec.numel for spec in self.model.tensors.specs.values() if spec.is_float)


def open_base(recipe: SftRecipe) -> Base:
    """Open the base (any MODEL string), its tokenizer and config; nothing but headers is read.

    Raises InputError for what is missing, RecipeError for a context or length that the model does not have.
    """
    model = open_model(recipe.base)
    sidecar = model.sidecar.cleaned()[0]
    if sidecar.config is None:
        raise InputError(f"{recipe.base}: no config.json", remedy="name a Hugging Face folder or hub id")
    tokenizer = load_tokenizer(sidecar)
    rows = _rows(sidecar)
    sidecar, context = _context(sidecar, recipe)
    changed = _pad(tokenizer, recipe, rows)
    if recipe.tokens.context:
        tokenizer.model_max_length = context
    return Base(
        model=model,
        sidecar=sidecar,
        tokenizer=tokenizer,
        pad=tokenizer.pad_token_id,
        rows=max(rows, tokenizer.pad_token_id + 1),
        max_length=_max_length(recipe, context),
        pad_changed=changed,
        tokenizer_changed=changed or bool(recipe.tokens.context),
    )


def _rows(sidecar: Sidecar) -> int:
    config = sidecar.config or {}
    found = config.get("vocab_size") or (config.get("text_config") or {}).get("vocab_size")
    if not isinstance(found, int):
        raise InputError("config.json gives no vocab_size", remedy="use a causal language model's folder")
    return found


def _context(sidecar: Sidecar, recipe: SftRecipe) -> tuple[Sidecar, int]:
    """The sidecar with the recipe's context in it, and the context."""
    config = sidecar.config or {}
    found, wanted = config.get("max_position_embeddings"), recipe.tokens.context
    if wanted and not isinstance(found, int):
        raise RecipeError(
            f"tokens.context: {config.get('model_type')} has no max_position_embeddings to change",
            remedy="leave tokens.context out; positions of this model are learned or unbounded",
        )
    if wanted:
        return sidecar.with_config(max_position_embeddings=wanted), wanted
    return sidecar, found or config.get("n_positions") or recipe.tokens.max_length or 2048


def _max_length(recipe: SftRecipe, context: int) -> int:
    wanted = recipe.tokens.max_length or context
    if wanted > context:
        raise RecipeError(
            f"tokens.max_length {wanted} is above the model's context of {context}",
            remedy=f"set tokens.context to {wanted} (rotary models), or lower max_length",
        )
    return wanted


def _pad(tokenizer: Any, recipe: SftRecipe, rows: int) -> bool:
    """Give the tokenizer a padding token by the recipe's policy; True if that changed it."""
    policy = recipe.tokens.pad_token
    if policy == "auto":
        if tokenizer.pad_token_id is not None:
            return False
        policy = "eos" if recipe.lora and recipe.lora.output == "adapter" else "add"
    if policy == "add":
        if tokenizer.pad_token_id is not None:
            return False
        if PAD in tokenizer.get_vocab():
            raise RecipeError(f"tokens.pad_token: the vocabulary already holds {PAD}", remedy=f'set it to "{PAD}"')
        tokenizer.add_special_tokens({"pad_token": PAD})
        return True
    token = tokenizer.eos_token if policy == "eos" else policy
    known = tokenizer.get_vocab()
    if token not in known or known[token] >= rows:
        raise RecipeError(f"tokens.pad_token: {token!r} is not in the vocabulary", remedy="use auto, add, or eos")
    before = tokenizer.pad_token
    tokenizer.pad_token = token
    return bool(before != token)


def load_trainable(base: Base, recipe: SftRecipe) -> Any:
    """The transformers model in training mode, float32 weights; with `lora`, wrapped by peft and the base frozen.

    A new vocabulary row is the mean of the old ones, in the head too (Alpaca, MetaMath).
    """
    model = load_model(base.model.tensors, base.sidecar, dtype="F32")
    model.requires_grad_(True)
    model.config.use_cache = False
    if base.rows > model.get_input_embeddings().weight.shape[0]:
        _grow(model, base.rows)
    if recipe.lora:
        model = _adapted(model, recipe.lora, recipe.train.seed)
    if recipe.train.gradient_checkpointing:
        _checkpoint_activations(model)
    return model.train()


def _checkpoint_activations(model: Any) -> None:
    # transformers renamed the call, and warns of the old name
    enable = getattr(model, "activation_checkpointing_enable", None) or model.gradient_checkpointing_enable
    enable({"use_reentrant": False})


def _grow(model: Any, rows: int) -> None:
    before = model.get_input_embeddings().weight.shape[0]
    model.resize_token_embeddings(rows, mean_resizing=False)
    with torch.no_grad():
        for layer in (model.get_input_embeddings(), model.get_output_embeddings()):
            if layer is not None:
                layer.weight[before:] = layer.weight[:before].mean(0, keepdim=True)


@contextmanager
def peft_silenced() -> Iterator[None]:
    """Without the warning that peft asks a transformers model by an old name of a property."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "`is_gradient_checkpointing` is deprecated", FutureWarning)
        yield


def _adapted(model: Any, lora: Lora, seed: int) -> Any:
    from peft import LoraConfig, get_peft_model

    targets = lora.target_modules if isinstance(lora.target_modules, str) else list(lora.target_modules)
    config = LoraConfig(
        r=lora.r, lora_alpha=lora.alpha, lora_dropout=lora.dropout, target_modules=targets, bias="none",
        task_type="CAUSAL_LM",
    )  # fmt: skip
    # peft draws A from torch's global generator; forked so that nothing outside sees it, seeded so that a run repeats
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        try:
            with peft_silenced():
                adapted = get_peft_model(model, config)
        except ValueError as error:
            raise RecipeError(f"lora.target_modules: {error}", remedy="name modules as the model calls them") from error
    # peft would look the base up on the hub at every save; publishing names it
    adapted.peft_config["default"].base_model_name_or_path = ""
    return adapted
