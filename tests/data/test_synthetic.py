"""The toy world: the same on every run, of the right schema, disjoint between splits, right by arithmetic."""

from __future__ import annotations

import hashlib
import json
import re
from itertools import islice
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deltakit.data import synthetic
from deltakit.errors import InputError, RecipeError

EQUATION = re.compile(r"(\d+) ([-+*/]) (\d+) = (\d+)")


def equations_of(text: str) -> list[tuple[int, str, int, int]]:
    return [(int(a), sign, int(b), int(c)) for a, sign, b, c in EQUATION.findall(text)]


def holds(a: int, sign: str, b: int, c: int) -> bool:
    return {"+": a + b == c, "-": a - b == c, "*": a * b == c, "/": b != 0 and a == b * c}[sign]


def numbers_in(text: str) -> list[int]:
    return [int(n) for n in re.findall(r"\d+", text)]


def words_of(record: dict[str, str]) -> tuple[str, ...]:
    return tuple(record["instruction"].split(":")[1].split())


@pytest.mark.parametrize("task", ["math", "chat"])
@pytest.mark.parametrize("split", synthetic.SPLITS)
def test_same_seed_same_records_and_a_longer_draw_begins_with_the_shorter(task: str, split: str) -> None:
    short = synthetic.generate(task, split, 20, seed=5)
    assert synthetic.generate(task, split, 50, seed=5)[:20] == short
    assert synthetic.generate(task, split, 20, seed=6) != short


def test_the_stream_is_frozen() -> None:
    """The demo's figures and the shipped base rest on these very bytes, on every machine and Python."""
    drawn = [synthetic.generate(task, split, 30, seed=3) for task in ("math", "chat") for split in synthetic.SPLITS]
    drawn.append(synthetic.generate("base", "train", 30, seed=3))
    digest = hashlib.sha256(json.dumps(drawn).encode()).hexdigest()
    assert digest[:16] == "8636275aea666662"


@pytest.mark.parametrize("split", synthetic.SPLITS)
def test_math_records_have_metamath_fields_and_right_answers(split: str) -> None:
    for record in synthetic.math_records(split, 300, seed=1):
        assert sorted(record) == ["original_question", "query", "response", "type"]
        assert record["original_question"] == record["query"]
        steps = equations_of(record["response"])
        assert steps
        assert all(holds(*step) for step in steps)
        assert record["response"].endswith(f"\nThe answer is: {steps[-1][3]}")
        used = [n for a, _, b, _ in steps for n in (a, b)]
        assert set(numbers_in(record["query"])) <= set(used)


@pytest.mark.parametrize("split", synthetic.SPLITS)
def test_each_step_of_a_story_takes_up_the_result_before_it(split: str) -> None:
    for record in synthetic.math_records(split, 300, seed=2):
        steps = equations_of(record["response"])
        assert all(later[0] == earlier[3] for earlier, later in zip(steps, steps[1:], strict=False))
        assert all(step[3] >= 1 for step in steps)


def test_chat_records_have_instruction_fields_and_right_outputs() -> None:
    expected = {
        "Write these words in reverse order": lambda w: list(reversed(w)),
        "Turn this list around": lambda w: list(reversed(w)),
        "Write the first of these words": lambda w: [w[0]],
        "Which word comes first here": lambda w: [w[0]],
        "Write the last of these words": lambda w: [w[-1]],
        "Which word comes last here": lambda w: [w[-1]],
        "Write these words twice": lambda w: list(w) * 2,
        "Say this list two times": lambda w: list(w) * 2,
        "Move the first word to the end": lambda w: list(w[1:]) + [w[0]],
        "Put the first word last": lambda w: list(w[1:]) + [w[0]],
    }
    met = set()
    for record in synthetic.chat_records("train", 300, seed=1):
        assert sorted(record) == ["input", "instruction", "output"]
        assert record["input"] == ""
        asked = record["instruction"].split(":")[0]
        assert record["output"].removeprefix("Sure ").split() == expected[asked](words_of(record))
        met.add(asked)
    assert met == set(expected)


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**32), st.integers(0, 2**32))
def test_train_and_test_never_share_an_item(one: int, other: int) -> None:
    def math_items(split: str, seed: int) -> set[str]:
        return {str(equations_of(r["response"])) for r in synthetic.math_records(split, 200, seed)}

    def chat_items(split: str, seed: int) -> set[tuple[str, ...]]:
        return {words_of(r) for r in synthetic.chat_records(split, 200, seed)}

    assert not math_items("train", one) & math_items("test", other)
    assert not chat_items("train", one) & chat_items("test", other)


