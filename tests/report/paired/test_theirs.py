"""Files in lm-eval's format; tests/eval/test_lm_eval_format.py says that ours are like lm-eval's own."""

import json
from pathlib import Path
from typing import Any

import pytest

from deltakit.errors import CheckpointError, InputError
from deltakit.report.paired.theirs import latest_results, read_theirs


def row(i: int, name: str, score: float, **more: Any) -> dict[str, Any]:
    return {"doc_id": i, "doc": {"q": i}, "target": "4", "arguments": {"gen_args_0": {"arg_0": f"Q {i}", "arg_1": {}}},
            "resps": [["four"]], "filtered_resps": ["4"], "filter": name, "metrics": ["exact_match"],
            "doc_hash": f"hash-{i}", "prompt_hash": "p", "target_hash": "t", "exact_match": score, **more}  # fmt: skip


def whole(**more: Any) -> dict[str, Any]:
    results = {"alias": "gsm8k", "sample_len": 2, "exact_match,strict-match": 0.5,
               "exact_match_stderr,strict-match": 0.1, "exact_match,flexible-extract": 1.0}  # fmt: skip
    return {"results": {"gsm8k": results}, "configs": {"gsm8k": {"generation_kwargs": {"until": ["Q:"]}}},
            "versions": {"gsm8k": 3.0}, "n-shot": {"gsm8k": 5}, "higher_is_better": {"gsm8k": {"exact_match": True}},
            "config": {"model": "hf", "model_args": {"pretrained": "org/m"}, "model_dtype": "torch.float32",
                       "batch_size": "8"}, "model_name": "org/m", "lm_eval_version": "0.4.13", **more}  # fmt: skip


def save(folder: Path, stamp: str = "2026-01-01T00-00-00.1", rows: Any = None, **more: Any) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    rows = [row(i, f, float(i == 0 or f == "flexible-extract")) for f in ("strict-match", "flexible-extract")
            for i in (0, 1)] if rows is None else rows  # fmt: skip
    (folder / f"samples_gsm8k_{stamp}.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    path = folder / f"results_{stamp}.json"
    path.write_text(json.dumps(whole(**more)))
    return path


def read(path: Path):
    return read_theirs(json.loads(path.read_text()), path)


def test_rows_of_filters_become_one_item(tmp_path):
    run = read(save(tmp_path))
    assert (run.name, run.source, list(run.tasks)) == ("org/m", "org/m", ["gsm8k"])
    scores = run.tasks["gsm8k"]
    assert scores.headline == "exact_match,strict-match"
    assert [i.values for i in scores.items.values()] == [
        {"exact_match,strict-match": 1.0, "exact_match,flexible-extract": 1.0},
        {"exact_match,strict-match": 0.0, "exact_match,flexible-extract": 1.0},
    ]
    item = scores.items["hash-1"]
    assert (item.prompt, item.responses, item.answers["strict-match"]) == ("Q 1", ("four",), "4")
    assert (scores.about["task version"], scores.about["num_fewshot"]) == (3.0, 5)
    assert (run.conditions["dtype"], run.conditions["batch_size"]) == ("float32", "8")


def test_a_metric_of_which_less_is_better_and_a_headline_that_is_said(tmp_path):
    more = {
        "higher_is_better": {"gsm8k": {"exact_match": False}},
        "deltakit": {"headlines": {"gsm8k": "x,y"}, "bytes": 7},
    }
    run = read(save(tmp_path, **more))
    assert run.tasks["gsm8k"].is_lower_better("exact_match,strict-match")
    assert (run.tasks["gsm8k"].headline, run.nbytes) == ("x,y", 7)


def test_old_rows_without_hashes_are_known_by_their_documents(tmp_path):
    later = ("doc_hash", "filter", "metrics")
    rows = [{k: v for k, v in row(i, "none", 1.0).items() if k not in later} for i in (0, 1)]
    items = read(save(tmp_path, rows=rows)).tasks["gsm8k"].items
    assert [item.values for item in items.values()] == [{"exact_match,none": 1.0}] * 2
    keys = list(items)
    assert len(set(keys)) == 2
    assert all(len(k) == 64 for k in keys)


def test_the_newest_of_each_folder_is_taken_and_the_rest_is_said(tmp_path):
    for stamp in ("2026-01-01T00-00-00.1", "2026-01-02T00-00-00.1"):
        save(tmp_path / "a", stamp)
    save(tmp_path / "b")
    found, notes = latest_results(tmp_path)
    assert [p.name for p in found] == ["results_2026-01-02T00-00-00.1.json", "results_2026-01-01T00-00-00.1.json"]
    assert notes == [f"{tmp_path / 'a'}: 1 older results left out"]
    with pytest.raises(InputError, match="no results_"):
        latest_results(tmp_path / "b" / "none")


def test_samples_that_are_missing_are_noted(tmp_path):
    path = save(tmp_path)
    next(tmp_path.glob("samples_*")).unlink()
    run = read(path)
    assert (run.tasks, run.notes) == ({}, (f"org/m: no samples of gsm8k beside {path}",))


def test_broken_files_say_where(tmp_path):
    path = save(tmp_path)
    samples = next(tmp_path.glob("samples_*"))
    samples.write_text(json.dumps(row(0, "none", 1.0)) + '\n{"doc_id": 1, "do')
    with pytest.raises(CheckpointError, match=r"samples_gsm8k.*jsonl, line 2"):
        read(path)
    samples.write_text('{"doc_id": 1}\n')
    with pytest.raises(InputError, match="no results of lm-eval"):
        read(path)
