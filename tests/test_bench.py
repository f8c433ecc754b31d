"""The benchmarks of this repository: they run, and their pages are listed. Run: pytest tests/test_bench.py"""

from __future__ import annotations

import ast
import importlib
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
BENCH = ROOT / "bench"
SCRIPTS = sorted(p for p in BENCH.rglob("*.py") if "__pycache__" not in p.parts)


@cache
def listed() -> str:
    return (BENCH / "README.md").read_text()


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda p: p.relative_to(BENCH).as_posix())
def test_what_a_script_imports_from_here_is_there(script: Path) -> None:
    """Wherever it does so, within functions too: scripts are run by hand, and rot unseen."""
    for node in ast.walk(ast.parse(script.read_text(), str(script))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0].startswith("deltakit"):
            module = importlib.import_module(str(node.module))
            for name in (alias.name for alias in node.names):
                if not hasattr(module, name):
                    importlib.import_module(f"{node.module}.{name}")
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.startswith("deltakit"):
                    importlib.import_module(alias.name)


@pytest.mark.parametrize("script", ["compress_memory.py", "compress_quality/run.py"])
def test_help_needs_nothing(script: str) -> None:
    if not (BENCH / script).is_file():
        pytest.skip("no such script")
    done = subprocess.run([sys.executable, str(BENCH / script), "--help"], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "usage" in done.stdout


def test_every_page_is_listed_and_every_listed_page_is_there() -> None:
    pages = {p.name for p in (BENCH / "results").glob("*.md")}
    assert pages == set(re.findall(r"\(results/([\w.-]+\.md)\)", listed()))


def test_every_script_that_is_named_is_there() -> None:
    named = set(re.findall(r"bench/[\w/]+\.(?:py|sh)", listed()))
    for page in (BENCH / "results").glob("*.md"):
        named |= set(re.findall(r"bench/[\w/]+\.(?:py|sh)", page.read_text()))
    assert not [name for name in sorted(named) if not (ROOT / name).is_file()]
