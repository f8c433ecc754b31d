"""deltakit init: a commented recipe to start from."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from deltakit.errors import InputError, RecipeError
from deltakit.registry import did_you_mean
from deltakit_cli.catalogue import listing, recipes_folder
from deltakit_cli.options import dry_run_option, example, format_option, overwrite_option
from deltakit_cli.output import console, emit


@click.command(epilog=example("deltakit init merge/task_arithmetic\ndeltakit init sft/metamath-7b -o my-sft.yaml"))
@click.argument("recipe")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Where to copy it [default: its own name, here].")
@dry_run_option
@overwrite_option
@format_option
def command(recipe: str, output: Path | None, dry_run: bool, overwrite: bool, fmt: str) -> None:
    """Copy a shipped RECIPE (see `deltakit ls recipes`) to edit."""
    source = _source(recipe)
    target = output or Path(source.name)
    # the command on top runs the copy, wherever it lies
    shipped = source.relative_to(recipes_folder().parent).as_posix()
    text = source.read_text().replace(shipped, shlex.quote(str(target)))
    if target.is_dir():
        raise InputError(f"{target} is a folder", remedy=f"name a file, such as {target / source.name}")
    if target.exists() and not overwrite:
        raise InputError(f"{target} exists", remedy="choose another -o, or pass --overwrite")
    if not dry_run:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
    emit({"recipe": recipe, "output": str(target), "written": not dry_run, "first": _command(text)}, _show, fmt)


def _source(recipe: str) -> Path:
    names = [i["name"] for i in listing("recipes")]
    plain = recipe.removesuffix(".yaml")
    if plain not in names:
        raise RecipeError(f"no shipped recipe is called {recipe!r}", remedy=did_you_mean(plain, names))
    return recipes_folder() / f"{plain}.yaml"


def _command(text: str) -> str:
    """The command that runs a recipe, from its first lines."""
    lines = [line.lstrip("# ").strip() for line in text.splitlines()[:6]]
    return next((line[line.index("deltakit ") :] for line in lines if "deltakit " in line), "")


def _show(found: Mapping[str, Any]) -> None:
    out = console()
    verb = "wrote" if found["written"] else "would write"
    out.print(f"{verb} {found['output']}; it says how it is run: {found['first']}", markup=False)
