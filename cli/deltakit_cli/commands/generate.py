"""`deltakit generate`: text from models or expressions."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import groupby
from pathlib import Path
from typing import Any

import click

from deltakit_cli.options import device_options, drawing_options, example, format_option
from deltakit_cli.output import console, emit

EXAMPLE = """deltakit generate models/math --prompt "What is 3 + 4?" --template alpaca
deltakit generate "models/base + 0.6*math.delta" --prompt "What is 3 + 4?" --prompt "And 5 + 6?" --format json
deltakit generate models/base "models/base + math.archive" "models/base + chat.archive" --file prompts.txt
deltakit generate models/math --file prompts.txt --temperature 0.7 --seed 1"""


@click.command(epilog=example(EXAMPLE))
@click.argument("models", metavar="MODEL...", nargs=-1, required=True)
@click.option("--prompt", "prompts", multiple=True, help="A prompt; may be given several times.")
@click.option("--file", type=click.Path(path_type=Path), help='One prompt a line, or JSON lines with "prompt".')
@click.option("--template", default="none", show_default=True, help="none, chat, alpaca, metamath, qa or bare.")
@click.option("--max-new-tokens", default=256, show_default=True, type=click.IntRange(min=1), help="Per answer.")
@click.option("--stop", multiple=True, help="A string that ends an answer; may be given several times.")
@drawing_options("Prompt i draws with seed + i.")
@device_options
@format_option
def command(models: tuple[str, ...], prompts: tuple[str, ...], file: Path | None, fmt: str, **settings: Any) -> None:
    """Generate text with every MODEL.

    MODEL is a path, a hub id, a merge recipe, or an expression "BASE + 0.6*DELTA". Models over one base share it in
    memory and answer in one batch.
    """
    from deltakit.data.asked import read_prompts
    from deltakit.generate.texts import generate_texts

    asked = [*prompts, *(read_prompts(file) if file else [])]
    emit(generate_texts(models, asked, **settings), _human, fmt)


def _human(result: Mapping[str, Any]) -> None:
    out = console()
    answers, several = result["answers"], len(result["models"]) > 1
    size = len(result["models"])
    for i, group in groupby(enumerate(answers), lambda item: item[0] // size):
        if len(answers) > size or several:
            out.print(f"> {answers[i * size]['prompt']}", style="dim", markup=False)
        for _, answer in group:
            if several:
                out.print(f"[{answer['model']}]", style="bold", markup=False)
            out.print(answer["text"], markup=False)
