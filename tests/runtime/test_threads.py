import pytest
import torch

from deltakit.runtime.threads import threads_for


@pytest.mark.parametrize(
    ("parameters", "device", "inside"), [(1_000_000, "cpu", 1), (7_000_000_000, "cpu", 2), (1_000_000, "cuda", 2)]
)
def test_only_a_small_model_on_the_cpu_gets_one_thread(parameters: int, device: str, inside: int) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with threads_for(parameters, device):
            assert torch.get_num_threads() == inside
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_the_setting_returns_after_an_error() -> None:
    before = torch.get_num_threads()
    with pytest.raises(ZeroDivisionError), threads_for(1):
        1 / 0  # noqa: B018
    assert torch.get_num_threads() == before
