"""YAML as mergekit's users write it, and what a hostile file may not do."""

from __future__ import annotations

import time

import pytest

from deltakit.merge.mergekit.document import MAX_DOCUMENTS, parse_documents


def read(text):
    (document,) = parse_documents(text)
    assert not document.problems
    return document.data


def problem(text):
    (found,) = [p for d in parse_documents(text) for p in d.problems]
    return found


def test_numbers_are_numbers_and_words_are_words():
    assert read("a: 1e-4\nb: no\nc: 0.5\nd: '1'\ne: 12:30\nf: 3\ng: ~\nh: 2024-01-01\n") == {
        "a": 1e-4, "b": "no", "c": 0.5, "d": "1", "e": "12:30", "f": 3, "g": None, "h": "2024-01-01",
    }  # fmt: skip


def test_anchors_are_written_out_and_merge_keys_give_way():
    text = "common: &c {weight: 0.5, density: 0.3}\nfirst: *c\nsecond:\n  <<: *c\n  density: 1\n"
    assert read(text)["first"] == {"weight": 0.5, "density": 0.3}
    assert read(text)["second"] == {"weight": 0.5, "density": 1}
    listed = "a: &a {x: 1}\nb: &b {x: 2, y: 3}\nc:\n  <<: [*a, *b]\n"
    assert read(listed)["c"] == {"x": 1, "y": 3}


def test_places_are_lines():
    document = parse_documents("a:\n  b:\n    - 1\n    - c: 2\n")[0]
    assert document.place(("a", "b", 1, "c")) == "line 4"
    assert document.place(("a", "nothing")) == "line 1"


def test_several_documents_and_empty_ones():
    assert [d.data for d in parse_documents("a: 1\n---\n---\nb: 2\n")] == [{"a": 1}, {"b": 2}]
    assert [d.data for d in parse_documents("")] == [None]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: !!python/object/apply:os.system [ls]\n", "line 1: tag 'tag:yaml.org,2002:python/object/apply:os.system'"),
        ("a: 1\nb: !model x\n", "line 2: tag '!model'"),
        ("a: 1\na: 2\n", "line 2: duplicate key 'a', first at line 1"),
        ("a: .nan\n", "line 1: .nan is not a finite number"),
        ("a: [1", "line 1, column 6: not valid YAML"),
        ("a: \x01", "line 1: not valid YAML"),
        ("a: *b\n", "line 1, column 4: not valid YAML: found undefined alias 'b'"),
        ("a: &a [*a]\n", "line 1: an alias within its own anchor"),
        ("<<: 3\n", "line 1: merge key <<: needs a mapping"),
        ("? [1]\n: 2\n", "line 1: a key must be a plain word"),
        ("[" * 2000, "line 1: nested deeper than 50 levels"),
        ("--- 1\n" * (MAX_DOCUMENTS + 1), f"line {MAX_DOCUMENTS + 1}: more than {MAX_DOCUMENTS} documents"),
    ],
)
def test_problems_name_the_line(text, said):
    assert problem(text).startswith(said)


def test_aliases_of_aliases_end_at_the_cap():
    text = "a: &a [1,1,1,1,1,1,1,1,1,1]\n"
    for before, name in zip("abcdefgh", "bcdefghi", strict=True):
        text += f"{name}: &{name} [{','.join([f'*{before}'] * 10)}]\n"
    start = time.perf_counter()
    assert problem(text).endswith("values with the aliases written out")
    assert time.perf_counter() - start < 20
