"""How models are asked: one place for training, synthesis and evaluation, so that a model is asked as it was taught."""

from __future__ import annotations

from deltakit.prompts.styles import FAMILIES, STYLES, PromptStyle, check_style, prompt_style, styles_of
from deltakit.prompts.templates import alpaca, bare, join_query, metamath, qa, split_query

__all__ = [
    "FAMILIES",
    "STYLES",
    "PromptStyle",
    "alpaca",
    "bare",
    "check_style",
    "join_query",
    "metamath",
    "prompt_style",
    "qa",
    "split_query",
    "styles_of",
]
