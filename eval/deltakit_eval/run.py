"""Evaluate several models on the same tasks: one in memory, the next written over it, results kept as they come."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from deltakit.checkpoint import Progress, Staging, checksum, silent
from deltakit.checkpoint.staging import check_apart, check_output
from deltakit.delta.open import Model, local_paths, open_model
from deltakit.errors import DeltakitError, InputError
from deltakit.generate import Engine, Host
from deltakit.manifest import digest, pretty_json, versions
from deltakit_eval.loss import held_out_loss
from deltakit_eval.memory import Forgetful, Memory, Staged
from deltakit_eval.named import read_named
from deltakit_eval.results import plain, short_name, task_result
from deltakit_eval.size import stored_bytes
from deltakit_eval.work import LOSS, Settings, Work, prepare

__all__ = ["SCHEMA_VERSION", "evaluate", "plan_evaluation"]

SCHEMA_VERSION = 1
_RESULTS = "results.json"
_DRAWS = 100  # bootstrap draws, for metrics whose standard error has no formula; means have one


def evaluate(
    models: Sequence[str],
    tasks: Sequence[str],
    settings: Settings | None = None,
    *,
    data: str | Path | Mapping[str, str | Path] | None = None,
    loss: Path | None = None,
    out: Path | None = None,
    overwrite: bool = False,
    progress: Progress = silent,
) -> dict[str, Any]:
    """Results of every operand ("MODEL" or "NAME=MODEL") on every task, and held-out loss on the records of `loss`.

    With `out` they are also written there, whole or not at all; a run that was killed, or that failed at a later
    model, goes on when the same call is made again. No restored model is ever written to disk. Raises RecipeError
    (usage, names) and InputError (files, data, models) before any weights are read.
    """
    opened, work = _open(models, tasks, settings, data, loss)
    plan = {"schema_version": SCHEMA_VERSION, "action": "eval", "versions": _versions(), **work.identity()}
    if out is None:
        return {**plan, "models": _measure(opened, work, Forgetful(), progress)}
    failed: InputError | None = None
    with Staging(out, {**plan, "models": list(models)}, overwrite, inputs=_inputs(opened, loss)) as staging:
        try:
            result = {**plan, "models": _measure(opened, work, Staged(staging), progress)}
            (staging.folder / _RESULTS).write_bytes(pretty_json(result))
            staging.commit_file(_RESULTS)
        except InputError as error:  # leaving the block with it would throw the finished models away
            failed = error
    if failed:
        raise failed
    return result


def plan_evaluation(
    models: Sequence[str],
    tasks: Sequence[str],
    settings: Settings | None = None,
    *,
    data: str | Path | Mapping[str, str | Path] | None = None,
    loss: Path | None = None,
    out: Path | None = None,
    overwrite: bool = False,
) -> dict[str, Any]:
    """What `evaluate` would do, with all its checks and without reading weights: models, tasks, number of answers."""
    opened, work = _open(models, tasks, settings, data, loss)
    if out is not None:
        check_apart(out.resolve(), [p.resolve() for p in _inputs(opened, loss)])
        check_output(out, overwrite)
    sizes = [sum(spec.numel for spec in model.tensors.specs.values()) for _, model in opened]
    return {
        **work.identity(),
        "models": [
            {"name": name, "model": m.source, "parameters": n, **_size(m)}
            for (name, m), n in zip(opened, sizes, strict=True)
        ],
        "answers": len(opened) * work.items,
        "output": None if out is None else str(out),
    }


def _open(
    models: Sequence[str], tasks: Sequence[str], settings: Settings | None, data: Any, loss: Path | None
) -> tuple[list[tuple[str, Model]], Work]:
    """Everything that is to be used, opened and checked; no weights are read."""
    named = read_named(models)
    work = prepare(tasks, settings or Settings(), data, loss)
    return [(m.name, open_model(m.text)) for m in named], work


def _inputs(opened: Sequence[tuple[str, Model]], loss: Path | None) -> list[Path]:
    """The files and folders that results must not be written over or into."""
    return [*(p for _, model in opened for p in local_paths(model.source)), *([loss] if loss else [])]


def _versions() -> dict[str, str]:
    return {**versions(), "lm_eval": version("lm_eval")}


def _measure(
    models: Sequence[tuple[str, Model]], work: Work, memory: Memory, progress: Progress
) -> list[dict[str, Any]]:
    """One record per model, in order. An error names the model it came with."""
    s = work.settings
    host = Host(device=s.device, dtype=s.dtype, batch_tokens=s.batch_tokens, max_rows=s.max_rows)
    progress.start("evaluating", len(models) * work.items, "answers")
    try:
        out = []
        for name, model in models:
            try:
                out.append({"name": name, **_size(model), **_model(model, host, work, memory, progress)})
            except DeltakitError as error:
                message = f"{name}: {error.message}"
                raise type(error)(message, remedy=error.remedy, details=error.details) from error
        return out
    finally:
        progress.stop()


def _size(model: Model) -> dict[str, int | None]:
    """`bytes` on disk beyond the base (None: computed from a recipe), `model_bytes` of the whole weights."""
    whole = sum(spec.nbytes for spec in model.tensors.specs.values())
    return {"bytes": stored_bytes(model.source), "model_bytes": whole}


def _model(model: Model, host: Host, work: Work, memory: Memory, progress: Progress) -> dict[str, Any]:
    began = time.monotonic()
    engine = host.serve(model)
    about = {"content": host.content, "dtype": host.dtype, "device": host.device}
    files = [[name, checksum(content)] for name, content in sorted(model.sidecar.files.items())]
    tasks = {}
    for name in work.names:
        key = digest([about, files, name])
        found = memory.get(key)
        if found is None:
            found = _one(name, engine, work, lambda rows: progress.advance(rows, model.source))
            memory.put(key, found)
        else:
            progress.advance(int(found.get("n", found.get("records", 0))), model.source)
        tasks[short_name(name)] = found
    lost = tasks.pop(LOSS, None)
    seconds = round(time.monotonic() - began, 3)
    return {"model": model.source, **about, "tasks": tasks, "loss": lost, "seconds": seconds}


def _one(name: str, engine: Engine, work: Work, done: Any) -> dict[str, Any]:
    """One model on one task, through lm-eval's evaluator."""
    if name == LOSS:
        return held_out_loss(engine, work.records, work.settings.style or "alpaca", done)
    from lm_eval import evaluator

    from deltakit_eval.model import DeltakitLM

    s, began = work.settings, time.monotonic()
    lm = DeltakitLM(engine, seed=s.seed, max_new_tokens=s.max_new_tokens, done=done)
    found = evaluator.evaluate(
        lm,
        {"tasks": {name: work.tasks[name]}},
        limit=s.limit,
        bootstrap_iters=_DRAWS,
        log_samples=True,
        apply_chat_template=s.chat_template,
        fewshot_as_multiturn=s.chat_template,
    )
    seconds = round(time.monotonic() - began, 3)
    return {**plain(task_result(name, found)), **lm.endings.shares(), "seconds": seconds}
