from deltakit.report.figure import as_svg
from deltakit.report.paired.changes import draw, panels
from deltakit.report.paired.compared import compare
from deltakit.report.paired.ours import read_ours
from support.paired import about, model, paired_result, task

TASKS = {"toy_math": about(), "toy_chat": about(task="deltakit_toy_chat")}


def compared(names: str):
    values = {"a": "1" * 20 + "0" * 20, "b": "1" * 40, "c": "0" * 40, "d": "1" * 19 + "0" * 21}
    made = [model(n, "", tasks={t: task(values[n]) for t in TASKS}) for n in names]
    return compare(read_ours(paired_result(made, tasks=TASKS), "r.json"), draws=200)


def test_many_models_have_a_picture_a_task_and_one_model_has_one_of_all():
    assert [(heading, len(pairs)) for heading, pairs in panels(compared("abc"))] == [("toy_math", 2), ("toy_chat", 2)]
    assert [(heading, len(pairs)) for heading, pairs in panels(compared("ab"))] == [("toy_math, toy_chat", 2)]


def test_losses_do_not_share_a_picture_with_shares():
    samples = [{"doc_id": 0, "doc_hash": "h", "nll": 5.0, "tokens": 10}]
    loss = {"loss": 0.5, "stderr": None, "records": 1, "samples": samples}
    found = compare(read_ours(paired_result([model(n, "10", loss=loss) for n in "ab"]), "r.json"), draws=200)
    assert [heading for heading, _ in panels(found)] == ["toy_math", "held-out loss"]


def test_verdicts_are_told_by_mark_and_filling_too():
    found = compared("abcd")
    figure = draw(found, found.of_task("deltakit_toy_math"))
    left, right = figure.axes
    ends = [line for line in left.lines if line.get_marker() in ("<", ">", "o")]
    assert [(line.get_marker(), line.get_markerfacecolor() == "white") for line in ends] == [
        (">", False), ("<", False), ("o", True)
    ]  # fmt: skip
    assert [text.get_text() for text in left.get_yticklabels()] == ["b", "c", "d"]
    assert right.get_xlabel() == "difference, points (95 % interval)"
    words = [t.get_text() for t in figure.legends[0].get_texts()]
    assert words == ["reference: a", "better", "worse", "no difference shown"]


def test_tasks_are_the_rows_of_one_model_and_bytes_are_the_same_each_time():
    found = compared("ab")
    first, again = (draw(found, found.pairs) for _ in range(2))
    assert [text.get_text() for text in first.axes[0].get_yticklabels()] == ["toy_math", "toy_chat"]
    assert first.axes[0].get_xlabel() == "score of b, %"
    assert as_svg(first) == as_svg(again)
