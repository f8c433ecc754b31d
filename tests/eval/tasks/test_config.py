from __future__ import annotations

import json

import pytest

from deltakit.generate.modes import MODES
from deltakit.grade.tasks import TASKS, Task, find_task
from deltakit.prompts import prompt_style
from deltakit_eval.tasks.config import about, config, headline_of, scheme_of
from deltakit_eval.tasks.names import find_variant


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
def test_a_configuration_agrees_with_the_table(task: Task) -> None:
    for style in task.styles:
        variant = find_variant(f"{task.name}:{style}")
        made = config(variant, {"seed": 3})
        asked = prompt_style(style, task.family)
        assert made["task"] == variant.full
        mode = {} if asked.mode == "direct" else {"mode": asked.mode}
        assert made["generation_kwargs"] == {
            "until": list(asked.stop), "do_sample": False, "temperature": 0.0, "max_gen_toks": task.max_tokens, **mode,
        }  # fmt: skip
        expected = {"version": task.version, "source": task.name, "style": style, "seed": 3}
        assert made["metadata"] == expected
        assert made["num_fewshot"] == 0
        first = f"{made['metric_list'][0]['metric']},{made['filter_list'][0]['name']}"
        assert MODES.parse(asked.mode), "the mode of a style is one that there is"
        assert headline_of(task) == first == about(variant)["headline"]


def test_metrics_and_filters_by_the_form_of_answers() -> None:
    shown = {
        name: (list(scheme_of(find_task(name)).filters), list(scheme_of(find_task(name)).metrics))
        for name in ("gsm8k", "math", "toy_math", "toy_chat", "gsm_plus_critical")
    }
    assert shown == {
        "gsm8k": (["marked", "last_number"], ["exact_match", "answered"]),
        "math": (["marked", "last_math"], ["math_verify", "exact_match", "answered"]),
        "toy_math": (["marked"], ["exact_match", "answered"]),
        "toy_chat": (["marked"], ["exact_match", "answered"]),
        "gsm_plus_critical": (["marked", "anywhere"], ["exact_match", "answered"]),
    }
    assert headline_of(find_task("ifeval")) == "prompt_strict,response"


def test_what_a_number_rests_on_is_told_in_plain_json() -> None:
    told = about(find_variant("gsm8k:cot8"))
    assert json.loads(json.dumps(told)) == told
    assert (told["style"], told["mode"], told["chat"], told["form"]) == ("cot8", "direct", False, "number")
    assert set(told["filters"]) == {"marked", "last_number"}
    assert all(told["filters"].values())
    assert about(find_variant("math:chat"))["chat"]
