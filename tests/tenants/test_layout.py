"""How modules see the batch. Run: pytest tests/tenants/test_layout.py"""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from torch import nn

from deltakit.tenants.layout import row_layout
from support.architectures import tiny


@pytest.mark.parametrize("kind", ["llama", "gpt2", "gemma3", "phi3", "qwen3_moe"])
def test_real_models_pass_the_batch_row_by_row(kind: str) -> None:
    model = tiny(kind).model
    found = row_layout(model)
    assert set(found) == {n for n, m in model.named_modules() if m._parameters}
    assert {n for n, layout in found.items() if layout != "rows"} == {
        n for n in found if "mlp.gate" in n and "proj" not in n or "experts" in n
    }
    assert set(found.values()) <= {"rows", "flat"}


class Odd(nn.Module):
    """Time first, rows mixed, one for all, and never run."""

    device = "cpu"

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.positions = nn.Embedding(50, 4), nn.Embedding(9, 4)
        self.timed, self.mixed, self.never = (nn.Linear(4, 4) for _ in range(3))
        self.twice = nn.Linear(4, 4)
        self.config = SimpleNamespace()

    def get_input_embeddings(self) -> nn.Module:
        return self.embed

    def forward(self, input_ids: torch.Tensor) -> torch.Tensor:
        x = self.embed(input_ids) + self.positions(torch.arange(input_ids.shape[1])[None])
        y = self.timed(x.transpose(0, 1)).transpose(0, 1)
        return self.mixed(x + y.flip(0)) + self.twice(x) + self.twice(x.reshape(-1, 4)).reshape(x.shape)


def test_modules_that_see_something_else_are_told() -> None:
    assert row_layout(Odd()) == {"embed": "rows", "positions": "shared", "timed": "", "mixed": "", "twice": ""}


def test_nothing_is_left_behind_on_the_model() -> None:
    model = tiny("llama").model
    row_layout(model)
    assert not any(m._forward_pre_hooks for m in model.modules())
