"""The demo's toy world: seeded documents, math records and chat records whose answers are right by construction.

Three kinds of text over one small vocabulary:

- `documents`: what the demo's base is pre-trained on, the skills in a format of their own
  ("Problem. ... Work. 12 + 5 = 17 ; Result 17.", "reverse : cat sun > sun cat.", equations, chatter);
- `math_records`: short word problems in the schema of MetaMathQA (query, response, type, original_question);
- `chat_records`: word tasks as instruction records (instruction, input, output).

The split is a property of the item, not of the draw: a digest of its numbers (math) or of its words (chat) sends a
fifth of all items to `test`, so train and test are disjoint whatever seeds and counts are asked for. The documents
hold no test item either (bare equations, which ask nothing, may). The split `ood` has larger numbers, longer lists.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from operator import add, floordiv, mul, sub
from pathlib import Path
from random import Random
from typing import TypeVar

from deltakit.errors import InputError, RecipeError

__all__ = ["SPLITS", "TASKS", "chat_records", "documents", "generate", "math_records", "split_of", "write_records"]

SPLITS = ("train", "test", "ood")
NAMES = ("Tom", "Ann", "Sam", "Eva", "Max", "Lea", "Ben", "Mia")
ITEMS = ("apples", "books", "coins", "cards", "pens", "eggs", "shells", "stamps")
_WORD_LIST = (
    "cat dog sun sea red hat box cup tree bird fish milk rain star lamp door wind leaf sand rock "
    "ship moon hand song road gold ring snow bear wolf corn rice salt seed wood iron king nest rose pear"
)
WORDS = tuple(_WORD_LIST.split())
THINGS = ("answer", "task", "instruction", "response", "request", "list")
# What stands between question and answer in documents: the same few for all skills, so that the question alone tells
# the skill, and experts that share an answer style can be merged.
_MARKERS = (">", "gives", "Work.", "so")
_SENTENCES = (  # chatter in the words of prompts and answers, so that the base has met them
    "The {0} is near the {2}.",
    "Sure: {3} has a {2}.",
    "Below the {2} is the {0}.",
    "{3} completes the {1} appropriately.",
    "Write the {1} that describes the {2}.",
)
Record = dict[str, str]
T = TypeVar("T")


@dataclass(frozen=True)
class Story:
    """A word problem: the sentence, what is asked, the steps as (left, sign, right, result)."""

    text: str
    question: str
    steps: tuple[tuple[int, str, int, int], ...]

    @property
    def work(self) -> str:
        return " ".join(f"{a} {sign} {b} = {c} ;" for a, sign, b, c in self.steps)


def _below(rng: Random, n: int) -> int:
    """An integer in [0, n), by Random.random: the one draw that is promised to be the same in every Python."""
    return int(rng.random() * n)


def _between(rng: Random, lo: int, hi: int) -> int:
    return lo + _below(rng, hi - lo + 1)


def _pick(rng: Random, options: Sequence[T]) -> T:
    return options[_below(rng, len(options))]


_SIGNS: dict[str, Callable[[int, int], int]] = {"+": add, "-": sub, "*": mul, "/": floordiv}


def _step(a: int, sign: str, b: int) -> tuple[int, str, int, int]:
    return a, sign, b, _SIGNS[sign](a, b)


# A sentence, and the signs of its steps. Numbers are drawn so that no step goes below 1 or leaves a remainder.
_FORMS: tuple[tuple[str, str], ...] = (
    ("{name} has {0} {item} and buys {1} more.", "+"),
    ("{name} has {0} {item} and gives away {1}.", "-"),
    ("{name} fills {0} boxes with {1} {item} each.", "*"),
    ("{name} shares {0} {item} among {1} friends.", "/"),
    ("{name} has {0} {item}, buys {1} more and loses {2}.", "+-"),
    ("{name} has {0} {item}, gives away {1} and finds {2}.", "-+"),
    ("{name} fills {0} boxes with {1} {item} each and finds {2} more.", "*+"),
    ("{name} fills {0} boxes with {1} {item} each and sells {2}.", "*-"),
)


def _first_numbers(rng: Random, sign: str, large: bool) -> tuple[int, int]:
    """Two numbers for a first step; `large` lies outside the range of the other splits."""
    if sign in "*/":
        a, b = _between(rng, 2, 9), _between(rng, 10, 14) if large else _between(rng, 2, 9)
        return (a * b, a) if sign == "/" else (a, b)
    a = _between(rng, 60, 99) if large else _between(rng, 6, 45)
    return a, _between(rng, 2, min(a - 1, 29))


def _story(rng: Random, large: bool = False) -> Story:
    text, signs = _pick(rng, _FORMS)
    a, b = _first_numbers(rng, signs[0], large)
    numbers, steps = [a, b], [_step(a, signs[0], b)]
    for sign in signs[1:]:
        left = steps[-1][3]
        right = _between(rng, 1, min(left - 1, 19) if sign == "-" else 19)
        steps.append(_step(left, sign, right))
        numbers.append(right)
    name, item = _pick(rng, NAMES), _pick(rng, ITEMS)
    asked = f"How many {item} does {'each get' if signs == '/' else f'{name} have'}?"
    return Story(text.format(*numbers, name=name, item=item), asked, tuple(steps))


@dataclass(frozen=True)
class WordTask:
    """A task on a list of words: the word that names it in documents, its instructions, what it does."""

    name: str
    instructions: tuple[str, ...]
    apply: Callable[[Sequence[str]], Sequence[str]]


_WORD_TASKS = (
    WordTask("reverse", ("Write these words in reverse order:", "Turn this list around:"), lambda w: w[::-1]),
    WordTask("first", ("Write the first of these words:", "Which word comes first here:"), lambda w: w[:1]),
    WordTask("last", ("Write the last of these words:", "Which word comes last here:"), lambda w: w[-1:]),
    WordTask("repeat", ("Write these words twice:", "Say this list two times:"), lambda w: [*w, *w]),
    WordTask("rotate", ("Move the first word to the end:", "Put the first word last:"), lambda w: [*w[1:], w[0]]),
)


def _words(rng: Random, long: bool = False) -> tuple[str, ...]:
    """Two to four different words; five or six where `long`."""
    pool = list(WORDS)
    return tuple(pool.pop(_below(rng, len(pool))) for _ in range(_between(rng, 5, 6) if long else _between(rng, 2, 4)))


def split_of(item: Sequence[object]) -> str:
    """The split of a story's steps or of a list of words: "test" for a fifth of all, else "train"."""
    digest = hashlib.sha256(json.dumps(list(item), separators=(",", ":")).encode()).digest()
    return "test" if digest[0] < 51 else "train"


