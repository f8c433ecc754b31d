"""How the numbers were measured."""

from deltakit.report.measured import section
from support.results import result


def test_facts_appear_once():
    made = section([result(), result()])
    assert ("task toy_math", "200 items, sha256:00") in made.rows
    assert ("setting style", "default") in made.rows
    assert ("setting limit", "200") in made.rows
    assert ("version of torch", "2.13") in made.rows
    assert len(made.rows) == len(set(made.rows)) == 5


def test_results_without_them_have_none():
    assert section([{}]).rows == ()
