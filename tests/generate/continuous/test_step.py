import pytest
import torch

from deltakit.generate.continuous.attention import attend
from deltakit.generate.continuous.hook import Piece, hooked
from deltakit.generate.continuous.kernels.native import attend_native
from deltakit.generate.continuous.slots import SlotCache
from deltakit.generate.continuous.step import Steps, kernel_for
from deltakit.generate.voices import Voices
from support.running import running


@torch.no_grad()
def test_prompts_then_a_step() -> None:
    model, _ = running()
    rows = [[5, 6, 7, 8], [9, 10], [11, 12, 13]]
    want = [model(input_ids=torch.tensor([row])).logits[0] for row in rows]
    steps = Steps(model, Voices({}), SlotCache.of(model, 4, 8))
    wanted = [(Piece(3, 0, rows[0][:-1]), 0), (Piece(0, 0, rows[1][:-1]), 1), (Piece(1, 0, rows[2][:-1]), 1)]
    with hooked(model):
        found = steps.prompts(wanted, None)
        assert [len(logits) for logits in found] == [3, 0, 1]
        torch.testing.assert_close(found[0], want[0][:-1], rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(found[2], want[2][1:2], rtol=1e-4, atol=1e-4)
        (none,) = steps.prompts([(Piece(2, 0, [7]), 1)], None)
        assert len(none) == 0
        slots, lengths = torch.tensor([3, 0, 1], dtype=torch.int32), torch.tensor([4, 2, 3], dtype=torch.int32)
        last = steps.decode(torch.tensor([8, 10, 13]), slots, lengths, (None,) * 3, 4)
    torch.testing.assert_close(last, torch.stack([w[-1] for w in want]), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("dtype", "positions"), [(torch.float32, 100), (torch.bfloat16, 1 << 20)])
def test_little_work_and_other_dtypes_stay_with_the_plain_form(dtype: torch.dtype, positions: int) -> None:
    model, _ = running()
    assert kernel_for(model.to(dtype), positions) is attend


def test_much_work_on_the_cpu_is_compiled() -> None:
    assert kernel_for(running()[0], 1 << 20) is attend_native