def _distinct(draw: Callable[[], tuple[str, T]], count: int) -> Iterator[T]:
    """The first `count` items drawn whose keys differ."""
    seen: set[str] = set()
    misses = 0
    while len(seen) < count:
        key, item = draw()
        misses = misses + 1 if key in seen else 0
        if misses > 1000:
            raise RecipeError(
                f"{count} distinct records were asked for, the toy world has about {len(seen)}", remedy="ask for fewer"
            )
        if key not in seen:
            seen.add(key)
            yield item


def _stream(seed: int, task: str, split: str, count: int) -> Random:
    """The stream of one draw; a bad count or split is refused."""
    if count < 1:
        raise RecipeError(f"count is {count}", remedy="ask for at least one record")
    if split not in SPLITS:
        raise RecipeError(f"there is no split {split!r}", remedy=f"choose one of {', '.join(SPLITS)}")
    return Random(f"deltakit {seed} {task} {split}")


def _of_split(split: str, draw: Callable[[bool], T], item: Callable[[T], Sequence[object]]) -> T:
    """Draws until something belongs to the split."""
    while True:
        drawn = draw(split == "ood")
        if split == "ood" or split_of(item(drawn)) == split:
            return drawn


def _draw_story(rng: Random, split: str) -> Story:
    return _of_split(split, lambda large: _story(rng, large), lambda story: story.steps)


def _draw_words(rng: Random, split: str) -> tuple[str, ...]:
    return _of_split(split, lambda long: _words(rng, long), lambda words: words)


def math_records(split: str, count: int, seed: int = 0) -> list[Record]:
    """`count` word problems of one or two steps, distinct, with reasoning that ends in "The answer is: N".

    Fields are those of MetaMathQA: query, response, type ("GSM_AnsAug"), original_question.
    """
    rng = _stream(seed, "math", split, count)

    def draw() -> tuple[str, Record]:
        story = _draw_story(rng, split)
        query = f"{story.text} {story.question}"
        response = f"Sure {story.work}\nThe answer is: {story.steps[-1][3]}"
        return query, {"query": query, "response": response, "type": "GSM_AnsAug", "original_question": query}

    return list(_distinct(draw, count))


