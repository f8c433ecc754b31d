from __future__ import annotations

import ast
import re
import time
from pathlib import Path

import pytest

import deltakit.sandbox.pool as pool
from deltakit.errors import RecipeError, UnsafeError
from deltakit.generate.play import Run
from deltakit.sandbox import Isolation, Outcome, Sandbox, open_sandbox


def test_outcomes_come_in_the_order_of_the_programs(box):
    programs = [Run(f"import time\ntime.sleep({0.05 if i % 7 == 0 else 0})\nprint({i})") for i in range(40)]
    seen = {}
    found = box.run(programs, lambda i, outcome: seen.update({i: outcome}))
    assert [o.stdout for o in found] == [f"{i}\n" for i in range(40)]
    assert [seen[i] for i in range(40)] == found


def test_no_program_starts_nothing(box):
    with Sandbox(box.isolation, jobs=1) as idle:
        assert idle.run([]) == []


def test_the_same_twice(box):
    programs = [Run("print({'a', 'b', 'c', 'd'}, hash('x'))"), Run("import random\nprint(random.random())")] * 3
    first, again = box.run(programs), box.run(programs)
    assert [o.stdout for o in first] == [o.stdout for o in again]
    assert len({o.stdout for o in first}) == 2  # whatever worker ran it


def test_programs_see_sympy_and_numpy_and_nothing_of_ours(box):
    wanted = [
        "import sympy\nx = sympy.symbols('x')\nprint(sympy.solve(x**2 - 2, x))",
        "import numpy as np\nprint(np.linalg.det(np.eye(3)))",
        "import deltakit",
        "import torch",
        "input()",
        "def f(:",
        "print('\u00e9', '\\ud800')",
        "if True:\r\n    print('dos')\r\n",
    ]
    found = box.run([Run(text) for text in wanted])
    assert found[0].stdout == "[-sqrt(2), sqrt(2)]\n"
    assert found[1].stdout == "1.0\n"
    assert [o.error.partition(":")[0] for o in found[2:6]] == ["ModuleNotFoundError"] * 2 + ["EOFError", "SyntaxError"]
    assert found[6].stdout == "\u00e9 \\ud800\n"
    assert found[7].stdout == "dos\n"


def test_a_program_longer_than_a_pipe(box):
    (found,) = box.run([Run("x = '" + "a" * 300_000 + "'\nprint(len(x))")])
    assert found.stdout == "300000\n"


def test_about_names_isolation_and_versions(box):
    about = box.about()
    assert about["isolation"] == box.isolation.kind
    assert about["programs"]["python"].startswith("3.")
    assert "sympy" in about["programs"]


def test_an_interrupt_leaves_no_worker(box):
    def stop(index: int, outcome: Outcome) -> None:
        raise KeyboardInterrupt

    with Sandbox(box.isolation, jobs=2) as made:
        with pytest.raises(KeyboardInterrupt):
            made.run([Run("print(1)")] * 4, stop)
        assert [worker.hello for worker in made._workers] == [{}, {}]
        assert made.run([Run("print(2)")])[0].stdout == "2\n"


def test_refused_where_nothing_isolates(monkeypatch):
    monkeypatch.setattr(pool, "available", lambda: None)
    monkeypatch.setattr(pool, "why_not", lambda: ["bubblewrap: not installed", "namespaces: not permitted"])
    with pytest.raises(UnsafeError, match="not run") as caught:
        open_sandbox()
    assert caught.value.exit_code == 4
    assert "bubblewrap: not installed" in str(caught.value)
    with open_sandbox("unsafe", jobs=1) as unsafe:
        assert unsafe.about()["isolation"] == "unsafe"
        assert unsafe.run([Run("print(1)")])[0].stdout == "1\n"


def test_unsafe_takes_the_isolation_that_there_is(box):
    with open_sandbox("unsafe", jobs=1) as found:
        assert found.isolation == box.isolation


def test_unknown_permission():
    with pytest.raises(RecipeError, match="unsaef"):
        open_sandbox("unsaef")


def test_limits_hold_without_isolation():
    """The unsafe way still ends what runs too long, takes too much or talks to the network."""
    unsafe = Isolation.of("unsafe")
    assert unsafe is not None
    with Sandbox(unsafe, jobs=1) as made:
        began = time.monotonic()
        found = made.run(
            [
                Run("import time\ntime.sleep(600)", 0.3),
                Run("x = bytearray(2 << 30)"),
                Run("import os\nos._exit(0)"),
                Run("import socket\nsocket.socket()"),
                Run("import os\nopen('x', 'w').write('1')\nprint('API' in os.environ)"),
                Run("import os\nprint(os.listdir('.'))"),
            ]
        )
        assert time.monotonic() - began < 120
        folder = made._workers[0].isolation
    assert folder is unsafe
    assert [o.status for o in found] == ["timeout", "memory", "exited", "error", "ok", "ok"]
    assert found[-1].stdout == "[]\n"


def test_one_server_that_dies_is_replaced(box):
    with Sandbox(box.isolation, jobs=1) as made:
        assert made.run([Run("print(1)")])[0].ok
        process = made._workers[0]._process
        assert process is not None
        process.kill()
        process.wait()
        found = made.run([Run("print(2)"), Run("print(3)")])
    assert found[1].stdout == "3\n"
    assert found[0].status in ("killed", "ok")


def test_only_the_fork_server_executes_text():
    """By reading: the parent has neither exec nor eval, and imports neither server nor jail."""
    for path in Path(pool.__file__).parent.glob("*.py"):
        calls = {ast.unparse(n.func) for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.Call)}
        assert not calls & {"exec", "eval", "__import__", "compile"} or path.name == "server.py", path
        assert path.name == "server.py" or not re.search(r"import .*\b(server|jail)\b", path.read_text()), path
