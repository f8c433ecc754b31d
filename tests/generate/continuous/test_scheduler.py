from deltakit.generate.continuous.prefix import Prefix
from deltakit.generate.continuous.scheduler import Row, Scheduler, ordered
from deltakit.generate.request import Request


def rows(*lengths: int) -> list[Row]:
    return [Row(i, Request((1,), n - 1)) for i, n in enumerate(lengths)]


def test_the_longest_run_first_tenants_and_equal_prompts_together() -> None:
    lengths = [70, 300, 80, 310, 90, 75]
    groups = [("a", 1), ("b", 2), ("b", 3), ("a", 4), ("a", 1), ("b", 5)]
    assert ordered(lengths, groups) == [3, 1, 0, 4, 2, 5]
    assert ordered(lengths, groups) == ordered(lengths, list(groups))
    assert ordered([], []) == []


def test_slots_are_as_wide_as_the_longest_row_and_as_many_as_the_budget_holds() -> None:
    assert Scheduler(rows(30, 50, 20), 1000, 8).lay_out() == (3, 50)
    assert Scheduler(rows(*[50] * 9), 120, 8).lay_out() == (2, 50)
    assert Scheduler(rows(*[50] * 9), 10_000, 8).lay_out() == (8, 50)
    assert Scheduler(rows(50), 10, 8).lay_out() == (1, 50)  # a row longer than the budget runs alone


def test_slots_are_narrower_where_few_of_full_length_would_fit_and_widen_for_those_that_need_it() -> None:
    plan = Scheduler([Row(i, Request((1,) * 44, 2000 if i == 0 else 900)) for i in range(20)], 6000, 16)
    assert plan.lay_out() == (16, 375)  # 2044 wide there would be two; 300 would do for a start
    held = plan.admitted()
    held[0].tokens += [7] * 332
    plan.put_off(held[0])
    assert held[0].over
    assert (plan.waiting, plan.left) == (4, 5)
    plan.release(held[0])
    assert plan.shrink([])  # memory: the others are answered
    assert plan.lay_out() == (5, 1200)
    (first, *_) = plan.admitted()
    assert (first.index, first.length, first.over) == (0, 376, False)
    assert Scheduler(rows(*[300] * 20), 3000, 16).lay_out() == (10, 300)  # little shorter is not worth it


def test_prefixes_kept_beside_the_cache_count() -> None:
    shared = Prefix(None, (1,) * 100, None, users=9)
    plan = Scheduler([Row(i, Request((1,) * 110, 40), shared) for i in range(9)], 1000, 8)
    assert plan.lay_out() == (6, 150)
    plan = Scheduler([Row(i, Request((1,) * 110, 40), shared) for i in range(9)], 150, 8)
    assert plan.lay_out() == (1, 150)


def test_rows_are_let_in_once_enough_slots_are_free() -> None:
    plan = Scheduler(rows(*[10] * 50), 160, 16)
    plan.lay_out()
    first = plan.admitted()
    assert [row.slot for row in first] == list(range(16))
    assert [row.index for row in first] == list(range(16))
    assert plan.admitted() == []
    plan.release(first[5])
    assert first[5].slot == -1
    assert plan.admitted() == []  # one in eight: two of sixteen
    plan.release(first[2])
    assert [(row.index, row.slot) for row in plan.admitted()] == [(16, 2), (17, 5)]
    assert plan.waiting == 32


def test_the_last_row_does_not_wait_for_more_slots() -> None:
    plan = Scheduler(rows(*[10] * 17), 160, 16)
    plan.lay_out()
    first = plan.admitted()
    plan.release(first[0])
    assert [row.index for row in plan.admitted()] == [16]


def test_memory_that_ran_out_halves_the_slots_and_rows_wait_again_in_order() -> None:
    plan = Scheduler(rows(*[10] * 6), 1000, 4)
    plan.lay_out()
    held = plan.admitted()
    held[1].tokens.append(7)
    assert plan.shrink(held)
    assert plan.lay_out() == (2, 10)
    again = plan.admitted()
    assert [row.index for row in again] == [0, 1]
    assert again[1].tokens == [7]
    assert plan.shrink(again)
    assert plan.lay_out() == (1, 10)
    assert not plan.shrink(plan.admitted())
