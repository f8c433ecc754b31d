"""Files, limits, weights, and held-out records that training never sees."""

import pytest

from deltakit.errors import InputError, RecipeError
from deltakit.train.mixture import gather
from support.training import jsonl, metamath, recipe


def test_a_share_is_held_out_by_prompt(small, tmp_path):
    doubled = jsonl(tmp_path / "doubled.jsonl", metamath(20) + metamath(20))
    made = gather(recipe(small, doubled, holdout=0.2))
    held = {(r.instruction, r.input) for p in made.held for r in p.records}
    train = {(r.instruction, r.input) for p in made.train for r in p.records}
    assert not held & train
    assert len(held) == 4
    assert sum(len(p.records) for p in made.held) == 8
    assert made == gather(recipe(small, doubled, holdout=0.2))


def test_a_holdout_file_tells_how_many_prompts_training_has_too(small, data, tmp_path):
    other = jsonl(tmp_path / "other.jsonl", metamath(22)[18:])
    made = gather(recipe(small, data, holdout={"path": str(other)}))
    assert (len(made.train[0].records), len(made.held[0].records), made.repeated) == (20, 4, 2)


def test_limits_and_several_files(small, data, tmp_path):
    chat = jsonl(tmp_path / "chat.jsonl", [{"instruction": "Say hi.", "input": "", "output": "Hi."}])
    made = gather(recipe(small, data, data=[{"path": str(data), "limit": 5}, {"path": str(chat), "weight": 3}]))
    assert [(p.kind, len(p.records)) for p in made.train] == [("metamath", 5), ("instruction", 1)]
    assert made.train[0].facts()["sha256"] != made.train[1].facts()["sha256"]


def test_a_limit_beyond_the_file_is_refused(small, data):
    with pytest.raises(InputError, match="20 records, the recipe's limit asks for 21"):
        gather(recipe(small, data, data=[{"path": str(data), "limit": 21}]))


def test_a_share_that_takes_all_is_refused(small, tmp_path):
    one = jsonl(tmp_path / "one.jsonl", metamath(1))
    with pytest.raises(RecipeError, match="leaves no training record"):
        gather(recipe(small, one, holdout=0.5))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "empty"),
        ("{not json}\n", "no JSON"),
        ('{"query": "a"}\n', "response"),
        ('{"query": "a", "response": " "}\n', "response"),
    ],
)
def test_bad_files_are_refused_with_the_line(small, tmp_path, text, said):
    bad = tmp_path / "bad.jsonl"
    bad.write_text(text)
    with pytest.raises(InputError) as refused:
        gather(recipe(small, bad, data=[{"path": str(bad), "kind": "metamath"}]))
    assert said in str(refused.value)
