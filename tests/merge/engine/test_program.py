"""What pulls are read back into, and what is refused as unknown."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from deltakit import rng
from deltakit.delta.difference import difference
from deltakit.delta.expression import Part, scale
from deltakit.merge.compute.pulls import BaseRows
from deltakit.merge.engine.program import DROP, TRIM, NoKernel, Program, Reader, Source, exactly
from deltakit.sparsify.drop import Drop
from deltakit.sparsify.flow import flow_of
from deltakit.sparsify.trim import Trim
from deltakit.tensors import cast, rename
from support.programs import family, source

BASE, TUNED = family(100, 1, "BF16")
ONE, OTHER = source(BASE, "BF16").tensors, source(TUNED[0], "BF16").tensors
READ = Reader("x", Source(ONE, "x"), lambda thresholds, name: np.float32(0.25))


def test_a_difference_behind_drop_and_trim() -> None:
    flow = flow_of(scale(difference(ONE, OTHER), 0.5), model="m", seed=3)
    behind = Trim(0.2).on(Drop(0.4).on(flow))
    member = READ.member(behind.pull)
    assert member.parts == ((Source(OTHER, "x"), 0.5),)
    drop, trim = member.steps
    assert (drop.code, drop.key, drop.limit) == (DROP, rng.key(3, "m", "x"), rng.threshold(0.4) - 1)
    assert drop.value == 1 / rng.probability(0.4)
    assert (trim.code, trim.value) == (TRIM, 0.25)


def test_tables_name_each_part_and_step_by_its_member() -> None:
    member = READ.member(Drop(0.4).on(flow_of(difference(ONE, OTHER), model="m", seed=3)).pull)
    made = Program(READ.base, (READ.member(difference(ONE, OTHER).rows), member))
    (addresses, kinds, parts, coefs, steps, keys, limits, values, *_), held = made.over(10, 20)
    assert [a.size for a in held] == [20, 20, 20]
    assert (addresses.size, kinds.tolist(), coefs.tolist()) == (3, [0, 0, 0], [1.0, 1.0])
    assert (parts.tolist(), steps.tolist()) == ([[0, 1], [1, 2]], [[1, DROP]])
    assert keys.size == limits.size == values.size == 1


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: difference(cast(ONE, "F32"), OTHER).rows,  # another base
        lambda: lambda name, lo, hi: BASE[lo:hi, None],  # anybody's pull
        lambda: difference(rename(ONE, str), OTHER).rows,  # a view of the base is not the base
        lambda: difference(ONE, cast(OTHER, "F64")).rows,  # a dtype of no kernel
        lambda: difference(ONE, cast(OTHER, "F16")).rows,  # the base would be rounded
    ],
)
def test_what_is_not_known_is_refused(wrong: Callable[[], object]) -> None:
    with pytest.raises(NoKernel):
        READ.member(wrong())


def test_a_wider_model_is_read_in_its_own_dtype() -> None:
    ((found, coef),) = READ.member(difference(ONE, cast(OTHER, "F32")).rows).parts
    assert (found.kind, coef) == (2, 1.0)


def test_a_term_that_is_no_reference_is_refused() -> None:
    entry = difference(ONE, OTHER).entries["x"]
    with pytest.raises(NoKernel):
        READ.part(Part(1.0, replace(entry.parts[0].term, name="y")))


def test_base_rows_must_be_this_bases_own() -> None:
    READ.check_base(BaseRows(ONE, ONE.specs))
    for wrong in (BaseRows(OTHER, OTHER.specs), BaseRows(ONE, cast(ONE, "F16").specs), lambda name, lo, hi: BASE):
        with pytest.raises(NoKernel):
            READ.check_base(wrong)


def test_which_dtypes_hold_which() -> None:
    assert exactly("BF16", "F32")
    assert exactly("F16", "F16")
    assert not exactly("F32", "BF16")
    assert not exactly("F16", "BF16")
