"""A config's parameters at one tensor."""

from __future__ import annotations

import pytest

from deltakit.errors import RecipeError
from deltakit.merge.mergekit.parameters import Parameters
from deltakit.merge.mergekit.role import ROLES
from deltakit.merge.mergekit.setting import parse_setting


def parameters(method="della", **known):
    return Parameters(method, ROLES[method], known)


def level(**given):
    return {n: parse_setting(v) for n, v in given.items()}


def test_the_whole_methods_and_each_models_are_kept_apart():
    taken = parameters(density=float, epsilon=float, normalize=bool)
    levels = (level(density=0.5), level(weight="1e-1", normalize=0, epsilon=[0, 1], **{"lambda": 2}))
    assert taken.whole(levels, "x", 0.5) == ({"normalize": False}, 2.0)
    assert taken.own(levels, "a", "x", 0.5) == (0.1, {"density": 0.5, "epsilon": 0.5})
    taken.refuse()


def test_the_same_name_may_be_each_models_in_one_method_and_the_whole_methods_in_another():
    taken = parameters("ram", epsilon=float)
    assert taken.whole((level(epsilon=1),), "x", 0.0) == ({"epsilon": 1.0}, 1.0)
    assert taken.own((level(epsilon=1, weight=5),), "a", "x", 0.0) == (1.0, {})


@pytest.mark.parametrize(
    ("kind", "given", "found"),
    [
        (bool, 1, True), (bool, 0.0, False), (float, True, 1.0), (float, 3, 3.0), (int, 3.0, 3), (str, "l1", "l1"),
        (float | None, 2, 2.0), (bool | None, "no", False),
    ],
)  # fmt: skip
def test_values_are_typed_as_the_method_wants_them(kind, given, found):
    got = parameters(p=kind).value("p", (level(p=given),), "x", 0.0)
    assert got == found
    assert type(got) is type(found)


def test_values_that_cannot_be_typed_are_told_once():
    taken = parameters("karcher", max_iter=int)
    for _ in range(2):
        assert taken.value("max_iter", (level(max_iter=0.5),), "x", 0.0) is None
    with pytest.raises(RecipeError) as caught:
        taken.refuse()
    assert caught.value.details == ("max_iter: 0.5 is not what karcher takes",)


def test_unknown_methods_are_told_with_a_guess():
    with pytest.raises(RecipeError) as caught:
        Parameters.of("tie", "paper")
    assert caught.value.remedy == "did you mean 'ties'?"
    assert set(Parameters.of("ties", "paper").known) >= {"density"}


def test_what_has_no_meaning_is_told():
    taken = parameters("sce", select_topk=float)
    own, shared = [level(select_topk=1, weight=1)], [level(int8_mask=True, select_top=1)]
    assert taken.ignored(own, shared) == [
        "parameter 'int8_mask' is ignored: it changes no result",
        "parameter 'select_top' is ignored: sce does not take it; did you mean 'select_topk'?",
        "parameter 'weight' is ignored: sce does not take it",
        "parameter 'select_topk' under a model is ignored: it holds for sce at once",
    ]
