"""`deltakit chat`: a conversation with a model or an expression."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from deltakit.errors import InputError
from deltakit_cli.options import device_options, drawing_options, example, format_option

if TYPE_CHECKING:
    from deltakit.generate.chat import Chat

EXAMPLE = """deltakit chat models/chat
deltakit chat "models/base + 0.6*math.archive + 0.4*chat.archive"
deltakit chat models/base --tenant math=math.archive --tenant chat=chat.archive
echo "What is 3 + 4?" | deltakit chat models/math --template alpaca"""
HELP = """/reset         forget the conversation
/tenant        who is there
/tenant NAME   go on with another
/exit          end (so does the end of the input)"""


@click.command(epilog=example(EXAMPLE))
@click.argument("model")
@click.option("--tenant", "tenants", multiple=True, metavar="NAME=DELTA", help="Another fine-tune over MODEL's base.")
@click.option("--template", default="auto", show_default=True, help="auto, chat, none, alpaca, metamath, qa or bare.")
@click.option("--max-new-tokens", default=256, show_default=True, type=click.IntRange(min=1), help="Per answer.")
@drawing_options("Turn i draws with seed + i.")
@device_options
@format_option
def command(model: str, tenants: tuple[str, ...], fmt: str, **settings: Any) -> None:
    """Talk with MODEL: a path, a hub id, a merge recipe, or an expression "BASE + 0.6*DELTA".

    With --tenant several fine-tunes stay in memory over one base; DELTA may be a sum, "0.6*A + 0.4*B". Lines are
    questions; /help lists the commands. Answers go to stdout, one JSON object a line with --format json.
    """
    from deltakit.generate.chat import open_chat
    from deltakit.generate.company import named_tenants

    chat = open_chat(model, named_tenants(model, tenants), **settings)
    try:
        _talk(chat, fmt)
    except KeyboardInterrupt:
        print(file=sys.stderr)
        raise click.exceptions.Exit(130) from None


def _talk(chat: Chat, fmt: str) -> None:
    """Until the input ends, or /exit."""
    for line in _lines(chat):
        if line.startswith("/"):
            if not _obey(chat, line):
                return
        elif line.strip():
            _answer(chat, line, fmt)


def _lines(chat: Chat) -> Iterator[str]:
    """Lines of stdin until it ends; a terminal is asked for each."""
    if not sys.stdin.isatty():
        yield from (line.rstrip("\r\n") for line in sys.stdin)
        return
    import readline  # noqa: F401  # editing and history of lines

    print("/help lists the commands", file=sys.stderr)
    while True:
        try:
            yield input(f"{chat.speaker}> " if len(chat.speakers) > 1 else "> ")
        except EOFError:
            print(file=sys.stderr)
            return


def _obey(chat: Chat, line: str) -> bool:
    """Do what a line with a slash says; False ends the conversation."""
    word, _, rest = line.partition(" ")
    if word in ("/exit", "/quit"):
        return False
    if word == "/reset":
        chat.reset()
    elif word == "/tenant" and rest.strip():
        try:
            chat.switch(rest.strip())
        except InputError as wrong:
            _say(f"{wrong.message}; {wrong.remedy}")
    elif word == "/tenant":
        _say("\n".join(f"{'*' if name == chat.speaker else ' '} {name}" for name in chat.speakers))
    elif word == "/help":
        _say(HELP)
    else:
        _say(f"no command {word!r}\n{HELP}")
    return True


def _answer(chat: Chat, question: str, fmt: str) -> None:
    found = chat.say(question)
    if chat.dropped:
        _say(f"({chat.dropped} of the oldest turns no longer fit the context and were forgotten)")
    if fmt == "json":
        told = {"tenant": chat.speaker, "question": question, "text": found.text, "reason": found.reason}
        print(json.dumps(told), flush=True)
    elif fmt != "quiet":
        print(found.text, flush=True)


def _say(text: str) -> None:
    print(text, file=sys.stderr)
