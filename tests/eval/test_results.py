import json
import math

import numpy as np

from deltakit_eval.results import plain, rows, short_name, summary, task_result

FOUND = {
    "results": {
        "deltakit_gsm8k": {
            "alias": "deltakit_gsm8k",
            "answered,marked": np.float64(1.0),
            "answered_stderr,marked": 0.0,
            "exact_match,last_number": 1.0,
            "exact_match_stderr,last_number": "N/A",
            "exact_match,marked": 0.5,
            "exact_match_stderr,marked": 0.5,
        }
    },
    "versions": {"deltakit_gsm8k": 1},
    "configs": {"deltakit_gsm8k": {"generation_kwargs": {"mode": "tir(rounds=2)"}}},
    "n-samples": {"deltakit_gsm8k": {"original": 2, "effective": 2}},
    "samples": {
        "deltakit_gsm8k": [
            {
                "doc_id": doc, "doc_hash": "h", "arguments": [("ask", {})], "target": "4", "resps": [["four"]],
                "filtered_resps": ["4"], "filter": name, "metrics": ["exact_match"], "exact_match": np.float64(doc),
            }
            for name in ("marked", "last_number")
            for doc in (1, 0)
        ]
    },
}  # fmt: skip


def test_the_headline_is_the_tasks_own_and_every_filter_is_kept() -> None:
    found = task_result("deltakit_gsm8k", FOUND)
    assert (found["accuracy"], found["stderr"], found["n"]) == (0.5, 0.5, 2)
    assert [(m["metric"], m["filter"], m["value"], m["stderr"]) for m in found["metrics"]] == [
        ("answered", "marked", 1.0, 0.0),
        ("exact_match", "last_number", 1.0, None),
        ("exact_match", "marked", 0.5, 0.5),
    ]


def test_how_a_task_was_asked_is_said_as_it_was_in_this_run() -> None:
    asked = task_result("deltakit_gsm8k", FOUND, True)["asked"]
    assert (asked["style"], asked["mode"], asked["chat"]) == ("metamath", "tir(rounds=2)", True)


def test_samples_are_one_a_document_with_all_filters() -> None:
    samples = task_result("deltakit_gsm8k", FOUND)["samples"]
    assert [s["doc_id"] for s in samples] == [0, 1]
    assert samples[1]["responses"] == ["four"]
    assert samples[1]["filters"] == {
        "marked": {"answer": ["4"], "exact_match": 1.0},
        "last_number": {"answer": ["4"], "exact_match": 1.0},
    }


def test_a_stock_task_shows_its_first_metric() -> None:
    found = {key: {"stock": value["deltakit_gsm8k"]} for key, value in FOUND.items()}
    assert task_result("stock", found)["headline"] == "answered,marked"


def test_rows_and_summary() -> None:
    task = task_result("deltakit_gsm8k", FOUND)
    loss = {"loss": 2.0, "stderr": 0.1, "records": 9}
    result = {
        "models": [{"name": "m", "model": "m", "tasks": {"gsm8k": task}, "loss": loss}],
        "tasks": {"gsm8k": {"n": 2, "config": {}}},
    }
    assert rows(result) == [["m", "gsm8k", 0.5, 0.5, 2, "%"], ["m", "held-out loss", 2.0, 0.1, 9, "nats"]]
    short = summary(result)
    assert "samples" not in short["models"][0]["tasks"]["gsm8k"]
    assert short["tasks"] == {"gsm8k": {"n": 2}}
    assert "samples" in task


def test_names_are_short_for_our_tasks_only() -> None:
    assert short_name("deltakit_gsm8k") == "gsm8k"
    assert short_name("deltakit_unknown") == "deltakit_unknown"
    assert short_name("hellaswag") == "hellaswag"


def test_plain_is_json() -> None:
    value = {"a": np.float32(0.5), "b": (np.int64(3), math.nan, math.inf), 3: None, "c": object, "d": "t"}
    made = plain(value)
    assert json.loads(json.dumps(made, allow_nan=False)) == made
    assert made["b"] == [3, None, None]
