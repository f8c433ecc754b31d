"""Reading what lm-eval saves: results_<time>.json and, beside it, samples_<task>_<time>.jsonl."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from deltakit.checkpoint.strict_json import parse_json
from deltakit.errors import InputError
from deltakit.report.paired.item import Item, Run, Scores, joined, keyed, number

__all__ = ["latest_results", "read_theirs"]

_NO_METRIC = ("alias", "name", "sample_len", "sample_count")
_CONDITIONS = ("batch_size", "gen_kwargs", "random_seed", "fewshot_seed")
_REMEDY = "give the folder or the results_<time>.json that lm-eval wrote with --log_samples"


def latest_results(folder: Path) -> tuple[list[Path], list[str]]:
    """The newest results_<time>.json of every folder in `folder`, and a note on the older ones that are left out.

    InputError where there is none.
    """
    newest: dict[Path, list[Path]] = {}
    for path in sorted(folder.rglob("results_*.json")):
        newest.setdefault(path.parent, []).append(path)
    if not newest:
        raise InputError(f"{folder}: no results_<time>.json in it", remedy=_REMEDY)
    notes = [f"{place}: {len(found) - 1} older results left out" for place, found in newest.items() if len(found) > 1]
    return [max(found, key=lambda p: p.stem.rpartition("_")[2]) for found in newest.values()], notes


def read_theirs(result: Mapping[str, Any], path: Path) -> Run:
    """One model. Tasks without a file of samples are noted. InputError for what lm-eval did not write."""
    try:
        return _run(result, path)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as wrong:
        problem = f"{path}: no results of lm-eval ({type(wrong).__name__}: {wrong})"
        raise InputError(problem, remedy=_REMEDY) from None


def _run(result: Mapping[str, Any], path: Path) -> Run:
    config, extra = result.get("config") or {}, result.get("deltakit") or {}
    stamp = path.stem.partition("_")[2]
    name = str(result.get("model_name") or config.get("model") or path.parent.name)
    tasks: dict[str, Scores] = {}
    notes = []
    for task in result["configs"]:
        samples = path.with_name(f"samples_{task}_{stamp}.jsonl")
        if samples.is_file():
            tasks[task] = _scores(task, result, list(_lines(samples)))
        else:
            notes.append(f"{name}: no samples of {task} beside {path}")
    sizes = extra.get("bytes"), extra.get("model_bytes")
    return Run(name, _source(config, name), str(path), config.get("model_sha"), *sizes, tasks, {t: t for t in tasks},
               _conditions(result, config), tuple(notes))  # fmt: skip


def _lines(path: Path) -> Iterator[Mapping[str, Any]]:
    for number_of_line, line in enumerate(path.read_bytes().splitlines(), 1):
        if line.strip():
            yield parse_json(line, f"{path}, line {number_of_line}")


def _scores(task: str, result: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> Scores:
    config = result["configs"][task]
    by_document: dict[tuple[Any, str], list[Mapping[str, Any]]] = {}
    for row in rows:
        by_document.setdefault((row["doc_id"], _hash(row)), []).append(row)
    metrics = list(dict.fromkeys(key.partition(",")[0] for key in result["results"][task]))
    items: dict[str, Item] = {}
    for (_, key), found in by_document.items():
        items[keyed(key, items)] = _item(found, metrics)
    higher = (result.get("higher_is_better") or {}).get(task) or {}
    facts = {"task version": (result.get("versions") or {}).get(task), "num_fewshot": result["n-shot"].get(task)}
    asked = {k: config[k] for k in ("description", "doc_to_text", "generation_kwargs", "repeats") if k in config}
    lower = frozenset(m for m, is_higher in higher.items() if is_higher is False)
    return Scores(_headline(task, result), items, facts | asked, lower)


def _headline(task: str, result: Mapping[str, Any]) -> str:
    """What our own writer says it is, else the first metric that lm-eval shows."""
    said = (result.get("deltakit") or {}).get("headlines", {}).get(task)
    keys = [k for k in result["results"][task] if k not in _NO_METRIC and "_stderr" not in k]
    return str(said or keys[0])


def _item(rows: Sequence[Mapping[str, Any]], metrics: Sequence[str]) -> Item:
    """The rows of one document; old files name neither the filter nor the metrics in a row."""
    first = rows[0]
    values, answers = {}, {}
    for row in rows:
        name = row.get("filter", "none")
        for metric in row.get("metrics", [m for m in metrics if m in row]):
            values[f"{metric},{name}"] = number(row[metric])
        answers[name] = joined(row.get("filtered_resps", ""))
    arguments = first["arguments"]
    prompt = arguments["gen_args_0"]["arg_0"] if isinstance(arguments, dict) else arguments[0][0]
    responses = tuple(str(r) for found in first["resps"] for r in found)
    return Item(int(first["doc_id"]), str(prompt), str(first["target"]), responses, values, answers)


def _hash(row: Mapping[str, Any]) -> str:
    """The document's hash; files of before lm-eval 0.4.3 have the document alone."""
    if "doc_hash" in row:
        return str(row["doc_hash"])
    return hashlib.sha256(json.dumps(row["doc"], indent=2, ensure_ascii=False).encode()).hexdigest()


def _source(config: Mapping[str, Any], name: str) -> str:
    args = config.get("model_args")
    return str(args.get("pretrained", name)) if isinstance(args, dict) else str(args or name)


def _conditions(result: Mapping[str, Any], config: Mapping[str, Any]) -> dict[str, Any]:
    dtype = config.get("model_dtype")
    found = {"dtype": str(dtype).removeprefix("torch.") if dtype else None, "device": config.get("device")}
    found |= {k: config[k] for k in _CONDITIONS if k in config}
    found |= {"chat template": result.get("chat_template_sha"), "version of lm_eval": result.get("lm_eval_version")}
    found |= {"version of transformers": result.get("transformers_version")}
    return {k: v for k, v in found.items() if v is not None}
