"""Modules that know of tenants, one at a time. Run: pytest tests/tenants/test_modules.py"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from deltakit.errors import MismatchError
from deltakit.tenants.modules import TenantLinear, TenantModule, TenantNorm, aware, plain, with_parameters
from deltakit.tenants.rows import Assignment, Now
from deltakit.tenants.share import Share
from deltakit.tenants.table import Table


class Rms(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.weight * (x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6))


class Router(nn.Module):
    """Several outputs, one of them no tensor, and inputs that run along."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(3, 4, generator=torch.Generator().manual_seed(0)))

    def forward(self, x: torch.Tensor, factor: torch.Tensor, power: int = 1) -> tuple[torch.Tensor, dict[str, Any]]:
        y = (x @ self.weight.T) ** power
        return y * factor, {"best": y.argmax(-1), "power": power}


def table(module: nn.Module, layout: str = "rows", **own: torch.Tensor) -> Table:
    shares = {name: Share(own={"weight": weight}) for name, weight in own.items()}
    return Table("m", Now(), layout, shares)


def own(module: nn.Module, weight: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
    return with_parameters(module, {"weight": weight}).forward(*args, **kwargs)


@pytest.mark.parametrize("kind", [TenantModule, TenantNorm])
@pytest.mark.parametrize("module", [Rms(4), nn.LayerNorm(4), nn.RMSNorm(4)], ids=["rms", "layer", "fused rms"])
def test_norms_use_every_rows_own_weights(module: nn.Module, kind: type) -> None:
    if kind is TenantNorm and not TenantNorm.fits(module):
        pytest.skip("computed tenant by tenant")
    a, b = torch.randn(4), torch.randn(4)
    made = table(module, a=a, b=b)
    aware(module, kind, made)
    x = torch.randn(4, 3, 2, 4)
    made.now.rows = Assignment(["b", None, "a", "b"])
    with torch.no_grad():
        found = module(x)
        base = module.weight.detach()
        for row, weight in enumerate((b, base, a, b)):
            torch.testing.assert_close(found[row], own(module, weight, x[row]))
    plain(module)


def test_which_norms_run_in_one_pass() -> None:
    assert TenantNorm.fits(Rms(4))
    assert TenantNorm.fits(nn.LayerNorm(4))
    assert not TenantNorm.fits(nn.LayerNorm((2, 4)))
    assert not TenantNorm.fits(Router())
    assert not TenantNorm.fits(nn.Linear(4, 4))


def test_any_small_module_runs_tenant_by_tenant() -> None:
    module = Router()
    weight = torch.randn(3, 4)
    made = table(module, "flat", a=weight)
    aware(module, TenantModule, made)
    made.now.rows = Assignment(["a", None, "a"])
    x, factor = torch.randn(6, 4), torch.rand(6, 1)
    with torch.no_grad():
        y, more = module(x, factor, power=2)
        want = own(module, weight, x, factor, power=2)
        torch.testing.assert_close(y[[0, 1, 4, 5]], want[0][[0, 1, 4, 5]])
        assert torch.equal(more["best"][4:], want[1]["best"][4:])
        torch.testing.assert_close(y[2:4], own(module, module.weight, x, factor, power=2)[0][2:4])
        assert more["power"] == 2
        made.now.rows = Assignment(["a", "a"])
        torch.testing.assert_close(module(x, factor)[0], own(module, weight, x, factor)[0])


def test_what_is_one_for_all_rows_is_told_apart() -> None:
    module = nn.Embedding(5, 2)
    weight = torch.randn(5, 2)
    made = table(module, "shared", a=weight)
    aware(module, TenantModule, made)
    made.now.rows = Assignment([None, "a"])
    found = module(torch.tensor([[1, 4]]))
    assert found.shape == (2, 2, 2)
    assert torch.equal(found[1], weight[[1, 4]])


def test_an_output_in_another_order_is_refused() -> None:
    class Turned(nn.Linear):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return super().forward(x).transpose(0, 1)

    module = Turned(4, 4)
    made = table(module, a=torch.zeros(4, 4))
    aware(module, TenantModule, made)
    made.now.rows = Assignment([None, "a"])
    with pytest.raises(MismatchError, match="not laid out by rows"):
        module(torch.zeros(2, 3, 4))


def test_a_module_stays_the_same_object_and_goes_back() -> None:
    module = nn.Linear(3, 2)
    weight = module.weight
    made = Table("m", Now(), "rows")
    aware(module, TenantLinear, made)
    aware(module, TenantLinear, made)
    assert isinstance(module, nn.Linear)
    assert isinstance(module, TenantLinear)
    assert module.weight is weight
    assert list(module.state_dict()) == ["weight", "bias"]
    plain(module)
    assert type(module) is nn.Linear
    assert "_tenants" not in module.__dict__
