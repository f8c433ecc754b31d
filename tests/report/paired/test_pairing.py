import numpy as np
import pytest

from deltakit.errors import MismatchError
from deltakit.report.paired.item import Scores
from deltakit.report.paired.ours import read_ours
from deltakit.report.paired.pairing import left_out, pair
from support.paired import model, paired_result, sample, task


def scores(samples, headline: str = "exact_match,marked") -> Scores:
    tasks = {"toy_math": task("1", samples=samples, headline=headline)}
    (run,) = read_ours(paired_result([model("m", "1", tasks=tasks)]), "r.json")
    return run.tasks["deltakit_toy_math"]


def test_items_are_found_by_their_documents_in_any_order():
    first = scores([sample(i, float(i % 2)) for i in range(4)])
    second = scores([sample(i, 1.0) for i in (3, 1, 0, 2)])
    found = pair(first, second, "t")
    assert [side.tolist() for side in found.values] == [[0, 1, 0, 1], [1, 1, 1, 1]]
    assert (found.only_first, found.only_second, found.disagreeing, found.notes) == ((), (), (), ())
    assert left_out(found, "a", "b") == []


def test_items_of_one_alone_are_counted_and_named():
    found = pair(scores([sample(i, 1.0) for i in range(10)]), scores([sample(i, 1.0) for i in (8, 9, 10)]), "t")
    assert len(found.keys) == 2
    assert left_out(found, "a", "b") == [
        "8 items only a has left out (documents 0, 1, 2, 3, 4 and 3 more)",
        "1 items only b has left out (documents 10)",
    ]


def test_other_targets_of_one_document_are_left_out():
    found = pair(scores([sample(0, 1.0), sample(1, 1.0)]), scores([sample(0, 1.0, target="7"), sample(1, 1.0)]), "t")
    assert (len(found.keys), found.disagreeing) == (1, (0,))
    assert left_out(found, "a", "b") == ["1 items whose targets differ left out (documents 0)"]
    with pytest.raises(MismatchError, match="no item whose targets agree"):
        pair(scores([sample(0, 1.0)]), scores([sample(0, 1.0, target="7")]), "t")


def test_other_prompts_change_the_hash_and_are_paired_by_number():
    second = [sample(i, 1.0, doc_hash=f"other-{i}", prompt="Q") for i in range(4)]
    found = pair(scores([sample(i, 0.0) for i in range(4)]), scores(second), "t")
    assert len(found.keys) == 4
    assert found.notes == (
        "no document hash in common (prompts differ?): paired by number, where targets agree",
        "prompts differ on 4 of 4 items",
    )


def test_other_documents_under_the_same_numbers_are_not_paired():
    second = [sample(i, 1.0, doc_hash=f"other-{i}", target=str(i + 10)) for i in range(4)]
    with pytest.raises(MismatchError, match="toy: no item in common"):
        pair(scores([sample(i, 0.0) for i in range(4)]), scores(second), "toy")


def test_the_metric_is_the_firsts_headline_or_the_one_asked_for():
    first, second = scores([sample(0, 0.0)]), scores([sample(0, 0.0)], "exact_match,last_number")
    found = pair(first, second, "t")
    assert found.metric == "exact_match,marked"
    assert "headlines differ" in found.notes[0]
    assert pair(first, first, "t", "exact_match,last_number").values[0].tolist() == [1.0]
    with pytest.raises(MismatchError, match="did you mean 'exact_match,marked'"):
        pair(first, second, "t", "exact_match,markd")
    with pytest.raises(MismatchError, match="no metric in common"):
        pair(first, scores([sample(0, 0.0, filters={"f": {"answer": "", "acc": 1}})]), "t")


def test_scores_that_are_not_finite_are_counted():
    found = pair(scores([sample(0, 1.0), sample(1, None)]), scores([sample(0, float("nan")), sample(1, None)]), "t")
    assert found.unknown == (1, 2)
    assert np.isnan(found.values[1]).all()
