"""Thresholds, majorities and angles by kernels are those of the numpy forms, by whatever way they were found."""

from __future__ import annotations

import numpy as np
import pytest

from deltakit.delta.difference import difference
from deltakit.errors import InputError
from deltakit.merge.compute.pulls import BaseRows
from deltakit.merge.engine import program, select
from deltakit.merge.method import Group
from deltakit.merge.reduce.elected_mean import Elected, ElectedMean, Majority
from deltakit.merge.reduce.slerp import Arced, Arcs, Slerp
from deltakit.sparsify.drop import Drop
from deltakit.sparsify.flow import Flow, flow_of
from deltakit.sparsify.trim import Thresholds, Trim, Trimmed
from deltakit.tensors import Mapped, TensorMap, TensorSpec, as_bytes, from_float32
from support.programs import Array, family

SHAPES = {"a": (5000,), "b": (40, 33), "c": (0,), "d": ()}


def split(values: Array, dtype: str) -> Mapped:
    """A vector as the tensors of SHAPES."""
    specs = {n: TensorSpec(s, dtype) for n, s in SHAPES.items()}
    ends = np.cumsum([s.numel for s in specs.values()])
    parts = dict(zip(specs, np.split(values, ends), strict=False))

    def pull(name: str, lo: int, hi: int) -> memoryview:
        size = specs[name].row_size
        return as_bytes(from_float32(parts[name][lo * size : hi * size], dtype))

    return Mapped(specs, pull)


def drawn(dtype: str, models: int = 2, seed: int = 0) -> tuple[Mapped, list[Flow]]:
    base, tuned = family(5000 + 40 * 33 + 1, models, dtype, seed)
    one = split(base, dtype)
    return one, [
        flow_of(difference(one, split(t, dtype)), model=f"m{i}", seed=7) for i, t in enumerate(tuned)
    ]  # fmt: skip


def trimmed(flow: Flow, density: float, scope: str = "model") -> Thresholds:
    pull = Trim(density, scope).on(flow).pull
    assert isinstance(pull, Trimmed)
    return pull.thresholds


@pytest.mark.parametrize("density", [1e-4, 0.2, 0.5, 0.9999])
@pytest.mark.parametrize("dtype", ["BF16", "F32"])
@pytest.mark.parametrize("sample", [1 << 20, 512, 1])
@pytest.mark.parametrize("scope", ["model", "tensor"])
def test_thresholds_are_exact_however_sampled(
    density: float, dtype: str, sample: int, scope: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(select, "_SAMPLE", sample)
    base, flows = drawn(dtype)
    for name in SHAPES:
        found = trimmed(flows[0], density, scope)
        expected = found.find(found.names(name), select.silent)
        assert select.threshold(base, found, name) == expected
        assert found.of(name) == expected


def test_a_bracket_that_misses_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """The sampled blocks lie: every second one holds other magnitudes."""
    monkeypatch.setattr(select, "_SAMPLE", 1)
    base, (flow,) = drawn("F32", 1)
    wild = np.arange(6321) // 1024 % 2 == 1
    skewed = flow_of(difference(base, split(np.where(wild, 100.0, 0.0).astype(np.float32), "F32")), model="m", seed=0)
    for density in (0.01, 0.5, 0.99):
        found = trimmed(skewed, density)
        assert select.threshold(base, found, "a") == found.find(found.names("a"), select.silent)


def test_several_models_are_measured_in_one_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(program, "WORTH", 0)
    base, flows = drawn("BF16", 3)
    found = [trimmed(Drop(0.5).on(flow), density) for flow, density in zip(flows, (0.1, 0.3, 0.4), strict=True)]
    expected = [f.find(f.names(""), select.silent) for f in found]
    (run,) = select.measured(base, [f.measure for f in found])
    run(select.silent)
    assert [f.found[""] for f in found] == expected


def test_small_models_are_measured_without_kernels() -> None:
    base, (flow,) = drawn("F32", 1)
    runs = [trimmed(flow, 0.1).measure]
    assert select.measured(base, runs) == tuple(runs)


def test_a_measure_that_no_kernel_knows_runs_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(program, "WORTH", 0)
    base, (flow,) = drawn("F32", 1)
    strange = Flow(flow.specs, lambda name, lo, hi: flow.pull(name, lo, hi) * 2, "", 0)
    found, ran = trimmed(strange, 0.3), []
    runs = select.measured(base, [found.measure, ran.append])
    for run in runs:
        run(select.silent)
    assert found.found[""] == found.find(found.names(""), select.silent)
    assert ran == [select.silent]


def test_the_majority_is_the_numpy_forms() -> None:
    for seed in range(5):
        base, flows = drawn("BF16", 2, seed)
        pull = ElectedMean().over(Group(tuple(flows), (1.0, 1.0), BaseRows(base, base.specs))).pull
        assert isinstance(pull, Elected)
        assert select.majority(base, pull.majority, "a") == Majority(pull.flows).of("a")
        for name in SHAPES:
            each, plain = (Majority(pull.flows, whole=False) for _ in range(2))
            assert select.majority(base, each, name) == plain.of(name)


def test_values_that_are_not_finite_are_refused_by_name() -> None:
    base, _ = drawn("F32", 1)
    wrong = np.zeros(6321, np.float32)
    wrong[5100] = np.nan
    flow = flow_of(difference(base, split(wrong, "F32")), model="m", seed=0)
    with pytest.raises(InputError, match="'b'.*not finite"):
        select.threshold(base, trimmed(flow, 0.2), "a")
    with pytest.raises(InputError, match="'b'.*not finite"):
        select.majority(base, Majority((flow,)), "a")


@pytest.mark.parametrize("dtype", ["BF16", "F32"])
def test_factors_of_a_slerp_are_equal_in_every_bit(dtype: str) -> None:
    base, (flow,) = drawn(dtype, 1)
    pull = Slerp(0.3).over(Group((flow,), (1.0,), BaseRows(base, base.specs))).pull
    assert isinstance(pull, Arced)
    for name in SHAPES:
        plain = Arcs(pull.arcs.flow, pull.arcs.base, pull.arcs.t).of(name)
        assert select.factors(base, pull.arcs, name) == plain


def test_a_view_is_a_tensor_map() -> None:
    assert isinstance(drawn("F32", 1)[0], TensorMap)
