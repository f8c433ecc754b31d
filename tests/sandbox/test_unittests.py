from __future__ import annotations

import ast

import pytest

from deltakit.data.jsonl import Row, read_rows
from deltakit.generate.play import Run
from deltakit.sandbox.outcome import Outcome
from deltakit.sandbox.unittests import code_in, trimmed, verdict, with_tests

ADD = {
    "prompt": 'import math\n\ndef add(a, b):\n    """Their sum."""\n', "entry_point": "add",
    "test": "def check(candidate):\n    assert candidate(2, 2) == 4\n",
}  # fmt: skip
SORT = {"test_setup_code": "import re", "test_list": ["assert one() == 1", "assert re"]}


def rows(shared_data, name, step=1):
    return [row.value for row in read_rows(shared_data / "code" / name) if isinstance(row, Row)][::step]


class _Spoil(ast.NodeTransformer):
    def visit_Return(self, node):
        node.value = ast.Tuple([ast.Constant("spoilt"), node.value or ast.Constant(None)], ast.Load())
        return node


def spoilt(code: str) -> str:
    """The same program, but whatever a function returns is another value."""
    return ast.unparse(ast.fix_missing_locations(_Spoil().visit(ast.parse(code.replace("\r\n", "\n")))))


def passes(box, item, response, trim=False):
    return box.run([Run(with_tests(item, response, trim))])[0]


def test_every_solution_of_humaneval_passes_and_every_spoilt_one_fails(box, shared_data):
    items = rows(shared_data, "humaneval.jsonl")
    assert len(items) == 164
    right = [with_tests(i, i["canonical_solution"]) for i in items]
    wrong = [with_tests(i, f"```python\n{spoilt(i['prompt'] + i['canonical_solution'])}\n```") for i in items]
    found = box.run([Run(text, 20.0) for text in right + wrong])
    assert [i["task_id"] for i, o in zip(items, found[:164], strict=True) if not o.ok] == []
    assert [i["task_id"] for i, o in zip(items, found[164:], strict=True) if o.ok] == []


def test_solutions_of_mbpp_pass_and_spoilt_ones_fail(box, shared_data):
    items = rows(shared_data, "mbpp_test.jsonl", step=5)
    assert any("\r\n" in i["code"] for i in items)
    right, wrong = ([with_tests(i, f(i["code"])) for i in items] for f in (str, spoilt))
    found = box.run([Run(text, 20.0) for text in [*right, *wrong]])
    assert [i["task_id"] for i, o in zip(items, found, strict=False) if not o.ok] == []
    assert [i["task_id"] for i, o in zip(items, found[len(items) :], strict=True) if o.ok] == []


@pytest.mark.parametrize(
    "response",
    [
        "    return a + b",
        "    return math.fsum([a, b])\n\n\ndef helper():\n    pass\n",
        "Here it is:\n```python\ndef add(a, b):\n    return math.fsum([a, b])\n```\nIt adds.",
        "def add(a, b):\n    return a + b",
        "```python\n    return a + b\n```",
        "    return a + b\n```\nAs you see, ...",  # the end mark of a block that the prompt opened
        "    return a + b\n\nif __name__ == '__main__':\n    print(add(*input().split()))",
        "```\ndef add(a, b):\n    return a + b\n```",
        "```python\nx = 1\n```\nthen\n```python\ndef add(a, b):\n    return a + b\n```",
    ],
)
def test_code_is_found_as_models_write_it(box, response):
    assert passes(box, ADD, response).ok


@pytest.mark.parametrize(
    ("response", "strict", "flexible"),
    [
        ("    return a + b\n\nThis adds the two.", False, True),
        ("    return a + b\n\ndef other(x):\n    return (", False, True),
        ("return a + b", False, True),  # a chat template took the blanks at its beginning
        ("    return a - b", False, False),
        ("", False, False),
        ("I cannot.", False, False),
    ],
)
def test_trimming_mends_the_end_and_nothing_else(box, response, strict, flexible):
    assert (passes(box, ADD, response).ok, passes(box, ADD, response, trim=True).ok) == (strict, flexible)


@pytest.mark.parametrize(
    "response",
    [
        "    import os; os._exit(0)",
        "    raise SystemExit(0)",
        "    print('passed')\n    return 5",
        "```python\nimport sys\nsys.exit(0)\ndef add(a, b): return 0\n```",
        "    return 4\nadd = lambda a, b: 5",
    ],
)
def test_leaving_early_passes_no_test(box, response):
    assert not passes(box, ADD, response).ok


def test_an_item_with_tests_alone(box):
    assert passes(box, SORT, "def one():\n    return 1").ok
    assert passes(box, SORT, "def one():\r\n    return 1\r\n").ok
    assert verdict(passes(box, SORT, "def one():\n    return 2")) == "error: AssertionError"
    assert verdict(passes(box, SORT, "def two():\n    return 1")) == "error: NameError: name 'one' is not defined"


def test_what_counts_as_code():
    assert code_in("plain") == "plain"
    assert code_in("```output\n1\n```") == ""
    assert code_in("a\n```python\nx\n") == "x\n"


def test_trimmed():
    assert trimmed("a = 1\nb = (\n") == "a = 1\n"
    assert trimmed("(", "") is None
    assert trimmed("a = 1\n(", "a = 1\n") is None
    assert trimmed("(\n" * 5000) is None


def test_verdict():
    assert verdict(Outcome("", "", "ok", 0.1)) == "passed"
    assert verdict(Outcome("", "over the time limit", "timeout", 9.0)) == "timeout: over the time limit"
