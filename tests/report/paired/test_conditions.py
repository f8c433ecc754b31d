from deltakit.report.paired.conditions import differences, named
from deltakit.report.paired.ours import read_ours
from support.paired import about, model, paired_result

LABELS = {"deltakit_toy_math": "toy_math"}


def runs(models, **more):
    return read_ours(paired_result(models, **more), "r.json")


def test_equal_runs_have_nothing_to_tell():
    assert differences(runs({"a": "1", "b": "1"}), LABELS) == []


def test_each_fact_that_differs_is_one_line_with_its_models():
    first = runs([model("a", "1"), model("b", "1"), model("c", "1", dtype="bfloat16", device="cuda")])
    assert differences(first, LABELS) == [
        "dtype differs: float32 (a, b), bfloat16 (c)",
        "device differs: cpu (a, b), cuda (c)",
    ]


def test_settings_versions_and_generation_are_looked_into():
    settings = {"seed": 1, "batch_tokens": 32768, "max_rows": 256, "style": "qa"}
    tasks = {"toy_math": about(generation_kwargs={"max_gen_toks": 512}, num_fewshot=8)}
    other = runs({"b": "1"}, settings=settings, versions={"torch": "2.14"}, tasks=tasks)
    other[0].tasks["deltakit_toy_math"].about["task version"] = 2
    assert differences(runs({"a": "1"}) + other, LABELS) == [
        "seed differs: 0 (a), 1 (b)",
        "style differs: default (a), qa (b)",
        "version of torch differs: 2.13 (a), 2.14 (b)",
        "toy_math: task version differs: 1 (a), 2 (b)",
        "toy_math: num_fewshot differs: 0 (a), 8 (b)",
        "toy_math: generation_kwargs.max_gen_toks differs: 64 (a), 512 (b)",
    ]


def test_many_names_and_long_values_are_cut():
    assert named(list("abcde")) == "a, b, c and 2 more"
    other = runs({"b": "1"}, tasks={"toy_math": about(num_fewshot="x" * 100)})
    (line,) = differences(runs({"a": "1"}) + other, LABELS)
    assert len(line) < 120
    assert line.endswith("... (b)")
