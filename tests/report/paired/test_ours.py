import pytest

from deltakit.errors import InputError
from deltakit.report.paired.item import LOSS_METRIC
from deltakit.report.paired.ours import read_ours
from deltakit.report.results import LOSS
from support.paired import model, paired_result, sample, task


def test_a_run_has_its_items_and_what_they_depend_on():
    (run,) = read_ours(paired_result({"m": "10"}), "r.json")
    assert (run.name, run.source, run.nbytes, run.labels) == ("m", "models/m", 1000, {"deltakit_toy_math": "toy_math"})
    scores = run.tasks["deltakit_toy_math"]
    assert scores.headline == "exact_match,marked"
    item = scores.items["hash-0"]
    assert (item.values["exact_match,marked"], item.values["exact_match,last_number"]) == (1.0, 1.0)
    assert (item.answers["marked"], item.responses, item.target, item.weight) == ("4", ("It is 4.",), "4", 1.0)
    assert scores.about["task version"] == 1
    assert scores.about["generation_kwargs"] == {"max_gen_toks": 64}
    assert run.conditions["dtype"] == "float32"
    assert run.conditions["version of torch"] == "2.13"
    assert "limit" not in run.conditions


def test_draws_of_one_item_are_one_score():
    (run,) = read_ours(paired_result({"m": [[1, 1, 0, 0], [1, 1, 1, 1]]}), "r.json")
    values = [i.values["exact_match,marked"] for i in run.tasks["deltakit_toy_math"].items.values()]
    assert values == [0.5, 1.0]


def test_records_of_a_loss_are_weighted_by_their_tokens():
    loss = {"loss": 2.0, "stderr": 0.1, "records": 2,
            "samples": [{"doc_id": 0, "doc_hash": "a", "nll": 6.0, "tokens": 3}]}  # fmt: skip
    (run,) = read_ours(paired_result([model("m", "1", loss=loss)]), "r.json")
    item = run.tasks[LOSS].items["a"]
    assert (item.values[LOSS_METRIC], item.weight) == (6.0, 3.0)
    assert run.tasks[LOSS].is_lower_better(LOSS_METRIC)


def test_tasks_without_samples_are_noted_and_documents_asked_twice_are_kept():
    twice = task("1", samples=[sample(0, 1), sample(0, 0)])
    tasks = {"toy_math": twice, "toy_chat": task("1", samples=[])}
    loss = {"loss": 2.0, "stderr": None, "records": 2}
    (run,) = read_ours(paired_result([model("m", "1", tasks=tasks, loss=loss)]), "r.json")
    assert list(run.tasks["deltakit_toy_math"].items) == ["hash-0", "hash-0#2"]
    assert run.notes == ("m: no samples of toy_chat in r.json", "m: no single records of the held-out loss in r.json")


def test_what_is_no_ability_is_said_and_how_was_asked_is_kept():
    odd = task("10", format="strict 10 %, flexible 60 %", truncated=0.25, empty=0.001, unclosed_thoughts=None,
               asked={"style": "cot8", "mode": "direct", "form": "number"})  # fmt: skip
    (run,) = read_ours(paired_result([model("m", "1", tasks={"toy_math": odd})]), "r.json")
    assert run.notes == (
        "m, toy_math: strict 10 %, flexible 60 %",
        "m, toy_math: 25.0% of the texts were cut at their limit",
    )
    about_it = run.tasks["deltakit_toy_math"].about
    assert (about_it["prompt style"], about_it["prompt mode"]) == ("cot8", "direct")
    assert "prompt form" not in about_it


@pytest.mark.parametrize(
    "broken",
    [{}, {"models": [{}]}, {"models": [{"model": "m", "tasks": {"t": {"samples": [{}]}}}]}, {"models": [3]},
     paired_result([model("m", "1", tasks=[1])])],
)  # fmt: skip
def test_what_is_no_result_says_so(broken):
    with pytest.raises(InputError, match=r"r\.json: no result of `deltakit eval`"):
        read_ours(broken, "r.json")
