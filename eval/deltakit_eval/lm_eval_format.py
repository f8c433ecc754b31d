"""Results as lm-eval saves them: a folder a model, with results_<time>.json and samples_<task>_<time>.jsonl."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from deltakit.checkpoint.disk import make_folder, rename, write_file
from deltakit.errors import InputError
from deltakit_eval.tasks import PREFIX, task_names

__all__ = ["lm_eval_results", "lm_eval_samples", "write_lm_eval_format"]

_LONGEST = 120  # of a folder's name; expressions over many deltas are longer than file systems take


def write_lm_eval_format(result: Mapping[str, Any], folder: Path, *, now: datetime | None = None) -> list[Path]:
    """Write a result of `evaluate` as lm-eval's EvaluationTracker does; the paths written, results before samples.

    FOLDER/<model>/results_<now>.json and, per task with samples, samples_<task>_<now>.jsonl, one line a document and
    filter. `now` (default: the clock) stands in the names; all else depends on `result` alone. Each file appears
    whole or not at all. InputError for what is no result.
    """
    moment = now or datetime.now()
    stamp = moment.isoformat().replace(":", "-")
    written: list[Path] = []
    try:
        models = list(result["models"])
        places = _folders([str(model["name"]) for model in models])
        for model, place in zip(models, places, strict=True):
            samples = {name: lm_eval_samples(name, model, result) for name in model["tasks"]}
            whole = lm_eval_results(model, result, samples, now=moment, folder=place)
            text = json.dumps(whole, indent=2, ensure_ascii=False)
            written.append(_write(folder / place / f"results_{stamp}.json", text))
            for name, rows in samples.items():
                lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
                path = folder / place / f"samples_{_full_name(name, result)}_{stamp}.jsonl"
                written += [_write(path, lines)] if rows else []
    except (KeyError, TypeError, AttributeError) as wrong:
        problem = f"no result of an evaluation ({type(wrong).__name__}: {wrong})"
        raise InputError(problem, remedy="give what `deltakit eval -o` writes") from None
    return written


def lm_eval_results(
    model: Mapping[str, Any], result: Mapping[str, Any], samples: Mapping[str, Any], *, now: datetime, folder: str
) -> dict[str, Any]:
    """One model's results_<time>.json. Held-out loss is a task `deltakit_held_out_loss` without samples."""
    names = {name: _full_name(name, result) for name in model["tasks"]}
    configs = {full: _about(name, result).get("config", {}) for name, full in names.items()}
    scores = {full: _scores(full, model["tasks"][name]) for name, full in names.items()}
    versions = {full: model["tasks"][name].get("version") for name, full in names.items()}
    counts = {full: model["tasks"][name]["n"] for name, full in names.items()}
    if loss := model.get("loss"):
        full = f"{PREFIX}held_out_loss"
        scores[full] = _lost(full, loss)
        versions[full], counts[full] = 1, loss["records"]
    return {
        "results": scores,
        "group_subtasks": {},
        "configs": dict(sorted(configs.items())),
        "versions": dict(sorted(versions.items())),
        "n-shot": {full: config.get("num_fewshot") or 0 for full, config in sorted(configs.items())},
        "higher_is_better": {full: _directions(config) for full, config in sorted(configs.items())},
        "n-samples": {full: {"original": n, "effective": n} for full, n in counts.items()},
        "config": _config(model, result),
        "git_hash": None,
        "date": now.timestamp(),
        **_libraries(result),
        "task_hashes": {names[name]: _task_hash(rows) for name, rows in samples.items()},
        "model_source": "deltakit",
        "model_name": str(model["name"]),
        "model_name_sanitized": folder,
        "system_instruction": None,
        "system_instruction_sha": None,
        "fewshot_as_multiturn": result.get("settings", {}).get("chat_template"),
        "chat_template": None,
        "chat_template_sha": None,
        "total_evaluation_time_seconds": str(model.get("seconds")),
        "deltakit": {  # what lm-eval has no field for; its tools pass over it
            "headlines": {names[name]: task.get("headline") for name, task in model["tasks"].items()},
            "bytes": model.get("bytes"),
            "model_bytes": model.get("model_bytes"),
        },
    }


