from __future__ import annotations

import json
import subprocess
import sys

import pytest

pytest.importorskip("math_verify")

from deltakit.grade.equality.symbolic import compare  # noqa: E402


@pytest.mark.parametrize(
    ("answer", "gold", "same"),
    [
        (r"\pi/2", r"\frac{\pi}{2}", True),
        ("x^2+2x+1", "(x+1)^2", True),
        (r"$\sqrt{8}$", r"2\sqrt{2}", True),
        ("x+1", "x-1", False),
        ("", "3", False),
    ],
)
def test_algebra_decides(answer: str, gold: str, same: bool) -> None:
    assert compare(answer, gold) is same


def ask(*requests: dict[str, object]) -> list[dict[str, object]]:
    lines = "".join(json.dumps(r) + "\n" for r in requests)
    command = [sys.executable, "-m", "deltakit.grade.equality.symbolic"]
    done = subprocess.run(command, input=lines, capture_output=True, text=True, timeout=60, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_the_program_is_ready_answers_in_order_and_ends_with_its_input() -> None:
    endless = {"answer": "10^{10^{10^{10}}}", "gold": "3", "seconds": 0.5}
    plain = {"answer": "(x+1)^2", "gold": "x^2+2x+1", "seconds": 20}
    assert ask(plain, endless, plain) == [
        {"ready": True, "why": ""},
        {"same": True, "why": ""},
        {"same": False, "why": "timeout"},
        {"same": True, "why": ""},
    ]
