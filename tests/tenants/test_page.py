"""The how-to's Python runs. Run: pytest tests/tenants/test_page.py"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from support.fleet import fleet

PAGE = Path(__file__).resolve().parents[2] / "docs" / "tenants.md"


def test_the_python_of_the_page_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    one = fleet()
    shutil.copytree(one.base, tmp_path / "models" / "base")
    for delta in (one.math, one.chat):
        shutil.copy(delta, tmp_path)
    monkeypatch.chdir(tmp_path)
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.S)
    exec(compile(code, str(PAGE), "exec"), {})
    assert "torch.Size([3, 91])" in capsys.readouterr().out
