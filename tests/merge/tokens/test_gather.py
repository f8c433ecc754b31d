"""Gathered tables agree with a dictionary of rows, in every range, and read few and bounded stretches."""

from __future__ import annotations

import numpy as np
import pytest

from deltakit.merge.tokens.assign import Assignment, Known, assign
from deltakit.merge.tokens.choice import TokenizerChoice
from deltakit.merge.tokens.gather import Gathered
from deltakit.merge.tokens.read import Vocabulary
from deltakit.tensors import Mapped, TensorMap, to_float32
from support.tensors import memory, normal, tensor


def settle(orders: dict[str, list[int]], rows: dict[str, int], **more: object) -> Assignment:
    known = {m: Known(Vocabulary({f"t{t}": i for i, t in enumerate(o)}), rows[m]) for m, o in orders.items()}
    return assign(known, TokenizerChoice.model_validate(more), anchor="a", base="a")


def values(source: TensorMap, name: str = "wte.weight", lo: int = 0, hi: int | None = None) -> np.ndarray:  # type: ignore[type-arg]
    spec = source.specs[name]
    return to_float32(source.buffer(name, lo, hi), spec.dtype).reshape(-1, spec.row_size)


@pytest.mark.parametrize("dtype", ["F32", "BF16", "F16", "F64"])
def test_every_range_of_a_shuffled_vocabulary(dtype: str) -> None:
    rng = np.random.default_rng(0)
    orders = {"a": list(range(40)), "b": rng.permutation(50).tolist()}
    maps = {
        m: memory({"wte.weight": tensor(normal((len(o), 3), i), dtype)}) if dtype != "F64" else doubles(len(o), i)
        for i, (m, o) in enumerate(orders.items())
    }
    made = settle(orders, {m: len(o) for m, o in orders.items()}, source="union")
    rows = {m: {t: values(maps[m])[i] for i, t in enumerate(o)} for m, o in orders.items()}
    tokens = sorted(made.ids, key=lambda t: made.ids[t])
    for label in orders:
        seen = Gathered(label, maps, ("wte.weight",), made)
        expected = np.array([rows[label].get(t, rows["b"].get(t)) for t in (int(t[1:]) for t in tokens)])
        assert np.array_equal(values(seen), expected)
        for lo, hi in [(0, 0), (0, 1), (7, 23), (39, 50), (50, 50)]:
            assert np.array_equal(values(seen, lo=lo, hi=hi), expected[lo:hi])


def doubles(rows: int, seed: int) -> Mapped:
    from deltakit.tensors import TensorSpec

    return memory({"wte.weight": (TensorSpec((rows, 3), "F64"), normal((rows, 3), seed).astype("f8").tobytes())})


def test_what_does_not_change_is_passed_on() -> None:
    maps = {m: memory({"wte.weight": tensor(normal((4, 3), i)), "x": tensor([1.0])}) for i, m in enumerate("ab")}
    made = settle({"a": [0, 1, 2], "b": [0, 1, 2]}, {"a": 4, "b": 4})
    seen = Gathered("b", maps, ("wte.weight",), made)
    assert seen.unchanged
    assert seen.buffer("wte.weight", 1, 3).obj is maps["b"].buffer("wte.weight").obj  # no copy
    assert seen.buffer("x") == maps["b"].buffer("x")
    grown = settle({"a": [0, 1, 2], "b": [0, 1, 2]}, {"a": 4, "b": 4}, pad_to_multiple_of=5)
    assert not Gathered("b", maps, ("wte.weight",), grown).unchanged


def test_a_wider_model_is_not_rounded() -> None:
    maps = {"a": memory({"wte.weight": tensor(normal((2, 3), 0), "BF16")}),
            "b": memory({"wte.weight": tensor(normal((3, 3), 1), "F32")})}  # fmt: skip
    made = settle({"a": [0, 1], "b": [0, 1, 2]}, {"a": 2, "b": 3})
    seen = Gathered("a", maps, ("wte.weight",), made)
    assert seen.specs["wte.weight"].dtype == "F32"
    assert np.array_equal(values(seen), np.concatenate([values(maps["a"]), values(maps["b"])[2:]]))


def test_means_are_rounded_once() -> None:
    maps = {m: memory({"wte.weight": tensor(normal((3, 5), i), "BF16")}) for i, m in enumerate("abc")}
    maps["a"] = memory({"wte.weight": tensor(normal((2, 5), 0), "BF16")})
    made = settle({"a": [0, 1], "b": [0, 1, 2], "c": [0, 1, 2]}, {"a": 2, "b": 3, "c": 3})
    from deltakit.tensors import from_float32

    mean = (values(maps["b"])[2] + values(maps["c"])[2]) / np.float32(2)
    found = values(Gathered("a", maps, ("wte.weight",), made))[2]
    assert np.array_equal(found, to_float32(from_float32(mean, "BF16").tobytes(), "BF16"))


def test_few_reads_for_many_rows() -> None:
    orders = {"a": list(range(3000)), "b": np.random.default_rng(1).permutation(3000).tolist()}
    maps = {m: memory({"wte.weight": tensor(normal((3000, 4), i))}) for i, m in enumerate("ab")}
    calls: list[int] = []

    def counted(name: str, lo: int, hi: int) -> memoryview:
        calls.append(hi - lo)
        return maps["b"].buffer(name, lo, hi)

    seen = Gathered(
        "b", {**maps, "b": Mapped(maps["b"].specs, counted)}, ("wte.weight",), settle(orders, {"a": 3000, "b": 3000})
    )
    seen.buffer("wte.weight")
    assert calls == [3000]
    calls.clear()
    seen.buffer("wte.weight", 0, 500)
    assert len(calls) < 10
