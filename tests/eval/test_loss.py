import math

import pytest
import torch

from deltakit.data.records import Record
from deltakit.errors import InputError
from deltakit.generate import Engine
from deltakit.prompts import alpaca
from deltakit_eval.loss import held_out_loss
from support.running import running

RECORDS = [Record("Say one", "", "one apple"), Record("Say", "two pears", "two pears and more"), Record("x", "", "y")]


@pytest.fixture(scope="module")
def engine() -> Engine:
    return Engine(*running(), frozenset({2}))


def by_hand(engine: Engine, record: Record) -> tuple[float, int]:
    """As training counts it: labels on the response and EOS alone, mean of transformers' own loss."""
    prompt = engine.tokenizer(alpaca(record.instruction, record.input))["input_ids"]
    whole = engine.tokenizer(alpaca(record.instruction, record.input) + record.response)["input_ids"] + [2]
    assert whole[: len(prompt)] == prompt
    labels = [-100] * len(prompt) + whole[len(prompt) :]
    with torch.no_grad():
        loss = engine.model(input_ids=torch.tensor([whole]), labels=torch.tensor([labels])).loss
    n = len(whole) - len(prompt)
    return float(loss) * n, n


def test_it_is_the_mean_over_response_tokens_as_in_training(engine: Engine) -> None:
    found = held_out_loss(engine, RECORDS)
    parts = [by_hand(engine, r) for r in RECORDS]
    tokens = sum(n for _, n in parts)
    assert found["loss"] == pytest.approx(sum(total for total, _ in parts) / tokens, abs=1e-4)
    assert (found["tokens"], found["records"], found["too_long"]) == (tokens, 3, 0)


def test_the_standard_error_is_that_of_a_ratio(engine: Engine) -> None:
    found = held_out_loss(engine, RECORDS)
    parts = [by_hand(engine, r) for r in RECORDS]
    tokens, mean = sum(n for _, n in parts), found["loss"]
    expected = math.sqrt(1.5 * sum((total - mean * n) ** 2 for total, n in parts)) / tokens
    assert found["stderr"] == pytest.approx(expected, abs=1e-4)
    assert held_out_loss(engine, RECORDS[:1])["stderr"] is None


def test_a_record_above_the_context_is_counted_not_cut(engine: Engine) -> None:
    found = held_out_loss(engine, [*RECORDS, Record("x", "", "z" * 2000)])
    assert (found["records"], found["too_long"]) == (3, 1)
    with pytest.raises(InputError, match="longer than"):
        held_out_loss(engine, [Record("x", "", "z" * 2000)])


def test_every_record_is_there_to_be_compared(engine: Engine) -> None:
    long = Record("x", "", "z" * 2000)
    found = held_out_loss(engine, [RECORDS[0], long, *RECORDS[1:]])
    assert [s["doc_id"] for s in found["samples"]] == [0, 2, 3]
    for sample, record in zip(found["samples"], RECORDS, strict=True):
        total, n = by_hand(engine, record)
        assert sample["nll"] == pytest.approx(total, abs=1e-4)
        assert sample["tokens"] == n
    alone = held_out_loss(engine, RECORDS[1:2])["samples"][0]
    assert alone["doc_hash"] == found["samples"][1]["doc_hash"] != found["samples"][0]["doc_hash"]


def test_another_style_asks_differently(engine: Engine) -> None:
    assert held_out_loss(engine, RECORDS, "qa")["loss"] != held_out_loss(engine, RECORDS)["loss"]
