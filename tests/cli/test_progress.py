"""Progress goes to stderr, or nowhere."""

from deltakit.checkpoint.pump import silent
from deltakit_cli.progress import Bar, Lines, progress


def test_lines_are_rare_and_on_stderr(capsys):
    lines = Lines(every=0.0)
    lines.start("reading", 200)
    lines.advance(50, "a")
    lines.advance(100, "b")
    lines.stop()
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err == "reading: 25% a\nreading: 75% b\n"
    slow = Lines(every=1e9)
    slow.start("reading", 200)
    slow.advance(50)
    assert capsys.readouterr().err == ""


def test_a_bar_draws_nothing_on_stdout(capsys):
    bar = Bar()
    bar.start("reading", 10)
    bar.advance(5, "tensor" * 20)
    bar.stop()
    assert capsys.readouterr().out == ""


def test_quiet_is_silent_and_a_pipe_gets_lines():
    assert progress("quiet") is silent
    assert isinstance(progress("auto"), Lines)
