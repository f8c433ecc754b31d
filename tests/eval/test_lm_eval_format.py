"""Results as lm-eval saves them: the same rows as its own tracker writes, read back by its own tools."""

import copy
import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from deltakit.errors import InputError
from deltakit_eval.lm_eval_format import write_lm_eval_format
from deltakit_eval.results import task_result

NOW = datetime(2026, 3, 4, 5, 6, 7, 89)
STAMP = "2026-03-04T05-06-07.000089"
YAML = """
task: choose
custom_dataset: !function tiny.load
output_type: multiple_choice
test_split: test
doc_to_text: "{{question}}"
doc_to_choice: ["yes", "no"]
doc_to_target: 1
metric_list: [{metric: acc, aggregation: mean, higher_is_better: true}]
metadata: {version: 3.0}
"""
TINY = """
import datasets
def load(**kwargs):
    return {"test": datasets.Dataset.from_list([{"question": f"Is {i} odd?"} for i in range(3)])}
"""


def measured(task: str, found: dict[str, Any], config: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A result of `evaluate` made of what lm-eval's evaluator found."""
    model = {"name": "org/m", "model": "models/m", "dtype": "float32", "device": "cpu", "content": "sha256:1",
             "tasks": {task: task_result(task, found)}, "loss": None, "seconds": 1.5}  # fmt: skip
    return {"models": [{**model, **more}], "tasks": {task: {"n": 3, "config": config}}, "settings": {"limit": 3},
            "versions": {"lm_eval": "0.4.13", "transformers": "5"}}  # fmt: skip


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> dict[str, Any]:
    """lm-eval's random model on a task that generates and on one that chooses, saved by lm-eval's own tracker."""
    from lm_eval import evaluator
    from lm_eval.loggers import EvaluationTracker
    from lm_eval.tasks import TaskManager

    from deltakit_eval.tasks import load_tasks
    from deltakit_eval.work import _config

    folder = tmp_path_factory.mktemp("lm")
    (folder / "choose.yaml").write_text(YAML)
    (folder / "tiny.py").write_text(TINY)
    manager = TaskManager(include_path=str(folder), include_defaults=False)  # the default index takes long to read
    chooser = manager.load(["choose"])["tasks"]["choose"]
    tasks = {**load_tasks(["toy_math"], limit=3), "choose": chooser}
    configs = {name: _config(task) for name, task in tasks.items()}
    tracker = EvaluationTracker(output_path=str(folder / "theirs"))
    found = evaluator.simple_evaluate("dummy", tasks=list(tasks.values()), limit=3, bootstrap_iters=0,
                                      evaluation_tracker=tracker, model_args={"pretrained": "org/m"},
                                      task_manager=manager)  # fmt: skip
    kept = {"samples": copy.deepcopy(found["samples"])}  # the tracker changes them while it writes
    ours = {name: measured(name, {**found, "samples": kept["samples"]}, configs[name]) for name in tasks}
    samples = found.pop("samples")
    tracker.save_results_aggregated(found, samples)
    for name in tasks:
        tracker.save_results_samples(name, samples[name])
    theirs = {name: lines(next((folder / "theirs").rglob(f"samples_{name}_*.jsonl"))) for name in tasks}
    whole = json.loads(next((folder / "theirs").rglob("results_*.json")).read_text())
    return {"ours": ours, "theirs": theirs, "whole": whole}


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.mark.parametrize("task", ["deltakit_toy_math", "choose"])
def test_samples_are_those_of_lm_evals_own_tracker(runs, task, tmp_path):
    written = write_lm_eval_format(runs["ours"][task], tmp_path, now=NOW)
    assert [p.relative_to(tmp_path).as_posix() for p in written] == [
        f"org__m/results_{STAMP}.json", f"org__m/samples_{task}_{STAMP}.jsonl"
    ]  # fmt: skip
    ours, theirs = lines(written[1]), runs["theirs"][task]
    assert len(ours) == len(theirs) > 0
    for mine, other in zip(ours, theirs, strict=True):
        assert set(mine) == set(other)
        for key in other.keys() - {"doc"}:
            assert mine[key] == other[key], key


@pytest.mark.parametrize("task", ["deltakit_toy_math", "choose"])
def test_the_aggregate_has_what_lm_eval_reads(runs, task, tmp_path):
    from lm_eval.utils import make_table

    ours = json.loads(write_lm_eval_format(runs["ours"][task], tmp_path, now=NOW)[0].read_text())
    theirs = runs["whole"]
    for key in ("versions", "n-shot", "task_hashes"):
        assert ours[key][task] == theirs[key][task], key
    assert ours["n-samples"][task]["effective"] == theirs["n-samples"][task]["effective"] == 3
    for key, value in theirs["results"][task].items():
        assert ours["results"][task][key] == value, key
    table = make_table({**theirs, "results": {task: theirs["results"][task]}})
    assert make_table(ours).splitlines()[2:] == table.splitlines()[2:]
    known = {"upper_git_hash", "pretty_env_info", "max_length", "eot_token_id", "start_time", "end_time"}
    assert {k for k in theirs if not k.startswith("tokenizer_")} - ours.keys() <= known


def test_its_own_tools_find_task_and_time_in_the_names(runs, tmp_path):
    import datasets
    from lm_eval import utils

    written = write_lm_eval_format(runs["ours"]["deltakit_toy_math"], tmp_path, now=NOW)
    names = [str(p) for p in written]
    assert utils.get_results_filenames(names) == names[:1]
    assert utils.get_sample_results_filenames(names) == names[1:]
    assert utils.get_file_task_name(written[1].name) == "deltakit_toy_math"
    assert utils.get_file_datetime(written[1].name) == STAMP
    rows = datasets.load_dataset("json", data_files=names[1], split="train", cache_dir=str(tmp_path / "cache"))
    assert rows["doc_id"] == [r["doc_id"] for r in lines(written[1])]


def small(name: str = "m", **more: Any) -> dict[str, Any]:
    sample = {"doc_id": 0, "doc_hash": "h", "prompt": "p\udc80", "target": 4, "responses": ["a", "b"],
              "filters": {"f": {"answer": ["4"], "em": 1.0}, "g": {"answer": ["4"], "em": None}}}  # fmt: skip
    metrics = [{"metric": "em", "filter": f, "value": v, "stderr": None} for f, v in (("f", 1.0), ("g", None))]
    task = {"accuracy": 1.0, "stderr": None, "n": 1, "version": 2, "metrics": metrics, "samples": [sample]}
    return {"models": [{"name": name, "model": "M", "tasks": {"gsm8k:cot8": task}, **more}], "tasks": {}}


def test_what_is_not_known_or_not_finite_can_still_be_shown(tmp_path):
    from lm_eval.utils import make_table

    loss = {"loss": 2.5, "stderr": None, "records": 7, "tokens": 70}
    results, samples = write_lm_eval_format(small(loss=loss), tmp_path, now=NOW)
    found = json.loads(results.read_text())
    assert found["results"]["deltakit_gsm8k_cot8"]["em_stderr,f"] == "N/A"
    assert found["results"]["deltakit_held_out_loss"]["loss,none"] == 2.5
    assert "2.5" in make_table(found)
    first, second = lines(samples)
    assert (first["em"], second["em"], first["resps"]) == (1.0, None, [["a", "b"]])


def test_the_same_result_gives_the_same_bytes(tmp_path):
    once, again = (write_lm_eval_format(small(), tmp_path / n, now=NOW) for n in "ab")
    assert [p.read_bytes() for p in once] == [p.read_bytes() for p in again]
    assert [p.name for p in (tmp_path / "a" / "m").iterdir() if "partial" in p.name] == []


@pytest.mark.parametrize("name", ["..", ".", "../../evil", "a/b", "x" * 400, "C:\\m", "nul\x00byte", " "])
def test_no_name_leaves_the_folder(name, tmp_path):
    for path in write_lm_eval_format(small(name), tmp_path / "in", now=NOW):
        assert path.resolve().parent.parent == (tmp_path / "in").resolve()
        assert path.exists()


def test_two_models_of_one_folder_name_are_kept_apart(tmp_path):
    result = small("a/b")
    result["models"] += small("a__b")["models"] + small("A/B")["models"]
    written = write_lm_eval_format(result, tmp_path, now=NOW)
    assert len({p.parent.name.casefold() for p in written}) == 3


@pytest.mark.parametrize("broken", [{}, {"models": [{}]}, {"models": 3}, {"models": [{"name": "m", "tasks": []}]}, []])
def test_no_result_is_an_error(broken, tmp_path):
    with pytest.raises(InputError, match="no result of an evaluation"):
        write_lm_eval_format(broken, tmp_path, now=NOW)
