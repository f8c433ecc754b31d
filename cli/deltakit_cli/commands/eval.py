"""`deltakit eval`: models on tasks, through lm-eval."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from deltakit_cli.options import dry_run_option, example, format_option, output_option, overwrite_option
from deltakit_cli.output import console, emit, table
from deltakit_cli.paired import check_reference, show_compared
from deltakit_cli.progress import progress

EXAMPLE = """deltakit eval base=models/base math=models/math --tasks gsm8k --limit 200 --against base -o results.json
deltakit eval "both=models/base + 0.6*math.delta + 0.4*chat.delta" --tasks toy_math,toy_chat
deltakit eval models/base "models/base + math.delta" --tasks gsm8k --data data/ --loss data/held_out.jsonl
deltakit eval models/math --tasks gsm8k,gsm8k:cot8 --samples 16 --temperature 0.7 --cache answers"""


@click.command(epilog=example(EXAMPLE))
@click.argument("models", nargs=-1, required=True, metavar="MODEL...")
@click.option(
    "--tasks",
    multiple=True,
    help="Names with commas between: TASK or TASK:STYLE (see ls tasks), lm-eval's own, or YAML files of tasks.",
)
@click.option("--limit", type=int, help="Only the first so many items of each task.")
@click.option("--subset", type=int, help="So many items of each task, drawn by the seed from all of them.")
@click.option("--split", default="test", show_default=True, help="Which documents: test, or train where a task has it.")
@click.option("--data", multiple=True, metavar="[TASK=]PATH", help="Local data: a folder, or a JSONL file of one task.")
@click.option("--loss", type=click.Path(path_type=Path), help="Also the held-out loss on the records of this file.")
@click.option("--style", help="The prompt style of tasks that are named without one.")
@click.option("--chat-template", is_flag=True, help="Ask through the tokenizer's chat template.")
@click.option("--max-new-tokens", type=int, help="Instead of each task's own.")
@click.option("--mode", help="The way to an answer: hints, best_of(n=8), ...; left out: as each task says.")
@click.option("--samples", type=int, default=1, show_default=True, help="Drawn answers an item: avg@k, maj@k, pass@k.")
@click.option("--temperature", type=float, help="Draw answers; 0 is greedy. Left out: as each task says.")
@click.option("--top-p", type=float, help="Draw from the likeliest tokens that make up this probability.")
@click.option("--top-k", type=int, help="Draw from so many likeliest tokens.")
@click.option("--batch-tokens", type=int, help="Tokens of all rows at once; default 32768, on a GPU what fits.")
@click.option(
    "--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of drawn answers and toy items."
)
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda.")
@click.option("--dtype", default="auto", show_default=True, help="auto: float32 on the CPU, else as stored.")
@click.option("--backend", default="deltakit", show_default=True, help="Who decodes: deltakit, transformers, vllm.")
@click.option(
    "--place",
    default="auto",
    show_default=True,
    help="Models one after the other in one place (swap), those of one base in one batch (mixed), or auto.",
)
@click.option(
    "--allow-code-execution",
    "execution",
    default="isolated",
    show_default=True,
    metavar="isolated|unsafe",
    help="Programs that models write run isolated or not at all; unsafe runs them where nothing isolates them.",
)
@click.option(
    "--cache",
    type=click.Path(path_type=Path),
    envvar="DELTAKIT_CACHE",
    metavar="FOLDER",
    help="Keep answers here from call to call, so that none is computed twice (or set DELTAKIT_CACHE).",
)
@click.option(
    "--lm-eval-output",
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    help="Also write the results here as lm-eval's --output_path would.",
)
@click.option("--against", metavar="NAME", help="Compare all models with this one, item by item, with paired tests.")
@output_option(required=False, help="Write all results here as JSON, with every sample; resumable.")
@dry_run_option
@overwrite_option
@format_option
def command(
    models: tuple[str, ...],
    tasks: tuple[str, ...],
    data: tuple[str, ...],
    loss: Path | None,
    cache: Path | None,
    lm_eval_output: Path | None,
    against: str | None,
    output: Path | None,
    dry_run: bool,
    overwrite: bool,
    fmt: str,
    **settings: Any,
) -> None:
    """Evaluate every MODEL on the same tasks, in one process.

    MODEL is a path, a hub id, a merge recipe, or an expression "BASE + 0.6*DELTA + 0.4*DELTA". "NAME=MODEL" says what
    it is called in results; "GROUP: LABEL=MODEL" also puts it in a group of the report. No restored model is written to
    disk: models of one shape are written over each other in memory, or share one batch over their base. The table
    shows accuracy ± its standard error in per cent; held-out loss is in nats per response token.
    """
    os.environ.setdefault("TQDM_DISABLE", "1")  # lm-eval's bars; ours is one for the whole run
    from deltakit_eval.lm_eval_format import write_lm_eval_format
    from deltakit_eval.named import read_named
    from deltakit_eval.results import summary
    from deltakit_eval.run import evaluate, plan_evaluation
    from deltakit_eval.work import Settings

    if against is not None:
        check_reference(against, [model.name for model in read_named(models)])
    names = [name.strip() for given in tasks for name in given.split(",") if name.strip()]
    what: dict[str, Any] = {"data": _data(data), "loss": loss, "out": output, "overwrite": overwrite}
    folders = [] if lm_eval_output is None else [lm_eval_output]
    if dry_run:
        beside = [*folders, *([cache] if cache else [])]
        emit(plan_evaluation(models, names, Settings(**settings), **what, folders=beside), _plan, fmt)
        return
    what["folders"] = folders
    found = evaluate(models, names, Settings(**settings), **what, cache=cache, progress=progress(fmt))
    written = [] if lm_eval_output is None else write_lm_eval_format(found, lm_eval_output)
    compared = None if against is None else _compared(found, against)
    whole = {**summary(found), "output": str(output) if output else None, "lm_eval": list(map(str, written))}
    if compared is not None:
        whole["compared"] = compared[1]
    emit(whole, lambda result: _human(result, None if compared is None else compared[0]), fmt)


def _compared(found: Mapping[str, Any], against: str) -> tuple[Any, dict[str, Any]]:
    """All models against one, and that as JSON."""
    from deltakit.report.paired import compare
    from deltakit.report.paired.ours import read_ours
    from deltakit.report.paired.record import record

    compared = compare(read_ours(found, "these results"), against=against)
    return compared, record(compared, items=False)


def _data(given: tuple[str, ...]) -> str | dict[str, str] | None:
    """One path for all tasks, or TASK=PATH for each."""
    if len(given) == 1 and "=" not in given[0]:
        return given[0]
    named = dict(text.partition("=")[::2] for text in given)
    if any(not path for path in named.values()):
        raise click.UsageError("--data: give one path, or TASK=PATH for each task")
    return named or None


def _plan(plan: Mapping[str, Any]) -> None:
    out = console()
    shown = []
    for m in plan["models"]:
        memory = m["memory"]
        taken, free = (f"{memory[key] / 1e9:.2f}" for key in ("weight_bytes", "free_bytes"))
        shown.append([m["name"], m["parameters"], taken, free, memory["tokens"]])
    out.print(table(["model", "parameters", "weights, GB", "free, GB", "tokens that fit beside"], shown))
    out.print(table(["task", "n"], [[name, task["n"]] for name, task in plan["tasks"].items()]))
    out.print(f"{plan['answers']} answers in all; results to {plan['output'] or 'the screen only'}")


def _human(result: Mapping[str, Any], compared: Any = None) -> None:
    from deltakit_eval.remarks import at_k_rows, endings, formats
    from deltakit_eval.results import rows

    shown = [[model, task, _number(value, error, unit), n] for model, task, value, error, n, unit in rows(result)]
    console().print(table(["model", "task", "accuracy %, loss in nats", "n"], shown))
    several = at_k_rows(result)
    if several:
        drawn = [[model, task, metric, _number(value, error)] for model, task, metric, value, error in several]
        console().print(table(["model", "task", "of several answers", "%"], drawn))
    for line in [*endings(result), *formats(result)]:
        console().print(line)
    for model in result["models"]:
        if model["loss"] and model["loss"]["too_long"]:
            console().print(f"{model['model']}: {model['loss']['too_long']} records above the context were left out")
    if compared is not None:
        show_compared(compared)
    if result["output"]:
        console().print(f"wrote {result['output']}")


def _number(value: float | None, error: float | None, unit: str = "%") -> str:
    """Per cent with one decimal; what is no share with four and its unit."""
    if value is None:
        return "not finite"
    if unit == "%":
        return f"{value * 100:.1f}" + ("" if error is None else f" ± {error * 100:.1f}")
    return f"{value:.4f}" + ("" if error is None else f" ± {error:.4f}") + f" {unit}"
