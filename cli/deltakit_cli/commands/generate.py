"""`deltakit generate`: text from a model or an expression."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from deltakit_cli.options import example, format_option
from deltakit_cli.output import console, emit

EXAMPLE = """deltakit generate models/math --prompt "What is 3 + 4?" --template alpaca
deltakit generate "models/base + 0.6*math.delta" --prompt "What is 3 + 4?" --prompt "And 5 + 6?" --format json
deltakit generate models/math --file prompts.txt --temperature 0.7 --seed 1"""


@click.command(epilog=example(EXAMPLE))
@click.argument("model")
@click.option("--prompt", "prompts", multiple=True, help="A prompt; may be given several times.")
@click.option("--file", type=click.Path(path_type=Path), help='One prompt a line, or JSON lines with "prompt".')
@click.option("--template", default="none", show_default=True, help="none, chat, alpaca, metamath, qa or bare.")
@click.option("--max-new-tokens", default=256, show_default=True, type=click.IntRange(min=1), help="Per answer.")
@click.option("--stop", multiple=True, help="A string that ends an answer; may be given several times.")
@click.option("--temperature", default=0.0, show_default=True, help="0 takes the likeliest token.")
@click.option("--top-p", default=1.0, show_default=True, help="Draw from the smallest set of this probability.")
@click.option("--top-k", default=0, show_default=True, help="Draw from so many tokens; 0: from all.")
@click.option("--seed", default=0, show_default=True, type=click.IntRange(min=0), help="Prompt i draws with seed + i.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda.")
@click.option("--dtype", default="auto", show_default=True, help="auto: float32 on the CPU, else as stored.")
@format_option
def command(model: str, prompts: tuple[str, ...], file: Path | None, fmt: str, **settings: Any) -> None:
    """Generate text with MODEL.

    MODEL is a path, a hub id, a merge recipe, or an expression "BASE + 0.6*DELTA".
    """
    from deltakit.data.asked import read_prompts
    from deltakit.generate.texts import generate_texts

    asked = [*prompts, *(read_prompts(file) if file else [])]
    emit(generate_texts(model, asked, **settings), _human, fmt)


def _human(result: Mapping[str, Any]) -> None:
    out = console()
    for answer in result["answers"]:
        if len(result["answers"]) > 1:
            out.print(f"> {answer['prompt']}", style="dim", markup=False)
        out.print(answer["text"], markup=False)
