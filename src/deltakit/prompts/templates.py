"""Prompt templates: one place for training, synthesis and evaluation, so that a model is asked as it was taught.

Source: Stanford Alpaca's two templates, as MetaMath's train_math.py and eval_gsm8k.py use them. Training joins prompt
and response with nothing between; MetaMath asks at inference with " Let's think step by step." appended, a suffix that
its training data never holds.
"""

from __future__ import annotations

__all__ = ["HEADERS", "alpaca", "bare", "join_query", "metamath", "qa", "split_query"]

NO_INPUT = (
    "Below is an instruction that describes a task. "
    "Write a response that appropriately completes the request.\n\n"
    "### Instruction:\n{instruction}\n\n### Response:"
)
WITH_INPUT = (
    "Below is an instruction that describes a task, paired with an input that provides further context. "
    "Write a response that appropriately completes the request.\n\n"
    "### Instruction:\n{instruction}\n\n### Input:\n{input}\n\n### Response:"
)
STEP_BY_STEP = " Let's think step by step."
# Whole headers, never bare words such as "Response": a solution may use the word.
HEADERS = ("\n\n### Instruction:", "\n\n### Input:", "\n\n### Response:", "\n\nBelow is an instruction")


def split_query(query: str) -> tuple[str, str]:
    """(instruction, input) of a question: as in MetaMath, line 1 is the instruction, the rest, if any, the input."""
    instruction, _, rest = query.partition("\n")
    return instruction, rest


def join_query(instruction: str, input: str = "") -> str:
    """The question that `split_query` split."""
    return f"{instruction}\n{input}" if input else instruction


def alpaca(instruction: str, input: str = "") -> str:
    """The template that fine-tuning uses; the variant with an input exactly where there is one."""
    # replace, not format: a question may hold braces
    if not input:
        return NO_INPUT.replace("{instruction}", instruction)
    before, _, after = WITH_INPUT.partition("{input}")
    return before.replace("{instruction}", instruction) + input + after


def metamath(instruction: str, input: str = "") -> str:
    """MetaMath's inference prompt: always the template without input, the whole question in it, and the suffix."""
    return alpaca(join_query(instruction, input)) + STEP_BY_STEP


def qa(instruction: str, input: str = "") -> str:
    """Question and answer lines, for models that were never fine-tuned on a template."""
    return f"Question: {join_query(instruction, input)}\nAnswer:"


def bare(instruction: str, input: str = "") -> str:
    """The question and nothing else, for use under a tokenizer's own chat template."""
    return join_query(instruction, input)
