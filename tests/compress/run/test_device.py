"""Memory that ends. Run: pytest tests/compress/run/test_device.py"""

from __future__ import annotations

import pytest

from deltakit.compress.run.device import check_device, room_on
from deltakit.errors import RecipeError, ResourceError


class OutOfMemoryError(RuntimeError):
    """As torch names it."""


@pytest.mark.parametrize("error", [MemoryError(), OutOfMemoryError("CUDA"), RuntimeError("CUDA error: out of memory")])
def test_it_is_said_in_words(error: Exception) -> None:
    with (
        pytest.raises(ResourceError, match="out of memory on cuda while coding 'a': 5 bytes") as wrong,
        room_on("cuda", "coding 'a'", "5 bytes"),
    ):
        raise error
    assert "--device cpu" in wrong.value.remedy
    with pytest.raises(ResourceError) as wrong, room_on("cpu", "x"):
        raise error
    assert "--threads" in wrong.value.remedy


def test_other_errors_pass() -> None:
    with pytest.raises(RuntimeError, match="shapes"), room_on("cpu", "x"):
        raise RuntimeError("shapes do not fit")


def test_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    check_device("cpu")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    check_device("cuda")
    with pytest.raises(ResourceError, match="no device cuda:1"):
        check_device("cuda:1")
    for wrong in ("tpu", "cuda:x", "cuda:-1"):
        with pytest.raises(RecipeError, match="not known"):
            check_device(wrong)
