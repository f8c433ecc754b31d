"""The error boundary: every kind of failure has its code and two lines; tracebacks only on request."""

import errno

import click
import pytest

from deltakit import errors
from deltakit_cli.errors import guarded, say


def boom(error):
    @click.command()
    def command():
        raise error

    return command


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.DeltakitError("x"), 1),
        (errors.RecipeError("x"), 2),
        (errors.InputError("x"), 3),
        (errors.CheckpointError("x"), 3),
        (errors.MismatchError("x"), 3),
        (errors.UnsafeError("x"), 4),
        (errors.ResourceError("x"), 5),
        (errors.VerificationError("x"), 6),
        (errors.NoEffectError("x"), 6),
        (KeyboardInterrupt(), 130),
        (OSError(errno.ENOSPC, "No space left on device", "f"), 5),
        (MemoryError(), 5),
        (ZeroDivisionError("surprise"), 1),
        (click.UsageError("x"), 2),
        (click.exceptions.Exit(6), 6),
    ],
)
def test_every_kind_has_its_exit_code(error, code, capsys):
    assert guarded(boom(error), []) == code


def test_an_error_is_what_is_wrong_and_what_to_do(capsys):
    error = errors.MismatchError("tensor 'w' does not fit", remedy="name its base", details=["a", "b"])
    guarded(boom(error), [])
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err == "error: tensor 'w' does not fit\n  - a\n  - b\nhint: name its base\n"


def test_tracebacks_only_on_request(capsys, monkeypatch):
    guarded(boom(ZeroDivisionError("surprise")), [])
    assert "Traceback" not in capsys.readouterr().err
    monkeypatch.setenv("DELTAKIT_DEBUG", "1")
    guarded(boom(ZeroDivisionError("surprise")), [])
    assert "Traceback" in capsys.readouterr().err


def test_an_interrupt_prints_the_command_that_resumes(capsys):
    @click.command()
    @click.argument("path")
    def command(path):
        raise KeyboardInterrupt

    assert guarded(command, ["a b"]) == 130
    assert "deltakit 'a b'" in capsys.readouterr().err


def test_say_without_a_remedy(capsys):
    say("wrong")
    assert capsys.readouterr().err == "error: wrong\n"
