"""Reading what `deltakit eval -o` writes, sample by sample."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from deltakit.errors import InputError
from deltakit.report.paired.item import LOSS_METRIC, Item, Run, Scores, joined, keyed, number
from deltakit.report.results import LOSS

__all__ = ["read_ours"]

_ASKED = ("num_fewshot", "description", "doc_to_text", "generation_kwargs", "output_type", "repeats")
_ENDINGS = {"truncated": "were cut at their limit", "empty": "were empty", "unclosed_thoughts": "ended in a thought"}
_WORTH_SAYING = 0.01
_ELSEWHERE = ("limit", "dtype", "device")  # settings that the documents, or the model's own record, tell better


def read_ours(result: Mapping[str, Any], where: str) -> list[Run]:
    """One run a model, in order. InputError for what is no result."""
    try:
        return [_run(model, result, where) for model in result["models"]]
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as wrong:
        problem = f"{where}: no result of `deltakit eval` ({type(wrong).__name__}: {wrong})"
        raise InputError(problem, remedy="give the file that `deltakit eval -o` writes") from None


def _run(model: Mapping[str, Any], result: Mapping[str, Any], where: str) -> Run:
    name = str(model.get("name", model["model"]))
    abouts = result.get("tasks") or {}
    tasks: dict[str, Scores] = {}
    labels: dict[str, str] = {}
    notes = []
    for short, task in model["tasks"].items():
        full = str(abouts.get(short, {}).get("config", {}).get("task", short))
        if task.get("samples"):
            tasks[full] = _scores(task, abouts.get(short, {}))
            labels[full] = short
            notes += [f"{name}, {short}: {said}" for said in _remarks(task)]
        else:
            notes.append(f"{name}: no samples of {short} in {where}")
    loss = model.get("loss")
    if loss and loss.get("samples"):
        tasks[LOSS] = _losses(loss["samples"], abouts.get(LOSS, {}))
        labels[LOSS] = LOSS
    elif loss:
        notes.append(f"{name}: no single records of the {LOSS} in {where}")
    weights = model.get("content") or model.get("identity")  # in a mixed batch no whole weights are in memory
    sizes = [None if model.get(key) is None else int(model[key]) for key in ("bytes", "model_bytes")]
    return Run(name, str(model["model"]), where, weights, sizes[0], sizes[1], tasks, labels,
               _conditions(model, result), tuple(notes))  # fmt: skip


def _remarks(task: Mapping[str, Any]) -> list[str]:
    """What may look like ability and is none: answers in another format, texts that were cut."""
    shares = [(task.get(kind) or 0.0, said) for kind, said in _ENDINGS.items()]
    cut = [f"{share:.1%} of the texts {said}" for share, said in shares if share >= _WORTH_SAYING]
    return [*([str(task["format"])] if task.get("format") else []), *cut]


def _scores(task: Mapping[str, Any], about: Mapping[str, Any]) -> Scores:
    config = about.get("config", {})
    items: dict[str, Item] = {}
    for sample in task["samples"]:
        items[keyed(str(sample["doc_hash"]), items)] = _item(sample)
    lower = {m["metric"] for m in config.get("metric_list") or [] if m.get("higher_is_better") is False}
    asked = {f"prompt {k}": v for k, v in (task.get("asked") or {}).items() if k in ("style", "mode", "chat")}
    facts = {"task version": task.get("version"), **asked, **{k: config[k] for k in _ASKED if k in config}}
    return Scores(str(task["headline"]), items, facts, frozenset(lower))


def _item(sample: Mapping[str, Any]) -> Item:
    filters = sample["filters"]
    values = {
        f"{metric},{name}": number(value)
        for name, found in filters.items()
        for metric, value in found.items()
        if metric != "answer" and not isinstance(value, str)
    }
    answers = {name: joined(found.get("answer", "")) for name, found in filters.items()}
    responses = tuple(map(str, sample.get("responses", ())))
    return Item(int(sample["doc_id"]), str(sample["prompt"]), str(sample["target"]), responses, values, answers)


def _losses(samples: Sequence[Mapping[str, Any]], about: Mapping[str, Any]) -> Scores:
    items: dict[str, Item] = {}
    for s in samples:
        item = Item(int(s["doc_id"]), "", "", (), {LOSS_METRIC: number(s["nll"])}, {}, float(s["tokens"]))
        items[keyed(str(s["doc_hash"]), items)] = item
    return Scores(LOSS_METRIC, items, {"prompt style": about.get("style")})


def _conditions(model: Mapping[str, Any], result: Mapping[str, Any]) -> dict[str, Any]:
    settings = {k: v for k, v in (result.get("settings") or {}).items() if k not in _ELSEWHERE}
    versions = {f"version of {k}": v for k, v in (result.get("versions") or {}).items()}
    return {**{k: model[k] for k in ("dtype", "device") if model.get(k)}, **settings, **versions}