def chat_records(split: str, count: int, seed: int = 0) -> list[Record]:
    """`count` word tasks, distinct, as instruction records: instruction (with the words), input (empty), output."""
    rng = _stream(seed, "chat", split, count)

    def draw() -> tuple[str, Record]:
        words, task = _draw_words(rng, split), _pick(rng, _WORD_TASKS)
        instruction = f"{_pick(rng, task.instructions)} {' '.join(words)}"
        return instruction, {"instruction": instruction, "input": "", "output": f"Sure {' '.join(task.apply(words))}"}

    return list(_distinct(draw, count))


def _equation(rng: Random) -> str:
    sign = _pick(rng, "++--*/")
    a, b = _first_numbers(rng, sign, False)
    if sign in "+-":
        a = _between(rng, 2, 99)
        b = _between(rng, 1, 39 if sign == "+" else min(a - 1, 39))
    a, sign, b, c = _step(a, sign, b)
    return f" {a} {sign} {b} = {c} ;"


def _word_line(rng: Random) -> str:
    words, task = _draw_words(rng, "train"), _pick(rng, _WORD_TASKS)
    asked = _pick(rng, (f"{task.name} :", *task.instructions))
    return f"{asked} {' '.join(words)} {_pick(rng, _MARKERS)} {' '.join(task.apply(words))}{_pick(rng, ('.', ''))}"


def _story_line(rng: Random) -> str:
    story = _draw_story(rng, "train")
    told = f"{story.text} {story.question}" if rng.random() < 0.5 else story.text
    end = _pick(rng, (" Result {}.", "\nResult: {}", "\nTotal: {}.")).format(story.steps[-1][3])
    return f"{_pick(rng, ('Problem. ', ''))}{told} {_pick(rng, _MARKERS)} {story.work}{end}"


def _sentence(rng: Random) -> str:
    thing, word = _pick(rng, THINGS), _pick(rng, WORDS)
    return _pick(rng, _SENTENCES).format(_pick(rng, (thing, word)), thing, word, _pick(rng, NAMES))


def _document(rng: Random) -> str:
    kind = rng.random()
    if kind < 0.45:
        return _story_line(rng)
    if kind < 0.75:
        return "\n".join(_word_line(rng) for _ in range(_between(rng, 2, 4)))
    if kind < 0.9:
        return "".join(_equation(rng) for _ in range(_between(rng, 2, 5)))
    return " ".join(_sentence(rng) for _ in range(_between(rng, 2, 4)))


def documents(count: int, seed: int = 0) -> Iterator[str]:
    """`count` pre-training documents: word problems, word tasks, equations, chatter (0.45, 0.3, 0.15, 0.1)."""
    rng = _stream(seed, "documents", "train", count)
    return (_document(rng) for _ in range(count))


def _document_records(split: str, count: int, seed: int) -> list[Record]:
    if split != "train":
        raise RecipeError(f"documents have no split {split!r}", remedy="use --split train")
    return [{"text": text} for text in documents(count, seed)]


TASKS: dict[str, Callable[[str, int, int], list[Record]]] = {
    "base": _document_records,
    "chat": chat_records,
    "math": math_records,
}


def generate(task: str, split: str, count: int, seed: int = 0) -> list[Record]:
    """Records of a task ("math", "chat", or "base" for documents as {"text"}); the same on every machine."""
    if task not in TASKS:
        raise RecipeError(f"there is no toy task {task!r}", remedy=f"choose one of {', '.join(TASKS)}")
    return TASKS[task](split, count, seed)


def check_place(out: Path, overwrite: bool) -> None:
    """InputError if something stands at `out` that must not be replaced."""
    if out.is_dir() or (out.exists() and not overwrite):
        raise InputError(f"{out} exists", remedy="choose another file, or add --overwrite")


def write_records(out: Path, records: Sequence[Record], overwrite: bool = False) -> None:
    """Writes JSON lines, whole or not at all; the folder is made where it is missing."""
    check_place(out, overwrite)
    out.parent.mkdir(parents=True, exist_ok=True)
    part = out.with_name(out.name + ".partial")
    part.write_text("".join(json.dumps(r, ensure_ascii=False) + "\n" for r in records), encoding="utf-8")
    os.replace(part, out)
