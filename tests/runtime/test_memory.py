"""What counts as the end of memory. Run: pytest tests/runtime/test_memory.py"""

from __future__ import annotations

import pytest
import torch

from deltakit.runtime.memory import ran_out


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        RuntimeError("CUDA error: out of memory"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:124] err == 0. DefaultCPUAllocator: can't allocate memory"),
    ],
)
def test_the_end_of_memory(error):
    assert ran_out(error)


@pytest.mark.parametrize("error", [RuntimeError("shapes do not fit"), ValueError("out of memory"), KeyError()])
def test_other_errors_are_not(error):
    assert not ran_out(error)


def test_what_torch_says_when_a_tensor_is_too_large():
    with pytest.raises(RuntimeError) as found:
        torch.empty(1 << 60, dtype=torch.uint8)
    assert ran_out(found.value)
