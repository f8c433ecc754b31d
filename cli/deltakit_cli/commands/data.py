"""deltakit data: records to train and to evaluate on."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from deltakit_cli.options import example, format_option, output_option, overwrite_option
from deltakit_cli.output import console, emit


@click.group(epilog=example("deltakit data toy math --count 9600 -o math.train.jsonl"))
def command() -> None:
    """Make data; every command below takes --format and says more with --help."""


@command.command(
    epilog=example(
        "deltakit data toy math --count 9600 -o math.train.jsonl\n"
        "deltakit data toy chat --split test --count 200 -o chat.test.jsonl"
    )
)
@click.argument("task", type=click.Choice(["math", "chat", "base"]))
@click.option("--split", type=click.Choice(["train", "test", "ood"]), default="train", show_default=True)
@click.option("--count", type=click.IntRange(min=1), required=True, help="Records to write.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
@output_option(help="The JSONL file to write.")
@overwrite_option
@format_option
def toy(task: str, split: str, count: int, seed: int, output: Path, overwrite: bool, fmt: str) -> None:
    """Write records of the toy world: word problems in MetaMathQA's schema (math), word tasks as instruction records
    (chat), or documents that hold both skills in a format of their own (base).

    Answers are right by construction; train and test share no item. `ood` has larger numbers and longer lists.
    """
    from deltakit.data.synthetic import generate, write_records

    records = generate(task, split, count, seed)
    write_records(output, records, overwrite)
    emit({"output": str(output), "records": len(records), "bytes": output.stat().st_size}, _done, fmt)


def _done(result: Mapping[str, Any]) -> None:
    console().print(f"wrote {result['output']}: {result['records']:,} records, {result['bytes']:,} bytes")
