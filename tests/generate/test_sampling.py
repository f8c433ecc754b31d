import pytest
import torch

from deltakit.errors import VerificationError
from deltakit.generate.request import Request
from deltakit.generate.sampling import next_tokens, uniform


def ask(**given: object) -> Request:
    return Request((1,), 4, **given)  # type: ignore[arg-type]


def drawn(probabilities: list[float], n: int = 4000, **given: object) -> list[float]:
    logits = torch.log(torch.tensor([probabilities])).expand(n, -1)
    tokens = next_tokens(logits, [ask(temperature=1.0, seed=seed, **given) for seed in range(n)], 0)
    return [tokens.count(i) / n for i in range(len(probabilities))]


def test_greedy_takes_the_largest_and_the_first_of_equals() -> None:
    logits = torch.tensor([[0.0, 3.0, 1.0], [5.0, 5.0, 5.0]])
    assert next_tokens(logits, [ask(), ask()], 0) == [1, 0]


def test_draws_follow_the_distribution() -> None:
    assert drawn([0.1, 0.6, 0.3]) == pytest.approx([0.1, 0.6, 0.3], abs=0.03)


def test_top_k_and_top_p_leave_the_rest_out() -> None:
    assert drawn([0.1, 0.6, 0.3], top_k=2) == pytest.approx([0, 2 / 3, 1 / 3], abs=0.03)
    assert drawn([0.1, 0.6, 0.3], top_p=0.6) == [0, 1, 0]
    assert drawn([0.1, 0.6, 0.3], top_p=0.61) == pytest.approx([0, 2 / 3, 1 / 3], abs=0.03)


def test_a_low_temperature_sharpens() -> None:
    logits = torch.log(torch.tensor([[0.1, 0.6, 0.3]]))
    assert {next_tokens(logits, [ask(temperature=0.01, seed=s)], 0)[0] for s in range(200)} == {1}


def test_a_draw_depends_on_seed_and_step_not_on_neighbours() -> None:
    logits = torch.randn(4, 50, generator=torch.Generator().manual_seed(0))
    asked = [ask(temperature=1.5, seed=s) for s in range(4)]
    together = next_tokens(logits, asked, 3)
    assert together == [next_tokens(logits[i : i + 1], [asked[i]], 3)[0] for i in range(4)]
    several = {tuple(next_tokens(logits, asked, step)) for step in range(10)}
    assert len(several) > 5


def test_a_greedy_row_beside_a_drawn_one_stays_greedy() -> None:
    logits = torch.randn(2, 50, generator=torch.Generator().manual_seed(0))
    assert next_tokens(logits, [ask(), ask(temperature=2.0)], 0)[0] == int(logits[0].argmax())


def test_rows_with_all_kinds_of_settings_draw_side_by_side_what_they_draw_alone() -> None:
    logits = torch.randn(12, 40, generator=torch.Generator().manual_seed(1))
    kinds = [{"top_p": 0.7}, {"top_k": 3}, {}, {"top_k": 5, "top_p": 0.6}, {"temperature": 0.0}, {"temperature": 3.0}]
    asked = [ask(**{"temperature": 1.0, "seed": i, **kinds[i % 6]}) for i in range(12)]
    steps = [i * 7 for i in range(12)]
    alone = [next_tokens(logits[i : i + 1], [asked[i]], steps[i])[0] for i in range(12)]
    assert next_tokens(logits, asked, steps) == alone


def test_a_token_that_cannot_be_is_never_drawn_and_nothing_finite_is_an_error() -> None:
    logits = torch.tensor([[0.0, float("-inf"), 0.0, float("-inf")]])
    assert {next_tokens(logits, [ask(temperature=9.0, seed=s)], 0)[0] for s in range(100)} == {0, 2}
    for wrong in (float("nan"), float("inf")):
        with pytest.raises(VerificationError, match="not finite"):
            next_tokens(torch.tensor([[0.0, wrong]]), [ask()], 0)
    with pytest.raises(VerificationError, match="tenant 'b': its logits"):
        next_tokens(torch.tensor([[0.0, 1.0], [float("nan"), 1.0]]), [ask(tenant="a"), ask(tenant="b")], 0)


def test_more_kept_tokens_than_there_are_leave_none_out() -> None:
    assert drawn([0.1, 0.6, 0.3], top_k=99) == pytest.approx([0.1, 0.6, 0.3], abs=0.03)


def test_uniform_numbers_lie_in_the_unit_interval_and_are_fixed() -> None:
    numbers = [uniform(7, step) for step in range(1000)]
    assert 0 <= min(numbers) < max(numbers) < 1
    assert sum(numbers) / 1000 == pytest.approx(0.5, abs=0.03)
    assert numbers == [uniform(7, step) for step in range(1000)]
