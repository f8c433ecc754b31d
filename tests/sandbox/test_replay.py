"""Real programs: trajectories of ToRA-Code-34B through mode `tir`, GSM-Hard's own. In full: bench/sandbox.py."""

from __future__ import annotations

import json

from deltakit.generate.modes import MODES
from deltakit.generate.play import Ask, Run, perform
from deltakit.generate.request import Completion

STEP = 20  # every so many


def rows(path, step=STEP):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()[6::step]]


def replayed(items, box):
    """The trajectories as the mode makes them, from what the model said between the outputs."""
    said = []
    for item in items:
        first, *rest = item["trajectory"].split("```output")
        said.append(iter([first, *(part.partition("\n```")[2].removeprefix("\n") for part in rest)]))

    def answers(asked):
        found = iter(box.run([effect for _, effect in asked if isinstance(effect, Run)]))
        return [next(found) if isinstance(e, Run) else Completion(next(said[i], ""), (0,), "stop") for i, e in asked]

    return perform([MODES.parse("tir(seconds=30)").play(Ask("", 2048)) for _ in items], answers)


def test_trajectories_come_out_the_same(box, shared_data):
    items = rows(shared_data / "fixtures" / "gsm8k_tora_code_34b_outputs.jsonl")
    differ = [
        i["idx"] for i, text in zip(items, replayed(items, box), strict=True) if i["trajectory"].strip() != text.strip()
    ]
    assert len(items) == 66
    assert differ == [146]  # its program is no Python, and no output of it was stored


def test_programs_of_gsm_hard_print_their_targets(box, shared_data):
    items = rows(shared_data / "word_problems" / "gsm_hard_test.jsonl")
    found = box.run([Run(f"{item['code']}\nprint(solution())", 30.0) for item in items])
    for item, outcome in zip(items, found, strict=True):
        assert abs(float(outcome.stdout) - item["target"]) <= 1e-9 * max(1.0, abs(item["target"])), item["idx"]
