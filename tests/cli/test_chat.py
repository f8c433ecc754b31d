"""`deltakit chat` with piped input. Run: pytest tests/cli/test_chat.py"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator

import pytest

from deltakit_cli.errors import guarded
from deltakit_cli.main import cli
from support.fleet import fleet

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def say(monkeypatch: pytest.MonkeyPatch) -> object:
    def run(text: str, *argv: object) -> int:
        monkeypatch.setattr("sys.stdin", io.StringIO(text))
        return guarded(cli, ["chat", *map(str, argv), "--device", "cpu", "--max-new-tokens", "4"])

    return run


def test_lines_are_questions_until_the_input_ends(say, capsys: Capture) -> None:  # type: ignore[no-untyped-def]
    assert say("one\n\ntwo\n", fleet().models[3], "--format", "json") == 0
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [t["question"] for t in told] == ["one", "two"]
    assert {t["tenant"] for t in told} == {"model"}
    assert say("one\n", fleet().models[3]) == 0
    assert capsys.readouterr().out == told[0]["text"] + "\n"
    assert say("two\n", fleet().models[3], "--format", "quiet") == 0
    assert capsys.readouterr().out == ""


def test_commands_reset_switch_and_end(say, capsys: Capture) -> None:  # type: ignore[no-untyped-def]
    one = fleet()
    lines = "one\n/reset\none\n/tenant\n/tenant chat\n/tenant code\nthree\n/help\n/frobnicate\n/exit\nfour\n"
    given = ("--tenant", f"math={one.math}", "--tenant", f"chat=0.5*{one.chat}", "--hold", "packed", "--format", "json")
    assert say(lines, one.base, *given) == 0
    out, err = capsys.readouterr()
    told = [json.loads(line) for line in out.splitlines()]
    assert [t["tenant"] for t in told] == ["model", "model", "chat"]
    assert told[0] == told[1]
    assert "* model\n  math\n  chat" in err
    assert "no tenant 'code'; there are: model, math, chat" in err
    assert "no command '/frobnicate'" in err


class Interrupted(io.StringIO):
    def __iter__(self) -> Iterator[str]:
        yield "one\n"
        raise KeyboardInterrupt


def test_an_interrupt_ends_politely(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    monkeypatch.setattr("sys.stdin", Interrupted())
    assert guarded(cli, ["chat", str(fleet().base), "--device", "cpu", "--max-new-tokens", "4"]) == 130
    out, err = capsys.readouterr()
    assert len(out.splitlines()) >= 1
    assert err == "\n"


@pytest.mark.parametrize(
    ("argv", "code", "says"),
    [
        (["nowhere"], 3, "nowhere"),
        (["nowhere", "--tenant", "math"], 2, "NAME=DELTA"),
        (["nowhere", "--template", "alpca"], 2, "alpaca"),
        ([], 2, "MODEL"),
    ],
)
def test_wrong_usage_has_its_code(say, argv: list[str], code: int, says: str, capsys: Capture) -> None:  # type: ignore[no-untyped-def]
    assert say("", *argv) == code
    assert says in capsys.readouterr().err
