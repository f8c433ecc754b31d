from deltakit.report.paired.flips import flips, questions
from deltakit.report.paired.ours import read_ours
from deltakit.report.paired.pairing import pair
from support.paired import paired_result


def paired(first, second):
    a, b = (run.tasks["deltakit_toy_math"] for run in read_ours(paired_result({"a": first, "b": second}), "r.json"))
    return pair(a, b, "t")


def test_only_items_that_changed_with_all_there_is_to_read():
    found = flips(paired("1100", "1010"))
    assert [(f.doc_id, f.before, f.after, f.change) for f in found] == [(1, 1, 0, -1), (2, 0, 1, 1)]
    lost = found[0]
    assert (lost.doc_hash, lost.question, lost.target) == ("hash-1", "What is 1 + 1?", "4")
    assert (lost.answers, lost.responses) == (("4", "5"), (("It is 4.",), ("It is 5.",)))


def test_the_largest_change_comes_first_and_a_limit_cuts():
    found = flips(paired([0.5, 0.5, 0.5], [0.25, 1.0, 0.5]))
    assert [f.doc_id for f in found] == [1, 0]
    assert [f.doc_id for f in flips(paired([0.5, 0.5, 0.5], [0.25, 1.0, 0.5]), 1)] == [1]
    assert flips(paired("11", "11")) == []


def test_questions_lose_what_all_prompts_share_by_whole_lines():
    assert questions(["Head\nTom has 3\nTail", "Head\nTom has 4\nTail"]) == ["Tom has 3", "Tom has 4"]
    assert questions(["Q: 1?", "Q: 2?"]) == ["Q: 1?", "Q: 2?"]
    assert questions([" alone \n"]) == ["alone"]
    assert questions(["same\nsame", "same\nsame"]) == ["same\nsame", "same\nsame"]
    assert questions(["a\nb\n", "a\nb\nb\n"]) == ["", "b"]
    assert questions([]) == []
