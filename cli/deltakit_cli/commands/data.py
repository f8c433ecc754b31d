"""deltakit data: records to train and to evaluate on."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from deltakit_cli.options import dry_run_option, example, format_option, output_option, overwrite_option
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
@dry_run_option
@overwrite_option
@format_option
def toy(task: str, split: str, count: int, seed: int, output: Path, dry_run: bool, overwrite: bool, fmt: str) -> None:
    """Write records of the toy world: word problems in MetaMathQA's schema (math), word tasks as instruction records
    (chat), or documents that hold both skills in a format of their own (base).

    Answers are right by construction; train and test share no item. `ood` has larger numbers and longer lists.
    """
    from deltakit.data.synthetic import check_place, generate, write_records

    check_place(output, overwrite)
    records = generate(task, split, count, seed)
    if not dry_run:
        write_records(output, records, overwrite)
    emit({"output": str(output), "records": len(records), "written": not dry_run}, _done, fmt)


def _done(result: Mapping[str, Any]) -> None:
    verb = "wrote" if result["written"] else "would write"
    console().print(f"{verb} {result['output']}: {result['records']:,} records", markup=False)
