import json

from deltakit.report.paired.compared import compare
from deltakit.report.paired.ours import read_ours
from deltakit.report.paired.record import record
from support.paired import model, paired_result, sample, task


def compared():
    short = task("1", samples=[sample(0, 1.0), sample(1, 1.0), sample(9, 1.0)])
    made = [model("a", "110"), model("b", "1", tasks={"toy_math": short})]
    return compare(read_ours(paired_result(made), "r.json"), draws=200)


def test_it_is_json_with_every_statistic_and_every_item():
    found = json.loads(json.dumps(record(compared()), allow_nan=False))
    assert (found["action"], found["reference"], found["comparisons"]) == ("compare", "a", 1)
    assert found["models"][0]["conditions"]["dtype"] == "float32"
    (pair,) = found["pairs"]
    assert {"p", "p_mid", "p_bootstrap", "p_t", "p_holm", "low", "high", "minimal", "verdict", "test"} <= pair.keys()
    assert pair["left_out"] == {"only_reference": 1, "only_model": 1, "targets_differ": 0}
    assert pair["documents_left_out"]["only_model"] == [9]
    assert pair["flip_rates"] == {"lost": 0.0, "gained": 0.0}
    assert pair["items"] == []


def test_items_hold_both_sides_and_may_be_left_out():
    found = compare(read_ours(paired_result({"a": "10", "b": "11"}), "r.json"), draws=200)
    (item,) = record(found)["pairs"][0]["items"]
    assert (item["doc_id"], item["doc_hash"], item["change"], item["target"]) == (1, "hash-1", 1.0, "4")
    assert item["reference"] == {"score": 0.0, "answer": "5", "responses": ["It is 5."]}
    assert item["model"]["answer"] == "4"
    assert "items" not in record(found, items=False)["pairs"][0]


def test_the_same_comparison_gives_the_same_record():
    assert record(compared()) == record(compared())
