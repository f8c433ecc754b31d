"""The `deltakit` command: a lazy group of verbs and the one place where errors become words and exit codes."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence
from typing import Any

import click

from deltakit_cli import errors as boundary
from deltakit_cli.interrupts import heeded

__all__ = ["VERBS", "cli", "main"]

# verb -> one line of help, so that `deltakit --help` imports no verb
VERBS = {
    "demo": "Train, merge, compress and evaluate small models here and now.",
    "doctor": "Check this machine and installation.",
    "init": "Copy a commented recipe to start from.",
    "ls": "List methods, primitives, codecs, tasks or recipes.",
    "explain": "Explain one method, primitive, codec or task.",
    "inspect": "Show what a checkpoint, delta or adapter holds.",
    "diff": "Compare two models tensor by tensor.",
    "verify": "Check the digests of an output.",
    "extract": "Extract the delta between a base and a fine-tune.",
    "apply": "Restore a model from its base and a delta.",
    "sparsify": "Sparsify a delta (DARE, trim).",
    "merge": "Merge models (task arithmetic, TIES, DARE, slerp, ...).",
    "compress": "Compress a delta (svd_mixed, sign, auto, ...).",
    "export": "Write a delta as a LoRA, for lm-eval, or as a model.",
    "data": "Make records to train and to evaluate on.",
    "sft": "Fine-tune a model on MetaMathQA-style data.",
    "generate": "Generate text with models or expressions.",
    "chat": "Talk with a model or an expression.",
    "eval": "Evaluate models with lm-eval.",
    "grade": "Score existing outputs.",
    "sweep": "Search fields of a merge on tasks, test the winner.",
    "compare": "Compare results item by item, with paired tests.",
    "report": "Draw a report of results.",
    "run": "Run a pipeline recipe.",
}


class LazyGroup(click.Group):
    """Verbs are imported when they are called, not when help is printed."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in VERBS:
            return None
        module = importlib.import_module(f"deltakit_cli.commands.{cmd_name}")
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Verbs"):
            formatter.write_dl(list(VERBS.items()))

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        if args and args[0] not in VERBS and not args[0].startswith("-"):
            from deltakit.registry import did_you_mean

            raise click.UsageError(f"no verb {args[0]!r}; {did_you_mean(args[0], list(VERBS))}", ctx)
        return super().resolve_command(ctx, args)


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="deltakit-llm", prog_name="deltakit")
def cli() -> None:
    """Merge fine-tuned models, compress their deltas, evaluate what comes out.

    A model is named by a path, a hub id, a merge recipe, or an expression:

    \b
      deltakit eval "BASE + 0.6*MATH + 0.4*CHAT" --tasks gsm8k
    """


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command line and exit with its code."""
    # Idle OpenMP threads that spin make small models several times slower on shared cores.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    with heeded():
        code = boundary.guarded(cli, list(sys.argv[1:] if argv is None else argv))
    sys.exit(code)