def lm_eval_samples(task: str, model: Mapping[str, Any], result: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The lines of samples_<task>_<time>.jsonl, filter by filter, as lm-eval orders them.

    `doc` holds what our results keep of a document: its prompt and its target; `doc_hash` is the whole document's.
    """
    kept = model["tasks"][task].get("samples") or []
    config = _about(task, result).get("config", {})
    filters = list(dict.fromkeys(name for sample in kept for name in sample["filters"]))
    return [_line(s, name, config) for name in filters for s in kept if name in s["filters"]]


def _line(sample: Mapping[str, Any], filter_name: str, config: Mapping[str, Any]) -> dict[str, Any]:
    found = sample["filters"][filter_name]
    scores = {name: value for name, value in found.items() if name != "answer"}
    prompt, target = sample["prompt"], str(sample["target"])
    return {
        "doc_id": sample["doc_id"],
        "doc": {"prompt": prompt, "target": target},
        "target": target,
        "arguments": _arguments(sample, config),
        "resps": _text(_responses(sample, config)),
        "filtered_resps": _text(found.get("answer", [])),
        "filter": filter_name,
        "metrics": list(scores),
        "doc_hash": sample["doc_hash"],
        "prompt_hash": _sha(prompt),
        "target_hash": _sha(target),
        **scores,
    }


def _arguments(sample: Mapping[str, Any], config: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Generation: the prompt and how it is continued. Choices: the prompt and each continuation, where kept."""
    if _generates(config):
        return {"gen_args_0": {"arg_0": sample["prompt"], "arg_1": config.get("generation_kwargs", {})}}
    choices = sample.get("choices")
    if choices is None:
        return {f"gen_args_{i}": {"arg_0": sample["prompt"]} for i in range(len(sample["responses"]))}
    return {f"gen_args_{i}": {"arg_0": sample["prompt"], "arg_1": text} for i, text in enumerate(choices)}


def _responses(sample: Mapping[str, Any], config: Mapping[str, Any]) -> list[Any]:
    """One list a request: all draws of the one prompt, or a log-likelihood for each choice."""
    return [sample["responses"]] if _generates(config) else [[found] for found in sample["responses"]]


def _generates(config: Mapping[str, Any]) -> bool:
    return bool(config.get("output_type", "generate_until") == "generate_until")


def _scores(full: str, task: Mapping[str, Any]) -> dict[str, Any]:
    """lm-eval's flat keys. A value that was not finite is null, a standard error that is not known "N/A"."""
    found: dict[str, Any] = {"alias": full, "name": full, "sample_len": task["n"]}
    for m in task.get("metrics") or []:
        found[f"{m['metric']},{m['filter']}"] = m["value"]
        found[f"{m['metric']}_stderr,{m['filter']}"] = "N/A" if m["stderr"] is None else m["stderr"]
    return found


def _lost(full: str, loss: Mapping[str, Any]) -> dict[str, Any]:
    metric = {"metric": "loss", "filter": "none", "value": loss["loss"], "stderr": loss["stderr"]}
    return _scores(full, {"n": loss["records"], "metrics": [metric]})


def _directions(config: Mapping[str, Any]) -> dict[str, Any]:
    return {m["metric"]: m.get("higher_is_better") for m in config.get("metric_list") or []}


def _config(model: Mapping[str, Any], result: Mapping[str, Any]) -> dict[str, Any]:
    settings = result.get("settings", {})
    seed = settings.get("seed")
    return {
        "model": "deltakit",
        "model_args": {"pretrained": model["model"], "dtype": model.get("dtype")},
        "model_dtype": model.get("dtype"),
        "model_sha": model.get("content") or model.get("identity"),  # as `report.paired.ours` takes it
        "batch_size": "auto",
        "batch_sizes": [],
        "device": model.get("device"),
        "use_cache": None,
        "limit": settings.get("limit"),
        "bootstrap_iters": None,
        "gen_kwargs": {k: settings[k] for k in ("max_new_tokens",) if settings.get(k) is not None} or None,
        **dict.fromkeys(("random_seed", "numpy_seed", "torch_seed", "fewshot_seed"), seed),
    }


def _libraries(result: Mapping[str, Any]) -> dict[str, Any]:
    versions = result.get("versions", {})
    return {f"{name}_version": versions[name] for name in ("transformers", "lm_eval") if name in versions}


def _about(task: str, result: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Mapping[str, Any] = (result.get("tasks") or {}).get(task, {})
    return found


def _full_name(task: str, result: Mapping[str, Any]) -> str:
    """lm-eval's name of a task: what its configuration says, else made of ours. No character a path could trip on."""
    said = _about(task, result).get("config", {}).get("task")
    bare = task.partition(":")[0]
    name = str(said or (f"{PREFIX}{task}" if bare in task_names() else task))
    return re.sub(r"[^\w.+=-]", "_", name)


def _folders(names: Sequence[str]) -> list[str]:
    """A folder name per model as lm-eval makes them; cut and numbered by digest where it is long, taken or a dot."""
    made: list[str] = []
    for name in names:
        plain = re.sub(r'["<>:/|\\?*\[\]\x00-\x1f]+', "__", name)
        if len(plain.encode()) > _LONGEST or not plain.strip(". ") or plain.casefold() in map(str.casefold, made):
            cut = plain.encode()[: _LONGEST - 13].decode(errors="ignore").strip(". ")
            plain = f"{cut}__{_sha(name)[:12]}"
        made.append(plain)
    return made


def _task_hash(rows: Sequence[Mapping[str, Any]]) -> str:
    return _sha("".join(_parts(rows)))


def _parts(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for row in rows:
        yield str(row["doc_hash"]) + str(row["prompt_hash"]) + str(row["target_hash"])


def _text(value: Any) -> Any:
    """Every leaf as text, as lm-eval writes responses so that one column has one type."""
    return [_text(item) for item in value] if isinstance(value, list | tuple) else str(value)


def _sha(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _write(path: Path, text: str) -> Path:
    make_folder(path.parent)
    unfinished = path.with_name(path.name + ".partial")
    write_file(unfinished, text.encode("utf-8", "backslashreplace"))  # a lone surrogate becomes its JSON escape
    rename(unfinished, path)
    return path
