import pytest

from deltakit.report.paired.compared import compare
from deltakit.report.paired.ours import read_ours
from deltakit.report.paired.shares import minimal_difference
from deltakit.report.paired.words import columns, interval, legend, p_value, rows, unit_of
from support.paired import model, paired_result

TASK = "deltakit_toy_math"


def compared(models):
    return compare(read_ours(paired_result(models), "r.json"), draws=200)


def test_shares_are_per_cent_and_points():
    found = compared({"base": "1" * 10 + "0" * 10, "good": "1" * 20})
    assert columns(found.pairs)[2:4] == ("score % [95 %]", "difference, points [95 %]")
    reference, good = rows(found, TASK)
    assert reference[:3] == ("base (reference)", 20, "50.0 [29.9, 70.1]")
    assert good[0] == "good"
    assert good[2] == "100.0 [83.9, 100.0]"
    assert str(good[3]).startswith("+50.0 [+")
    assert good[4:] == (0, 10, "0.002", "0.002", f"{100 * minimal_difference(0.5, 20):.1f}", "better")


def test_a_loss_is_in_nats_and_another_metric_in_its_own_unit():
    samples = [{"doc_id": i, "doc_hash": str(i), "nll": 5.0 + i, "tokens": 10} for i in range(3)]
    loss = {"loss": 0.6, "stderr": None, "records": 3, "samples": samples}
    found = compared([model(n, "10", loss=loss, tasks={}) for n in "ab"])
    assert columns(found.pairs)[2] == "nats per token [95 %]"
    assert rows(found, "held-out loss")[1][3] == "+0.0000 [+0.0000, +0.0000]"
    found = compared({"a": [1.0, 12.0], "b": [2.0, 15.0]})
    assert unit_of(found.pairs).name == ""
    assert columns(found.pairs)[2:4] == ("exact_match [95 %]", "difference [95 %]")


@pytest.mark.parametrize(("p", "text"), [(1.0, "1"), (0.034179, "0.034"), (1e-4, "0.0001"), (9.9e-5, "<0.0001")])
def test_p_values_are_short(p, text):
    assert p_value(p) == text


def test_nothing_is_never_minus_zero():
    unit = unit_of(compared({"a": "10", "b": "10"}).pairs)
    assert unit.signed(-1e-9) == "+0.0"
    assert interval((0.0, 0.5), unit) == "[0.0, 50.0]"


def test_the_legend_names_the_tests_and_their_number():
    text = legend(compared({"a": "10", "b": "10", "c": "11"}))
    assert "McNemar's exact test" in text
    assert "Newcombe" in text
    assert "2 comparisons" in text
    assert "200 draws, seed 0" in text
    assert "sign flips" in legend(compared({"a": [0.5], "b": [0.25]}))
