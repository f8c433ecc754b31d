"""How a model is asked for programs: one program whose output is the answer, or text and programs in turns."""

from __future__ import annotations

from deltakit.prompts.templates import alpaca, join_query

__all__ = [
    "CODE_REQUEST",
    "CODE_STOPS",
    "COT_REQUEST",
    "POT_REQUEST",
    "TIR_REQUEST",
    "code",
    "complete",
    "pot",
    "tir",
    "tora",
]

POT_REQUEST = (
    "\n\nWrite a Python program that computes the answer and prints it, nothing else. "
    "Give the program alone, between ```python and ```."
)
COT_REQUEST = '\n\nThink step by step. At the end, write a line that begins with "The answer is:" and gives the answer.'
TIR_REQUEST = (
    "\n\nReason step by step, and leave the computing to Python: write programs between ```python and ``` that print "
    "what you need; what they print will follow in a block that begins with ```output. "
    "At the end, put the answer, and nothing else, into \\boxed{}."
)
CODE_REQUEST = (
    "Complete this Python file. Give the whole code, with everything that it needs, between ```python and ```, "
    "and no examples of its use."
)
# What begins the line after a function is over; further functions may belong to it.
CODE_STOPS = ("\nclass ", "\nassert ", "\nprint(", "\nif __name__", '\n"""', "\n#", "\n```")


def complete(instruction: str, input: str = "") -> str:
    """The beginning of a Python file and nothing else: the model goes on with it."""
    return join_query(instruction, input)


def code(instruction: str, input: str = "") -> str:
    """The Alpaca template; asks to complete the beginning of a Python file, and for all of its code."""
    return alpaca(join_query(instruction, input) + f"\n\n{CODE_REQUEST}")


def pot(instruction: str, input: str = "") -> str:
    """The Alpaca template; asks for a program whose output is the answer."""
    return alpaca(join_query(instruction, input) + POT_REQUEST)


def tir(instruction: str, input: str = "") -> str:
    """The Alpaca template; asks for reasoning in turns with programs that are run on the way."""
    return alpaca(join_query(instruction, input) + TIR_REQUEST)


def tora(instruction: str, input: str = "") -> str:
    """The format that ToRA's models were trained on, for turns of text and programs."""
    return f"<|user|>\n{join_query(instruction, input)}\n<|assistant|>\n"
