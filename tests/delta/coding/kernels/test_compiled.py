"""Where compiled code is kept, and that it computes to IEEE rules."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from deltakit.delta.coding.kernels import compiled as module
from deltakit.delta.coding.kernels.compiled import as_bits, as_float, compiled


@compiled
def multiply_add(a, b, c):
    return a * b + c


@compiled
def turn(x):
    return as_float(as_bits(x) ^ np.uint32(0x80000000))


def test_products_are_rounded_before_they_are_added() -> None:
    a, c = np.float32(1 + 2**-12), np.float32(-1 - 2**-11)
    assert multiply_add(a, a, c) == np.float32(a * a) + c == 0  # fused, the square's last bit would be left


def test_bits_are_reached_and_put_back() -> None:
    assert turn(np.float32(1.5)) == -1.5


def test_code_is_kept_where_the_user_says_under_the_sources_digest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "a"))
    folder = module._folder()
    assert folder is not None
    assert folder.parent == tmp_path / "a"
    assert folder.name.startswith("deltakit-")
    made = compiled(lambda x: x + 1)
    assert made(1) == 2
    assert any((tmp_path / "a").rglob("*.nbi"))


def test_a_folder_that_cannot_be_made_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "file"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = module._folder()
    assert folder is not None
    assert folder.parent == tmp_path / "cache"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    monkeypatch.setenv("HOME", str(tmp_path / "file"))
    assert module._folder() is None
    assert compiled(lambda x: x * 2)(4) == 8  # this run compiles for itself
