"""Modules of adapters meet tensors of checkpoints."""

import pytest

from deltakit.delta.names import align, meet
from deltakit.errors import MismatchError, NoEffectError


def test_names_meet_as_they_are_or_with_one_prefix_throughout():
    names = ["h.0.attn.weight", "h.1.attn.weight", "wte.weight"]
    assert meet(["h.1.attn", "h.0.attn"], names) == {"h.0.attn": "h.0.attn.weight", "h.1.attn": "h.1.attn.weight"}
    assert meet(["transformer.h.0.attn"], names) == {"transformer.h.0.attn": "h.0.attn.weight"}
    assert meet(["layers.0.q"], ["model.layers.0.q.weight"]) == {"layers.0.q": "model.layers.0.q.weight"}
    assert meet([], names) == {}


def test_an_adapter_of_which_nothing_is_there_has_no_effect():
    with pytest.raises(NoEffectError, match="no effect") as wrong:
        meet(["h.7.attn", "h.8.attn"], ["h.0.attn.weight"])
    assert wrong.value.details == ("h.7.attn", "h.8.attn")
    with pytest.raises(MismatchError, match="1 of the adapter's 2"):
        meet(["model.h.0.attn", "model.h.8.attn"], ["h.0.attn.weight", "model.h.8.attn.weight"])


def test_modules_that_are_nowhere_are_all_listed():
    with pytest.raises(MismatchError, match="25 of the adapter's 26") as wrong:
        meet([f"x.{i}" for i in range(25)] + ["a"], ["a.weight"])
    assert wrong.value.details[-1] == "... and 5 more"


BODY = [f"encoder.layer.{i}.query.weight" for i in range(4)] + ["embeddings.weight"]


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("bert.", ""), ("", "roberta."), ("bert.", "model."), ("model.", "model.language_model."),
        ("language_model.model.", "model."), ("base_model.model.", ""),
    ],
)  # fmt: skip
def test_bodies_meet_under_other_prefixes(ours, theirs):
    names, known = [f"{ours}{n}" for n in BODY], [f"{theirs}{n}" for n in BODY]
    heads = ["classifier.weight", "cls.bias"]
    found = align([*names, *heads], [*known, "lm_head.weight"])
    assert found == dict(zip([*names, *heads], [*known, *heads], strict=True))


def test_names_that_meet_stay():
    names = [f"model.{n}" for n in BODY]
    for known in (names, names[:3], [*names, "x"], ["q.weight"], []):
        assert align(names, known) == {n: n for n in names}


def test_few_meetings_are_chance():
    """One name in nine that would meet under a prefix does not make another model the same."""
    known = ["embeddings.weight", *(f"h.{i}.attn.weight" for i in range(8))]
    names = [f"bert.{n}" for n in ["embeddings.weight", *(f"layer.{i}.weight" for i in range(8))]]
    assert align(names, known) == {n: n for n in names}


def test_no_two_tensors_get_one_name():
    names = [*(f"bert.{n}" for n in BODY), BODY[0]]
    assert align(names, BODY) == {n: n for n in names}
