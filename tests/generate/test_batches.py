import pytest
from hypothesis import given
from hypothesis import strategies as st

from deltakit.errors import ResourceError
from deltakit.generate.batches import batches, run_batches


@given(st.lists(st.integers(1, 300), max_size=60), st.integers(1, 1000), st.integers(1, 20))
def test_every_index_once_longest_first_within_the_budget(lengths: list[int], budget: int, max_rows: int) -> None:
    plan = batches(lengths, budget, max_rows)
    flat = [i for batch in plan for i in batch]
    assert sorted(flat) == list(range(len(lengths)))
    assert [lengths[i] for i in flat] == sorted(lengths, reverse=True)
    for batch in plan:
        assert len(batch) <= max_rows
        assert len(batch) == 1 or len(batch) * max(lengths[i] for i in batch) <= budget


def test_a_batch_is_as_wide_as_its_own_rows_allow() -> None:
    assert batches([10, 10, 100, 10, 10], budget=100, max_rows=64) == [[2], [0, 1, 3, 4]]


class Memory:
    """Holds `rows` rows."""

    def __init__(self, rows: int) -> None:
        self.rows, self.ran, self.tried = rows, [], []

    def run(self, batch: list[int]) -> None:
        self.tried.append(len(batch))
        if len(batch) > self.rows:
            raise MemoryError
        self.ran += batch


def is_full(error: BaseException) -> bool:
    return isinstance(error, MemoryError)


def test_a_batch_that_does_not_fit_is_halved_and_later_ones_are_cut_at_once() -> None:
    memory = Memory(3)
    plan = [list(range(8)), list(range(8, 16))]
    assert run_batches(plan, memory.run, is_full) == 2
    assert memory.ran == list(range(16))
    assert memory.tried == [8, 4, *[2] * 8]


def test_without_trouble_nothing_is_cut() -> None:
    memory = Memory(8)
    assert run_batches([[0, 1], [2]], memory.run, is_full) == 0
    assert memory.tried == [2, 1]


def test_a_single_row_that_does_not_fit_is_an_error_with_a_remedy() -> None:
    with pytest.raises(ResourceError, match="single row"):
        run_batches([[0, 1]], Memory(0).run, is_full)


def test_other_errors_pass() -> None:
    def broken(batch: list[int]) -> None:
        raise RuntimeError("shape")

    with pytest.raises(RuntimeError, match="shape"):
        run_batches([[0, 1]], broken, is_full)


def test_an_order_that_is_given_is_kept_and_the_longest_counts_wherever_it_stands() -> None:
    assert batches([10, 50, 10, 10], budget=100, max_rows=64, order=[2, 0, 1, 3]) == [[2, 0], [1, 3]]
    assert batches([10, 50, 10], budget=30, max_rows=64, order=[0, 2, 1]) == [[0, 2], [1]]
