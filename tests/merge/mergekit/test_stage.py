"""Config files into stages: order, names, and every problem of a file at once."""

from __future__ import annotations

import pytest

from deltakit.errors import InputError, RecipeError
from deltakit.merge.mergekit.stage import parse_config, read_config

ONE = "merge_method: linear\nmodels:\n- model: a\n  parameters: {weight: 1}\n- model: b+c\n"


def named(name, *models):
    return (
        f"name: {name}\n" * bool(name) + "merge_method: linear\nmodels:\n" + "".join(f"- model: {m}\n" for m in models)
    )


def order(*documents):
    return [s.name for s in parse_config("---\n".join(documents))]


def test_one_document_is_one_stage(tmp_path):
    path = tmp_path / "config.yml"
    path.write_text(ONE)
    (stage,) = read_config(path)
    assert (stage.name, stage.after, stage.notes) == ("", (), ())
    assert {label: r.text for label, r in stage.references.items()} == {"a": "a", "b+c": "b + c"}
    assert stage.document["merge_method"] == "linear"


def test_every_model_is_referenced_once_the_base_first():
    (stage,) = parse_config(
        "merge_method: ties\nbase_model: z\nslices:\n- sources:\n  - {model: a, layer_range: [0, 1]}\n"
        "  - {model: z, layer_range: [0, 1]}\n  base_model: y\ntokenizer:\n  source: t\n  tokens:\n"
        "    x: {source: {kind: model_token, model: u, token: q}}\n    w: {source: v}\n"
    )
    assert list(stage.references) == ["z", "y", "a", "t", "u", "v"]


def test_stages_follow_what_they_read_and_the_unnamed_is_last():
    assert order(named("", "two", "x"), named("two", "one", "x"), named("one", "a", "b")) == ["one", "two", ""]
    assert order(named("two", "one", "x"), named("one", "a", "b")) == ["one", "two"]
    assert order(named("spare", "a", "b"), named("one", "a", "b"), named("", "one", "b")) == ["one", ""]
    stages = parse_config(named("one", "a", "b") + "---\n" + named("", "one", "b"))
    assert [s.after for s in stages] == [(), ("one",)]


def test_a_stage_may_read_a_model_of_its_own_name():
    assert order(named("a", "a", "b"), named("", "a", "c")) == ["a", ""]


@pytest.mark.parametrize(
    ("documents", "said"),
    [
        ([named("a", "x", "y"), named("a", "x", "y")], "two documents are named 'a'"),
        ([named("", "x", "y"), named("", "x", "y")], "2 documents have no name"),
        ([named("a", "b", "y"), named("b", "a", "y")], "read each other in a circle: 'a', 'b'"),
        ([named("a", "x", "y"), named("", "a+lora", "y")], "an adapter over another document's result"),
    ],
)
def test_documents_that_do_not_fit_together(documents, said):
    with pytest.raises(RecipeError, match=said.replace("+", r"\+")):
        order(*documents)


def test_all_problems_of_all_documents_with_their_lines():
    text = "merge_method: linear\nmodels:\n- model: 3\n- model: a\n  parameters:\n    weight:\ndtype: !x f\n---\n- 1\n"
    with pytest.raises(RecipeError) as caught:
        parse_config(text, "config.yml")
    lines = [d.partition(": ")[0] for d in caught.value.details]
    assert caught.value.message == "config.yml: 5 problems"
    assert lines == ["line 7", "line 3", "line 6", "line 7", "line 9"]


def test_an_empty_file_and_none_at_all(tmp_path):
    with pytest.raises(RecipeError, match="a config is a mapping"):
        parse_config("")
    with pytest.raises(InputError):
        read_config(tmp_path / "none.yml")


def test_keys_without_meaning_are_told():
    (stage,) = parse_config(ONE + "parametres: {}\nbase_model: {model: d, override_architecture: X}\n")
    assert stage.notes == (
        "line 6: unknown key 'parametres' is ignored, as mergekit does; did you mean 'parameters'?",
        "override_architecture is ignored: names and shapes decide",
    )


def test_an_unknown_method_is_told_with_all_else_and_before_a_model_is_opened(tmp_path):
    path = tmp_path / "config.yml"
    path.write_text("models:\n- {model: nowhere}\nmerge_method: linaer\ndtype: bloat16\n")
    with pytest.raises(RecipeError) as caught:
        read_config(path)
    told = "\n".join(caught.value.details)
    assert "line 3: merge_method: unknown merge_method 'linaer'; did you mean 'linear'?" in told
    assert "line 4: dtype" in told
