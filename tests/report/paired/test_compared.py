import pytest

from deltakit.errors import InputError, MismatchError, NonFiniteError, RecipeError
from deltakit.report.paired.compared import compare
from deltakit.report.paired.holm import holm
from deltakit.report.paired.ours import read_ours
from support.paired import about, model, paired_result, sample, task

BASE = "1" * 50 + "0" * 50
MODELS = {"base": BASE, "good": "1" * 80 + "0" * 20, "bad": "1" * 20 + "0" * 80, "like": "0" + BASE[1:-1] + "1"}


def runs(models=None, **more):
    return read_ours(paired_result(MODELS if models is None else models, **more), "r.json")


def test_every_model_is_told_against_the_first_and_corrected_for_their_number():
    found = compare(runs())
    assert (found.reference.name, found.labels, found.warnings) == ("base", {"deltakit_toy_math": "toy_math"}, ())
    assert [(p.model, p.verdict) for p in found.pairs] == [
        ("good", "better"), ("bad", "worse"), ("like", "no difference shown")
    ]  # fmt: skip
    assert [p.p_holm for p in found.pairs] == holm([p.found.p for p in found.pairs])
    assert [(f.doc_id, f.change) for f in found.pairs[2].flips] == [(0, -1), (99, 1)]
    assert found.of_task("deltakit_toy_math") == list(found.pairs)


def test_another_reference_turns_the_differences_round():
    found = compare(runs(), against="good")
    assert [p.model for p in found.pairs] == ["base", "bad", "like"]
    assert found.pairs[0].found.value == pytest.approx(-0.3)
    with pytest.raises(RecipeError, match="did you mean 'good'"):
        compare(runs(), against="goo")


def test_one_more_model_changes_no_other_models_draws():
    draws = {"a": [0.1, 0.4, 0.5, 0.9], "b": [0.4, 0.5, 0.5, 1.0], "c": [0.0, 0.5, 0.1, 0.8]}
    all_three = compare(runs(draws), draws=500)
    two = compare(runs({k: draws[k] for k in "ac"}), draws=500)
    assert all_three.pairs[1].found == two.pairs[0].found
    assert compare(runs(draws), draws=500, seed=1).pairs[1].found != two.pairs[0].found


def test_tasks_may_be_chosen_and_another_metric_taken():
    both = [model(n, "1", tasks={"toy_math": task("1100"), "toy_chat": task("0011")}) for n in "ab"]
    config = {"toy_math": about(), "toy_chat": about(task="deltakit_toy_chat")}
    assert [p.label for p in compare(runs(both, tasks=config)).pairs] == ["toy_math", "toy_chat"]
    chosen = compare(runs(both, tasks=config), tasks=["toy_chat"], metric="exact_match,last_number")
    assert [(p.label, p.found.after) for p in chosen.pairs] == [("toy_chat", 1.0)]
    with pytest.raises(RecipeError, match="did you mean 'toy_chat'"):
        compare(runs(both, tasks=config), tasks=["toychat"])


def test_a_stock_task_of_the_same_short_name_is_another_task():
    stock = paired_result({"s": "11"}, tasks={"toy_math": about(task="toy_math")})
    mine, theirs = runs({"a": "11", "b": "10"}), read_ours(stock, "s.json")
    found = compare([*mine, *theirs])
    assert found.labels == {"deltakit_toy_math": "deltakit_toy_math"}
    assert found.warnings == ("s has no scores on deltakit_toy_math: not compared",)


def test_whatever_is_not_the_same_is_said():
    other = runs([model("b", "", dtype="bfloat16", tasks={"toy_math": task([], samples=[
        sample(0, 1.0, prompt="short"), sample(7, 1.0)], version=2)})])  # fmt: skip
    found = compare(runs({"a": "11"}) + other)
    what = "toy_math, b against a"
    assert found.warnings == (
        "dtype differs: float32 (a), bfloat16 (b)",
        "toy_math: task version differs: 1 (a), 2 (b)",
        f"{what}: prompts differ on 1 of 1 items",
        f"{what}: 1 items only a has left out (documents 1)",
        f"{what}: 1 items only b has left out (documents 7)",
    )


def test_a_model_without_finite_scores_is_said_and_the_others_go_on():
    found = compare(runs({"a": "11", "b": [1.0, None], "c": "10"}))
    assert [p.model for p in found.pairs] == ["c"]
    assert found.warnings == ("toy_math, b against a: 1 of 2 scores of b are not finite: not compared",)
    assert found.worse() == list(found.warnings)
    with pytest.raises(NonFiniteError, match="1 of 2 scores of b are not finite"):
        compare(runs({"a": "11", "b": [1.0, None]}))


def test_losses_under_other_tokenizers_are_not_compared():
    def losing(name, tokens):
        samples = [{"doc_id": i, "doc_hash": str(i), "nll": 5.0 + i, "tokens": tokens} for i in (0, 1)]
        loss = {"loss": 1.0, "stderr": None, "records": 2, "samples": samples}
        return model(name, "10", loss=loss)

    found = compare(runs([losing("a", 5), losing("b", 6), losing("c", 5)]))
    assert [(p.model, p.label, p.lower) for p in found.pairs][2:] == [("c", "held-out loss", True)]
    assert "token counts differ" in found.warnings[0]


def test_worse_means_shown_to_be_worse_or_not_shown_to_be_within_a_margin():
    found = compare(runs())
    assert [line.partition(":")[0] for line in found.worse()] == ["bad on toy_math"]
    assert [line.partition(" ")[0] for line in found.worse(margin=1.0)] == ["bad", "like"]
    assert [line.partition(" ")[0] for line in found.worse(margin=10.0)] == ["bad"]


def test_nothing_to_compare_is_an_error():
    with pytest.raises(InputError, match="one model alone"):
        compare(runs({"a": "1"}))
    other = runs([model("b", "1", tasks={"toy_chat": task("1")})], tasks={})
    with pytest.raises(MismatchError, match="no task in common"):
        compare(runs({"a": "1"}) + other)


def test_one_model_on_other_documents_does_not_stop_the_rest():
    samples = [{**s, "doc_hash": f"x{s['doc_id']}", "target": "other"} for s in task("10")["samples"]]
    strange = runs([model("s", "", tasks={"toy_math": task("10", samples=samples)})])
    found = compare([*runs({"a": "11", "b": "10"}), *strange])
    assert [p.model for p in found.pairs] == ["b"]
    assert found.untested == ("toy_math, s against a: no item in common: not compared",)
    with pytest.raises(MismatchError, match="no item in common"):
        compare([*runs({"a": "11"}), *strange])
