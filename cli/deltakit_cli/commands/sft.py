"""deltakit sft: supervised fine-tuning by a recipe."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from deltakit_cli import errors, options, output
from deltakit_cli.progress import progress


@click.command(
    epilog=options.example(
        """
deltakit sft recipes/sft/babyllama-gsm8k.yaml -o runs/math
deltakit sft recipes/sft/babyllama-gsm8k.yaml -o runs/math --set train.max_steps=50 --dry-run
accelerate launch --num_processes 8 $(command -v deltakit) sft recipes/sft/metamath-7b.yaml -o runs/7b
"""
    )
)
@click.argument("recipe", type=click.Path(path_type=Path))
@options.output_option(required=False, help="The folder to write; default: the recipe's output.")
@options.set_option
@click.option(
    "--resume", type=click.Choice(["auto", "never"]), default="auto", show_default=True,
    help="auto: go on from the newest complete checkpoint of an unfinished run; never: discard it.",
)  # fmt: skip
@options.overwrite_option
@options.dry_run_option
@options.format_option
def command(
    recipe: Path,
    output: Path | None,
    overrides: tuple[str, ...],
    resume: str,
    overwrite: bool,
    dry_run: bool,
    fmt: str,
) -> None:
    """Fine-tune a model on MetaMathQA, instruction or GSM8K records: whole weights, or LoRA.

    The run lives in OUT.training; interrupted or killed, the same command goes on from there.
    """
    _run(recipe, output, overrides, resume == "auto", overwrite, dry_run, fmt)


def _run(
    path: Path, out: Path | None, overrides: tuple[str, ...], resume: bool, overwrite: bool, dry_run: bool, fmt: str
) -> None:
    from deltakit.errors import RecipeError
    from deltakit.recipe import load_recipe
    from deltakit.train.recipe import SftRecipe

    recipe = load_recipe(path, SftRecipe, overrides)
    out = out or (Path(recipe.output) if recipe.output else None)
    if out is None:
        raise RecipeError("nowhere to write", remedy="give -o OUT, or `output:` in the recipe")
    if dry_run:
        from deltakit.train.sft import preview

        output.emit(preview(recipe, out, overwrite=overwrite), _human, fmt)
        return
    from deltakit.train.sft import run_sft

    try:
        result = run_sft(recipe, out, overwrite=overwrite, resume=resume, progress=progress(fmt))
    except KeyboardInterrupt as stop:
        errors.say(str(stop) or "interrupted")
        raise
    output.emit(result, _human, fmt)


def _human(result: Mapping[str, Any]) -> None:
    console = output.console()
    rows = [
        [part, d["file"], d["kind"], d["records"], d["kept"], d["too_long"], d["split_borders"], d["unknown_tokens"]]
        for part in ("data", "holdout")
        for d in result[part]
    ]
    columns = ["part", "file", "kind", "records", "kept", "too long", "split borders", "unknown tokens"]
    console.print(output.table(columns, rows))
    for name, text in _LINES.items():
        if result.get(name) is not None:
            console.print(f"{text}: {result[name]}")


_LINES = {
    "parameters": "parameters",
    "trained": "parameters trained",
    "max_length": "longest record allowed, tokens",
    "examples_per_step": "records a step",
    "steps": "steps",
    "epochs": "epochs",
    "holdout_prompts_in_training": "held-out prompts that are in the training data too",
    "resumed_at": "resumed at step",
    "milliseconds_per_step": "milliseconds a step",
    "loss": "training loss at the end, nats a token",
    "holdout_loss": "held-out loss, nats a token",
    "output": "output",
}
