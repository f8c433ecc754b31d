import math

import pytest
from scipy import stats

from deltakit.grade.interval import wilson
from deltakit.report.paired.bootstrap import generator
from deltakit.report.paired.difference import measure
from deltakit.report.paired.item import LOSS_METRIC, Item, Scores
from deltakit.report.paired.ours import read_ours
from deltakit.report.paired.pairing import pair
from deltakit.report.paired.shares import mcnemar, newcombe
from support.paired import paired_result


def measured(first, second, lower: bool = False):
    a, b = (run.tasks["deltakit_toy_math"] for run in read_ours(paired_result({"a": first, "b": second}), "r.json"))
    return measure(pair(a, b, "t"), lower, generator(0, "t"), 2000)


def test_right_and_wrong_items_are_shares():
    found = measured("1" * 20 + "0" * 20, "1" * 18 + "0" * 12 + "1" * 10)
    assert (found.kind, found.n, found.before, found.after) == ("share", 40, 0.5, 0.7)
    assert found.value == pytest.approx(0.2)
    assert (found.lost, found.gained) == (2, 10)
    assert (found.p, found.p_mid) == mcnemar(2, 10)
    assert (found.low, found.high) == newcombe(18, 2, 10, 10)
    assert found.after_interval == wilson(28, 40)
    assert found.minimal is not None
    assert (found.method, found.test) == ("Newcombe's for paired shares", "McNemar's exact test")


def test_draws_of_items_are_means_and_each_item_counts_once():
    first = [[1, 0, 0, 0], [1, 1, 0, 0], [0, 0, 0, 0], [1, 1, 1, 1], [0, 1, 0, 0]]
    second = [[1, 1, 0, 0], [1, 1, 1, 0], [0, 1, 0, 0], [1, 1, 1, 1], [0, 1, 0, 1]]
    found = measured(first, second)
    a, b = ([sum(x) / 4 for x in side] for side in (first, second))
    assert (found.kind, found.n, found.before, found.after) == ("mean", 5, 0.4, 0.6)
    assert found.p_t == pytest.approx(stats.ttest_rel(a, b).pvalue)
    assert found.p == 2 / 2**4
    assert (found.lost, found.gained, found.p_mid) == (0, 4, None)
    assert found.low <= 0.2 <= found.high
    assert found.after_interval == wilson(3, 5)


def test_a_loss_is_per_token_and_less_of_it_is_better():
    def scores(nats):
        values = enumerate(zip(nats, (10.0, 20.0, 30.0), strict=True))
        return Scores(LOSS_METRIC, {str(i): Item(i, "", "", (), {LOSS_METRIC: v}, {}, w) for i, (v, w) in values})

    found = measure(pair(scores((10, 20, 30)), scores((12, 19, 27)), "t"), True, generator(0, "t"), 500)
    assert (found.kind, found.before, found.after) == ("loss", 1.0, pytest.approx(58 / 60))
    assert (found.lost, found.gained) == (1, 2)
    assert found.minimal > 0


def test_one_item_and_equal_models_are_no_trouble():
    found = measured("1", "1")
    assert (found.value, found.p, found.p_bootstrap, found.p_t) == (0.0, 1.0, 1.0, None)
    found = measured([0.5], [0.75])
    assert (found.before_interval, found.minimal, found.p) == (wilson(0.5, 1), None, 1.0)


def test_the_record_is_plain_json():
    record = measured("1100", "1110").record()
    assert record["difference"] == 0.25
    assert isinstance(record["after_interval"], list)
    assert all(not isinstance(v, float) or math.isfinite(v) for v in record.values())
