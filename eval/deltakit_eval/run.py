"""Evaluate several models on the same tasks, in one process: results whole or not at all, answers kept as they come."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from deltakit.checkpoint import Progress, Staging, checksum, silent
from deltakit.checkpoint.disk import make_folder
from deltakit.checkpoint.staging import check_apart, check_output
from deltakit.delta.open import Model, Shared, local_paths, open_model
from deltakit.errors import InputError
from deltakit.generate import Host
from deltakit.generate.forecast import expected
from deltakit.manifest import pretty_json, versions
from deltakit_eval.answers import Answers
from deltakit_eval.measure import SCORING, measure, size_of
from deltakit_eval.named import read_named
from deltakit_eval.work import Settings, Work, prepare

__all__ = ["SCHEMA_VERSION", "check_folders", "evaluate", "plan_evaluation"]

SCHEMA_VERSION = 1
_RESULTS = "results.json"


def evaluate(
    models: Sequence[str],
    tasks: Sequence[str],
    settings: Settings | None = None,
    *,
    data: str | Path | Mapping[str, str | Path] | None = None,
    loss: Path | None = None,
    out: Path | None = None,
    overwrite: bool = False,
    cache: Path | None = None,
    folders: Sequence[Path] = (),
    progress: Progress = silent,
) -> dict[str, Any]:
    """Results of every operand ("MODEL" or "NAME=MODEL") on every task, and held-out loss on the records of `loss`.

    With `out` they are also written there, whole or not at all; a run that was killed, or that failed, goes on at the
    item where it stopped when the same call is made again. `cache` is a folder that keeps answers from call to call,
    so that none is computed twice; `folders` are others that the caller will write to. No restored model is ever
    written to disk. Raises RecipeError (usage, names) and InputError (files, data, models, a folder inside an input)
    before any weights are read.
    """
    opened, work = _open(models, tasks, settings, data, loss)
    check_folders([*folders, *([cache] if cache else [])], _inputs(opened, loss))
    for folder in folders:
        make_folder(folder)  # better told now than after hours
    plan = {"schema_version": SCHEMA_VERSION, "action": "eval", "versions": _versions(work.settings), **work.identity()}
    if out is None:
        with Answers(cache) as answers:
            return {**plan, "models": measure(opened, work, answers, plan["versions"], progress)}
    failed: InputError | None = None
    with Staging(out, {**plan, "models": list(models)}, overwrite, inputs=_inputs(opened, loss)) as staging:
        try:
            with Answers(cache or staging.folder) as answers:
                try:
                    result = {**plan, "models": measure(opened, work, answers, plan["versions"], progress)}
                finally:
                    _keep(staging, answers)
            (staging.folder / _RESULTS).write_bytes(pretty_json(result))
            staging.commit_file(_RESULTS)
        except InputError as error:  # leaving the block with it would throw the finished answers away
            failed = error
    if failed:
        raise failed
    return result


def _keep(staging: Staging, answers: Answers) -> None:
    """Note in the journal that the staging folder holds answers: it stays when the run ends with an error."""
    if answers.path is not None and answers.path.parent == staging.folder and len(answers):
        header = answers.path.read_bytes().partition(b"\n")[0] + b"\n"
        staging.journal.add("answers", answers.path.name, 0, len(header), checksum(header))


def plan_evaluation(
    models: Sequence[str],
    tasks: Sequence[str],
    settings: Settings | None = None,
    *,
    data: str | Path | Mapping[str, str | Path] | None = None,
    loss: Path | None = None,
    out: Path | None = None,
    overwrite: bool = False,
    folders: Sequence[Path] = (),
) -> dict[str, Any]:
    """What `evaluate` would do, with all its checks and without reading weights: models, tasks, number of answers."""
    opened, work = _open(models, tasks, settings, data, loss)
    check_folders(folders, _inputs(opened, loss))
    if out is not None:
        check_apart(out.resolve(), [p.resolve() for p in _inputs(opened, loss)])
        check_output(out, overwrite)
    sizes = [sum(spec.numel for spec in model.tensors.specs.values()) for _, model in opened]
    return {
        **work.identity(),
        "models": [
            {"name": name, "model": m.source, "parameters": n, **size_of(m), "memory": _memory(m, work.settings)}
            for (name, m), n in zip(opened, sizes, strict=True)
        ],
        "answers": len(opened) * work.items,
        "output": None if out is None else str(out),
    }


def _memory(model: Model, settings: Settings) -> dict[str, int]:
    host = Host(device=settings.device, dtype=settings.dtype)
    return expected(model, host.dtype_of(model), host.device)


def _open(
    models: Sequence[str], tasks: Sequence[str], settings: Settings | None, data: Any, loss: Path | None
) -> tuple[list[tuple[str, Model]], Work]:
    """Everything that is to be used, opened and checked; no weights are read."""
    named = read_named(models)
    work = prepare(tasks, settings or Settings(), data, loss)
    opened: Shared = {}  # operands that several models name are opened once
    return [(m.name, open_model(m.text, shared=opened)) for m in named], work


def _inputs(opened: Sequence[tuple[str, Model]], loss: Path | None) -> list[Path]:
    """The files and folders that results must not be written over or into."""
    return [*(p for _, model in opened for p in local_paths(model.source)), *([loss] if loss else [])]


def check_folders(folders: Sequence[Path], inputs: Sequence[Path]) -> None:
    """InputError for a folder to be written to that is an input or lies inside one."""
    for folder in folders:
        for given in inputs:
            if folder.resolve().is_relative_to(given.resolve()):
                remedy = "choose a folder outside of it; inputs are never changed"
                raise InputError(f"{folder} lies inside the input {given}", remedy=remedy)


def _versions(settings: Settings) -> dict[str, str]:
    """Of the libraries that decode and that score; those not installed are left out."""
    found = versions()
    for name in (*SCORING, *(["vllm"] if settings.backend == "vllm" else [])):
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found
