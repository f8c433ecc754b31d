"""Shared options mean the same everywhere."""

import click
from click.testing import CliRunner

from deltakit_cli.options import (
    dry_run_option,
    example,
    format_option,
    output_option,
    overwrite_option,
    set_option,
)


@click.command(epilog=example("deltakit x -o y\ndeltakit x"))
@output_option()
@dry_run_option
@overwrite_option
@set_option
@format_option
def command(output, dry_run, overwrite, overrides, fmt):
    click.echo(f"{output} {dry_run} {overwrite} {overrides} {fmt}")


def test_they_arrive_under_their_names():
    args = ["-o", "y", "--dry-run", "--overwrite", "--set", "a=1", "--set", "b.c=2", "--format", "json"]
    assert CliRunner().invoke(command, args).output == "y True True ('a=1', 'b.c=2') json\n"


def test_the_example_keeps_its_lines():
    text = CliRunner().invoke(command, ["--help"]).output
    assert "  deltakit x -o y\n" in text


def test_an_unknown_format_is_refused():
    assert CliRunner().invoke(command, ["-o", "y", "--format", "xml"]).exit_code == 2