def test_ood_items_lie_outside_the_range_of_the_others() -> None:
    assert all(len(words_of(r)) >= 5 for r in synthetic.chat_records("ood", 100))
    assert all(len(words_of(r)) <= 4 for r in synthetic.chat_records("train", 300))
    seen = {equations_of(r["response"])[0][:3] for r in synthetic.math_records("train", 2000)}
    assert not seen & {equations_of(r["response"])[0][:3] for r in synthetic.math_records("ood", 200)}


def test_documents_hold_right_equations_and_no_test_item() -> None:
    texts = list(synthetic.documents(600, seed=4))
    assert all(holds(*step) for text in texts for step in equations_of(text))
    stories = [text for text in texts if "Result" in text or "Total" in text]
    lines = [line for text in texts for line in text.splitlines() if ": " in line and not re.search(r"\d|Sure", line)]
    lists = [re.split("(?:^[^:]*:)|>|gives|Work|so ", line)[1].split() for line in lines]
    assert 210 < len(stories) < 330
    assert len(lists) > 300
    assert all(synthetic.split_of([list(step) for step in equations_of(text)]) == "train" for text in stories)
    assert all(synthetic.split_of(words) == "train" for words in lists)
    assert not any("answer is:" in text or "###" in text for text in texts)


def test_documents_are_drawn_as_they_are_taken() -> None:
    assert len(list(islice(synthetic.documents(10**12), 3))) == 3


def test_about_a_fifth_of_the_items_is_for_testing() -> None:
    share = sum(synthetic.split_of([i]) == "test" for i in range(5000)) / 5000
    assert 0.17 < share < 0.23


def test_records_of_one_draw_are_distinct() -> None:
    queries = [r["query"] for r in synthetic.math_records("test", 500)]
    assert len(set(queries)) == 500


@pytest.mark.parametrize(
    ("task", "split", "count", "says"),
    [
        ("maths", "train", 5, "no toy task 'maths'"),
        ("math", "dev", 5, "no split 'dev'"),
        ("chat", "train", 0, "count is 0"),
        ("base", "test", 5, "no split 'test'"),
    ],
)
def test_bad_requests_are_refused(task: str, split: str, count: int, says: str) -> None:
    with pytest.raises(RecipeError, match=says):
        synthetic.generate(task, split, count)


def test_more_records_than_there_are_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(synthetic, "WORDS", ("cat", "dog", "sun", "sea"))
    with pytest.raises(RecipeError, match="distinct records"):
        synthetic.chat_records("train", 100_000)


def test_records_are_written_as_json_lines_and_what_is_there_is_kept(tmp_path: Path) -> None:
    out, records = tmp_path / "math.jsonl", synthetic.math_records("test", 7, seed=9)
    synthetic.write_records(out, records)
    assert [json.loads(line) for line in out.read_text().splitlines()] == records
    with pytest.raises(InputError, match="exists"):
        synthetic.write_records(out, records[:1])
    assert len(out.read_text().splitlines()) == 7
    synthetic.write_records(out, records[:1], overwrite=True)
    assert len(out.read_text().splitlines()) == 1
    assert [p.name for p in tmp_path.iterdir()] == ["math.jsonl"]


def test_a_missing_folder_is_made(tmp_path: Path) -> None:
    synthetic.write_records(tmp_path / "new" / "x.jsonl", [])
    assert (tmp_path / "new" / "x.jsonl").read_text() == ""
