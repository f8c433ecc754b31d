from __future__ import annotations

import pytest

from deltakit.errors import RecipeError
from deltakit.grade.tasks import TASKS
from deltakit_eval.tasks.names import find_variant, full_names, parse_variant, short_name, task_names

EVERY = [(task.name, style) for task in TASKS.values() for style in task.styles]


@pytest.mark.parametrize(("task", "style"), EVERY)
def test_a_variant_is_found_by_each_of_its_names(task: str, style: str) -> None:
    variant = find_variant(f"{task}:{style}")
    assert (variant.task.name, variant.style.name) == (task, style)
    for name in (variant.short, variant.full, f"deltakit_{task}:{style}"):
        found = find_variant(name)
        assert (found.task.name, found.style.name) == (task, style)
    assert short_name(variant.full) == variant.short
    assert variant.short == (task if style == TASKS[task].style else f"{task}:{style}")


def test_full_names_are_unique_and_plain() -> None:
    names = full_names()
    assert len(set(names)) == len(names) == len(EVERY)
    assert all(name.startswith("deltakit_") and name.isidentifier() for name in names)


def test_ours_and_theirs_are_told_apart() -> None:
    assert parse_variant("gsm8k_cot") is parse_variant("deltakit_gsm8k_cot") is parse_variant("arc_easy") is None
    assert parse_variant("gsm8k_cot8") is None, "without the prefix it could be lm-eval's"
    assert parse_variant("mmlu:high_school") is None
    assert short_name("gsm8k") == "stock:gsm8k"
    assert short_name("arc_easy") == "arc_easy"
    assert short_name("deltakit_gsm8k_cot3") == "gsm8k:cot3"


def test_what_is_wrong_is_named() -> None:
    with pytest.raises(RecipeError, match="'gsm7k'") as caught:
        find_variant("gsm7k")
    assert "'gsm8k'" in caught.value.remedy
    with pytest.raises(RecipeError, match="'metamat'") as caught:
        find_variant("gsm8k:metamat")
    assert "'metamath'" in caught.value.remedy
    assert "gsm8k" in task_names()
