"""Documentation that runs: every `deltakit` command in README and docs parses, and the README's recipes run."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest

from deltakit.merge import METHODS
from deltakit_cli.main import VERBS, cli

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
RECIPES = sorted((ROOT / "recipes").rglob("*.yaml"))


def commands(text: str) -> list[str]:
    """Lines that call deltakit in shell blocks, continuation lines joined, comments and prompts taken off."""
    blocks = re.findall(r"```(?:bash|sh|console|shell)\n(.*?)```", text, re.S)
    lines = "\n".join(blocks).replace("\\\n", " ").splitlines()
    return [line.strip().removeprefix("$ ") for line in lines if re.match(r"\s*(\$ )?deltakit ", line)]


def parse(line: str) -> None:
    """Parse a command line with click, without running it; SystemExit or UsageError if it is wrong."""
    words = shlex.split(line, comments=True)
    for operator in ("|", ">", "2>", "&&"):
        if operator in words:
            words = words[: words.index(operator)]
    verb, *rest = words[1:]
    if verb in ("--help", "--version"):
        return
    assert verb in VERBS, f"no verb {verb!r} in {line!r}"
    command = cli.get_command(click.Context(cli), verb)
    assert command is not None
    if "--help" not in rest:
        command.make_context(verb, rest, resilient_parsing=False)


PAGE_COMMANDS = [(p.relative_to(ROOT), c) for p in PAGES if p.exists() for c in commands(p.read_text())]


@pytest.mark.parametrize(("page", "line"), PAGE_COMMANDS, ids=[f"{p}:{c[:60]}" for p, c in PAGE_COMMANDS])
def test_every_documented_command_parses(page, line):
    parse(line)


@pytest.mark.parametrize("path", RECIPES, ids=lambda p: str(p.relative_to(ROOT)))
def test_every_recipe_starts_with_the_command_that_runs_it(path):
    first = path.read_text().splitlines()[:6]
    lines = [line.lstrip("# ") for line in first if line.startswith("#") and "deltakit " in line]
    found = [line[line.index("deltakit ") :] for line in lines]
    assert found, "the first lines must show the command"
    parse(found[0])


@pytest.mark.parametrize("verb", sorted(VERBS))
def test_every_verb_has_help_with_an_example(verb):
    command = cli.get_command(click.Context(cli), verb)
    assert command is not None
    text = command.get_help(click.Context(command, info_name=f"deltakit {verb}"))
    assert f"deltakit {verb}" in text.partition("\n")[2], "an example"
    assert "--format" in text


WRITERS = ("extract", "apply", "export", "sparsify", "merge", "compress", "sft", "run", "demo", "report", "compare",
           "init", "sweep")  # fmt: skip


@pytest.mark.parametrize("verb", WRITERS)
def test_every_verb_that_writes_has_a_dry_run(verb):
    command = cli.get_command(click.Context(cli), verb)
    assert command is not None
    assert "--dry-run" in {o for p in command.params for o in p.opts}


def test_the_how_to_of_merging_lists_every_method_with_its_parameters():
    rows = re.findall(r"^\| `(\w+)` \|.*\|(.*)\|$", (ROOT / "docs" / "merging.md").read_text(), re.M)
    listed = {name: set(re.findall(r"`(\w+)`", keys)) for name, keys in rows}
    listed["ramplus_tl"] = listed["ramplus"]
    assert listed == {name: set(METHODS.parameters(name)) for name in METHODS.names()}
