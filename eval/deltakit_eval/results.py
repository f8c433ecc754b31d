"""What an evaluation says, as JSON: every filter's numbers with standard errors, and every sample."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from deltakit_eval.tasks import describe, headline, is_ours, short_name
from deltakit_eval.tasks.agreement import flag
from deltakit_eval.tasks.groups import by_group

__all__ = ["plain", "rows", "short_name", "summary", "task_result"]

_NO_SHARE = re.compile("perplexity|ppl|bits_per|brier|bleu|chrf|ter$|likelihood")  # of lm-eval's metrics


def task_result(task: str, found: Mapping[str, Any], chat: bool = False) -> dict[str, Any]:
    """One task of lm-eval's results: `accuracy` and `stderr` (of the headline metric), all metrics, samples. `chat`: it
    was asked through the chat template.

    `stderr` is the standard error of the mean, sqrt(sample variance / n); null for a single item. Of our tasks also
    `asked` (prompt style, mode, filters and their rules), `format` (a remark where strict and flexible scores differ
    by more than noise, else null) and, where items have groups, `groups` with accuracy, stderr and n of each.
    """
    metrics = list(_metrics(found["results"][task]))
    main, n = _headline(task, metrics), found["n-samples"][task]["effective"]
    return {
        "accuracy": main["value"],
        "stderr": main["stderr"],
        "n": n,
        "headline": f"{main['metric']},{main['filter']}",
        "version": found["versions"].get(task),
        **({"asked": _asked(task, found, chat), "format": flag(metrics, n, headline(task))} if is_ours(task) else {}),
        **(_groups(task, found["samples"][task]) if is_ours(task) else {}),
        "metrics": metrics,
        "samples": _samples(found["samples"][task]),
    }


def _asked(task: str, found: Mapping[str, Any], chat: bool) -> dict[str, Any]:
    """How a task of ours was asked in this run, whose mode and template may be others than its style's."""
    how = found["configs"][task]["generation_kwargs"]
    return {**(describe(task) or {}), "mode": how.get("mode", "direct"), "chat": chat}


def _groups(task: str, samples: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    groups = by_group(samples, headline(task))
    return {"groups": groups} if groups else {}


def rows(result: Mapping[str, Any]) -> list[list[Any]]:
    """(model name, task, accuracy, stderr, n, unit) of a whole result, in its order; held-out loss is a task as well.
    unit: "%" of a share, "nats", or the metric's name where it is no share (a perplexity, points of 100)."""
    out = []
    for model in result["models"]:
        for name, task in model["tasks"].items():
            out.append([model["name"], name, task["accuracy"], task["stderr"], task["n"], _unit(task)])
        if model.get("loss"):
            loss = model["loss"]
            out.append([model["name"], "held-out loss", loss["loss"], loss["stderr"], loss["records"], "nats"])
    return out


def _unit(task: Mapping[str, Any]) -> str:
    """ "%" where the headline is a share of 1, else its metric's name."""
    metric = task["headline"].partition(",")[0]
    value = task["accuracy"]
    return metric if _NO_SHARE.search(metric) or (value is not None and not 0 <= value <= 1) else "%"


def plain(value: Any) -> Any:
    """A copy that JSON can hold: numpy numbers become numbers, what is not finite becomes null, the rest text."""
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    value = value.item() if hasattr(value, "item") and not isinstance(value, str) else value
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


def _metrics(found: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """lm-eval's flat "metric,filter" keys as records, in their order."""
    for key, value in found.items():
        metric, comma, filter_name = key.partition(",")
        if not comma or metric.endswith("_stderr"):
            continue
        error = found.get(f"{metric}_stderr,{filter_name}")
        yield {
            "metric": metric,
            "filter": filter_name,
            "value": plain(value),
            "stderr": None if isinstance(error, str) else plain(error),
        }


def _headline(task: str, metrics: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The score that a table shows: for our tasks the one they name, for others the first."""
    wanted = headline(task) if is_ours(task) else None
    return next((m for m in metrics if f"{m['metric']},{m['filter']}" == wanted), metrics[0])


def _samples(found: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """One record per document: lm-eval gives one per document and filter."""
    out: dict[int, dict[str, Any]] = {}
    for row in found:
        sample = out.setdefault(
            row["doc_id"],
            {
                "doc_id": row["doc_id"],
                "doc_hash": row["doc_hash"],
                "prompt": row["arguments"][0][0],
                "target": plain(row["target"]),
                "responses": plain([response for responses in row["resps"] for response in responses]),
                **_choices(row["arguments"]),
                "filters": {},
            },
        )
        scores = {metric: plain(row[metric]) for metric in row["metrics"]}
        sample["filters"][row["filter"]] = {"answer": plain(_flat(row["filtered_resps"])), **scores}
    return [out[i] for i in sorted(out)]


def _flat(answers: Sequence[Any]) -> list[Any]:
    """One answer a response: a request that was repeated holds a list of them."""
    return [one for answer in answers for one in (answer if _texts(answer) else [answer])]


def _texts(answer: Any) -> bool:
    return isinstance(answer, list) and all(isinstance(one, str) for one in answer)


def _choices(arguments: Sequence[Any]) -> dict[str, list[str]]:
    """`choices`: the texts whose log-likelihood was asked for, one a response; nothing where text was generated."""
    texts = [args[1] for args in arguments if len(args) > 1 and isinstance(args[1], str)]
    return {"choices": texts} if texts else {}


def summary(result: Mapping[str, Any]) -> dict[str, Any]:
    """A result without samples and task configurations: what a screen holds."""
    models = [
        {**m, "tasks": {n: _without(t, "samples") for n, t in m["tasks"].items()},
         "loss": _without(m["loss"], "samples") if m.get("loss") else None}
        for m in result["models"]
    ]  # fmt: skip
    tasks = {n: _without(t, "config") for n, t in result["tasks"].items()}
    return {**result, "models": models, "tasks": tasks}


def _without(record: Mapping[str, Any], key: str) -> dict[str, Any]:
    return {k: v for k, v in record.items() if k != key}
