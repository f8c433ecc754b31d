import pytest
import torch

from deltakit.errors import InputError, VerificationError
from deltakit.generate.engine import Engine
from deltakit.generate.reference import Reference
from deltakit.generate.score import score
from support.running import running


def by_hand(model: torch.nn.Module, context: list[int], continuation: list[int]) -> tuple[float, bool]:
    with torch.no_grad():
        share = torch.log_softmax(model(input_ids=torch.tensor([context + continuation])).logits[0].double(), -1)
    at = range(len(context) - 1, len(context) + len(continuation) - 1)
    total = sum(float(share[i, token]) for i, token in zip(at, continuation, strict=True))
    return total, all(int(share[i].argmax()) == token for i, token in zip(at, continuation, strict=True))


def test_it_is_the_sum_of_log_probabilities_whatever_the_neighbours() -> None:
    model, _ = running()
    pairs = [([1, 5, 9], [30, 31]), ([4], [8, 9, 10, 11]), (list(range(3, 40)), [77])]
    for (found, greedy), pair in zip(score(model, pairs), pairs, strict=True):
        expected, is_greedy = by_hand(model, *pair)
        assert abs(found - expected) < 1e-4
        assert greedy == is_greedy


@pytest.mark.parametrize("form", ["slots", "static"])
def test_weights_that_overflow_are_an_error_not_a_score(form: str) -> None:
    model, tokenizer = running()
    model.model.norm.weight.fill_(float("inf"))
    for backend in (Engine(model, tokenizer, frozenset(), form=form), Reference(model, tokenizer, frozenset())):
        with pytest.raises(VerificationError, match="the model's logits are not finite"):
            backend.score([([1, 5], [7, 8])])


@pytest.mark.parametrize("form", ["slots", "static"])
def test_a_pair_may_be_one_longer_than_the_context(form: str) -> None:
    model, tokenizer = running()
    pairs = [(list(range(3, 303)), [5 + i % 300 for i in range(469)]), ([7], [9])]
    for backend in (Engine(model, tokenizer, frozenset(), form=form), Reference(model, tokenizer, frozenset())):
        (found, _), (short, _) = backend.score(pairs)
        with torch.no_grad():
            share = model(input_ids=torch.tensor([pairs[0][0] + pairs[0][1][:-1]])).logits[0, 299:].double()
        wanted = torch.tensor(pairs[0][1])[:, None]
        assert found == pytest.approx(float(share.log_softmax(-1).gather(1, wanted).sum()), rel=1e-5)
        assert short == pytest.approx(by_hand(model, [7], [9])[0], abs=1e-4)
        with pytest.raises(InputError, match="769 tokens"):
            backend.score([(pairs[0][0], [*pairs[0][1], 4])])


def test_the_greedy_continuation_is_known_as_such() -> None:
    model, _ = running()
    ids = torch.tensor([[1, 5, 9]])
    out = model.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=3, do_sample=False, pad_token_id=0)
    answer = out[0, 3:].tolist()
    other = [answer[0], (answer[1] + 1) % 320]
    assert [greedy for _, greedy in score(model, [([1, 5, 9], answer), ([1, 5, 9], other)])] == [True, False]
