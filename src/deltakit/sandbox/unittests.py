"""Programs that test what a model wrote: HumanEval's and MBPP's items, and where in a response the code is.

Sources: Chen et al. 2021 (arXiv:2107.03374), Austin et al. 2021 (arXiv:2108.07732).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from deltakit.generate.blocks import fenced, is_python
from deltakit.sandbox.outcome import Outcome

__all__ = ["PASSED", "code_in", "with_tests", "trimmed", "verdict"]

PASSED = "passed"
_MOST = 400  # lines that trimming looks at


def with_tests(item: Mapping[str, Any], response: str, trim: bool = False) -> str:
    """The program that ends well exactly if the code in a response passes the tests of its item.

    An item of HumanEval has `prompt` (which the response may continue, or write again), `entry_point` and `test`; one
    of MBPP `test_list` and `test_setup_code`. With `trim` lines that break the code are cut from its end, and a first
    line whose indentation was lost gets it back.
    """
    code = code_in(response)
    if "entry_point" in item:
        name, prompt = str(item["entry_point"]), str(item["prompt"])
        again = re.search(rf"^(async\s+)?def {re.escape(name)}\b", code, re.MULTILINE) is not None
        # A function that is written again stands behind the prompt, whose imports and helpers it may use.
        code = _joined(f"{prompt}\n" if again else prompt, code, trim)
        tests = f"{item['test']}\ncheck({name})"
    else:
        code = _joined("", code, trim)
        tests = "\n".join([str(item.get("test_setup_code") or ""), *map(str, item["test_list"])])
    alone = "__name__ = 'tested'\n" if "__name__" in code else ""  # what only a script does is no part of the answer
    return f"{alone}{code}\n{tests}\n".replace("\r\n", "\n")


def code_in(response: str) -> str:
    """The Python blocks of a response, one after the other; the whole response if it has none. An end mark without a
    beginning, as of a prompt that opened the block, ends the code."""
    blocks = fenced(response)
    python = [block for block in blocks if block.is_python and (block.text.strip() or block.closed)]
    if any(block.closed or block.language for block in python):
        return "\n".join(block.text for block in python)
    return response[: blocks[0].start] if blocks else response


def _joined(before: str, code: str, trim: bool) -> str:
    """What was begun, and how it goes on; with `trim` in the first form of which enough is Python."""
    forms = [before + code, f"{before}    {code.lstrip(' ')}"] if trim else []
    return next((found for form in forms if (found := trimmed(form, before)) is not None), before + code)


def trimmed(text: str, begin: str = "") -> str | None:
    """The longest beginning, in lines, that is Python, and more than `begin`; None if there is none."""
    lines = text.splitlines(keepends=True)
    for count in range(len(lines), max(0, len(lines) - _MOST), -1):
        part = "".join(lines[:count])
        if len(part.strip()) <= len(begin.strip()):
            return None
        if is_python(part):
            return part
    return None


def verdict(outcome: Outcome) -> str:
    """ "passed", or how and why the program ended otherwise: "error: AssertionError"."""
    return PASSED if outcome.ok else f"{outcome.status}: {outcome.error}"
