"""The sandbox on real programs: real trajectories run again, GSM-Hard's programs, the solutions of HumanEval and MBPP.

    python bench/sandbox.py [--limit N] [--page bench/results/sandbox.md]

Needs the local data (DELTAKIT_DATA, else ../shared/data). ToRA-Code-34B's trajectories go through mode `tir` with a
model that says what was stored, turn by turn; what the sandbox prints must be what was stored. Beside the sandbox
stands the plain way, a new Python for each program, one after the other per core, without any isolation.
"""

from __future__ import annotations

import argparse
import ast
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path
from typing import Any

from deltakit.data.locate import find_data
from deltakit.generate.modes import MODES
from deltakit.generate.play import Ask, Effect, Run, perform
from deltakit.generate.request import Completion
from deltakit.grade.answers import extract
from deltakit.grade.equality.equivalence import same_exactly
from deltakit.sandbox import Outcome, Sandbox, open_sandbox
from deltakit.sandbox.unittests import with_tests

OUTPUT = "```output"
TIME = 60.0  # seconds of wall: the machine is shared


def read(name: str, limit: int | None) -> list[dict[str, Any]]:
    """Rows of a local file."""
    path = find_data(name)
    if path is None:
        sys.exit(f"no local file {name}: set DELTAKIT_DATA")
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()[:limit]]


def turns(trajectory: str) -> list[str]:
    """What the model said between the outputs."""
    first, *rest = trajectory.split(OUTPUT)
    return [first, *(part.partition("\n```")[2].removeprefix("\n") for part in rest)]


def replay(rows: Sequence[dict[str, Any]], box: Sandbox) -> tuple[list[str], list[Run], float]:
    """The trajectories as mode `tir` makes them from the stored turns; the programs, and how long they ran."""
    said, at, programs, seconds = [turns(row["trajectory"]) for row in rows], [0] * len(rows), list[Run](), [0.0]

    def answers(asked: Sequence[tuple[int, Effect]]) -> list[Any]:
        runs = [effect for _, effect in asked if isinstance(effect, Run)]
        began = time.monotonic()
        found = iter(box.run(runs))
        seconds[0] += time.monotonic() - began if runs else 0.0
        programs.extend(runs)
        return [next(found) if isinstance(effect, Run) else say(i) for i, effect in asked]

    def say(i: int) -> Completion:
        text = said[i][at[i]] if at[i] < len(said[i]) else ""
        at[i] += 1
        return Completion(text, (0,), "stop" if at[i] < len(said[i]) else "eos")

    mode = MODES.parse(f"tir(seconds={TIME})")
    texts = perform([mode.play(Ask("", 2048)) for _ in rows], answers)
    return texts, programs, seconds[0]


def tora_answer(text: str) -> str | None:
    """The answer by ToRA's own rule: the last box, else what the last program printed."""
    found = extract(text, "boxed", "number")
    if found is not None:
        return found.text
    outputs = re.findall(rf"{OUTPUT}\n(.*?)\n```", text, re.DOTALL)
    return outputs[-1].strip() if outputs else None


def right(answer: str | None, gold: str) -> bool:
    return answer is not None and same_exactly(answer, gold, "number")


def trajectories(limit: int | None, box: Sandbox) -> tuple[list[str], list[Run]]:
    rows = read("fixtures/gsm8k_tora_code_34b_outputs.jsonl", limit)
    texts, programs, seconds = replay(rows, box)
    differ = [(r, t) for r, t in zip(rows, texts, strict=True) if r["trajectory"].strip() != t.strip()]
    changed = [r["idx"] for r, t in zip(rows, texts, strict=True) if tora_answer(r["trajectory"]) != tora_answer(t)]
    stored = sum(right(row["pred"], row["gold"]) for row in rows)
    boxes = sum(right(tora_answer(r["trajectory"]), r["gold"]) for r in rows)
    again = sum(right(tora_answer(t), r["gold"]) for r, t in zip(rows, texts, strict=True))
    n = len(rows)
    out = [
        "## ToRA-Code-34B's trajectories, run again",
        "",
        f"{n} trajectories on GSM8K test, {len(programs)} programs in {seconds:.1f} s. The same text, character by",
        f"character: {n - len(differ)} of {n}. The same answer (last box, else output): {n - len(changed)} of {n};",
        f"right are {stored} stored answers ({100 * stored / n:.2f} %), {boxes} read from the stored trajectories,",
        f"from those made here {again} ({100 * again / n:.2f} %).",
        "",
    ]
    for row, text in differ:
        stored_end, new_end = row["trajectory"].strip()[-60:], text.strip()[-150:]
        out += [f"- item {row['idx']}: stored ends `{one_line(stored_end)}`, here `{one_line(new_end)}`"]
    for row in rows:
        if right(row["pred"], row["gold"]) != right(tora_answer(row["trajectory"]), row["gold"]):
            found = tora_answer(row["trajectory"])
            out += [
                f"- item {row['idx']}: stored answer {row['pred']!r}, read from its text {found!r}, gold {row['gold']}"
            ]
    return out, programs


def one_line(text: str) -> str:
    return text.replace("\n", " / ").replace("`", "'")


def hard(limit: int | None, box: Sandbox) -> list[str]:
    rows = read("word_problems/gsm_hard_test.jsonl", limit)
    began = time.monotonic()
    found = box.run([Run(f"{row['code']}\nprint(solution())", TIME) for row in rows])
    seconds = time.monotonic() - began
    wrong = [(row, o) for row, o in zip(rows, found, strict=True) if not hits(o, row["target"])]
    out = [
        "", "## GSM-Hard's programs", "",
        f"{len(rows)} programs in {seconds:.1f} s; {len(rows) - len(wrong)} print their target "
        f"(relative difference at most 1e-9), {len(wrong)} do not:", "",
    ]  # fmt: skip
    return out + [
        f"- item {r['idx']}: target {r['target']}, here {one_line(o.stdout.strip() or o.error)}" for r, o in wrong
    ]


def hits(outcome: Outcome, target: float) -> bool:
    try:
        return abs(float(outcome.stdout) - target) <= 1e-9 * max(1.0, abs(target))
    except ValueError:
        return False


def code(limit: int | None, box: Sandbox) -> list[str]:
    out = [
        "",
        "## Code tasks",
        "",
        "| task | solutions | pass | spoilt ones that pass | seconds |",
        "|---|---|---|---|---|",
    ]
    for name, file, field in (("HumanEval", "humaneval", "canonical_solution"), ("MBPP", "mbpp_test", "code")):
        rows = read(f"code/{file}.jsonl", limit)
        began = time.monotonic()
        found = box.run([Run(with_tests(row, row[field]), TIME) for row in rows])
        seconds = time.monotonic() - began
        wrong = [f"```python\n{spoilt(row.get('prompt', '') + row[field])}\n```" for row in rows]
        passing = sum(o.ok for o in box.run([Run(with_tests(r, w), TIME) for r, w in zip(rows, wrong, strict=True)]))
        out.append(f"| {name} | {len(rows)} | {sum(o.ok for o in found)} | {passing} | {seconds:.1f} |")
        out += [f"\n{row['task_id']}: {o.status} {o.error}" for row, o in zip(rows, found, strict=True) if not o.ok]
    return [*out, "", "Spoilt: the same code, but whatever a function returns is put into a tuple."]


class Spoil(ast.NodeTransformer):
    """Each `return x` becomes `return ("spoilt", x)`."""

    def visit_Return(self, node: ast.Return) -> ast.Return:
        node.value = ast.Tuple([ast.Constant("spoilt"), node.value or ast.Constant(None)], ast.Load())
        return node


def spoilt(code: str) -> str:
    return ast.unparse(ast.fix_missing_locations(Spoil().visit(ast.parse(code.replace("\r\n", "\n")))))


def speed(programs: Sequence[Run], box: Sandbox, jobs: int) -> list[str]:
    """Programs per second of both ways on the same programs, taken in turns."""
    ways = {
        "sandbox": lambda: [o.stdout for o in box.run(programs)],
        "a new Python each, no isolation": lambda: afresh(programs, jobs, ""),
        "a new Python each that imports sympy": lambda: afresh(programs, jobs, "import sympy\n"),
    }
    best, printed = dict.fromkeys(ways, float("inf")), {}
    for _ in range(2):
        for name, way in ways.items():
            began = time.monotonic()
            printed[name] = way()
            best[name] = min(best[name], time.monotonic() - began)
    assert len({tuple(found) for found in printed.values()}) == 1
    n, own = len(programs), best["sandbox"]
    out = [
        "", "## Speed", "",
        f"{n} of the trajectories' programs, {jobs} at once, the faster of two rounds; sandbox: SymPy loaded, workers "
        "started.", "", "| way | programs per second | times as long |", "|---|---|---|",
    ]  # fmt: skip
    return out + [f"| {name} | {n / took:.1f} | {took / own:.1f} |" for name, took in best.items()]


def afresh(programs: Sequence[Run], jobs: int, before: str) -> list[str]:
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(jobs) as pool:

        def one(run: Run) -> str:
            asked = [sys.executable, "-c", before + run.program]
            return subprocess.run(asked, cwd=folder, capture_output=True, text=True, check=False).stdout

        return list(pool.map(one, programs))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--limit", type=int, help="only the first so many items of each file")
    parser.add_argument("--programs", type=int, default=40, help="programs of the comparison of speed")
    parser.add_argument("--page", type=Path, help="write the page there, too")
    asked = parser.parse_args()
    jobs = len(os.sched_getaffinity(0))
    with open_sandbox() as box:
        about = box.about()
        head = [
            "# The sandbox on real programs", "",
            f"{date.today()}, made by `python bench/sandbox.py --page bench/results/sandbox.md` on {jobs} cores that "
            "others were using.",
            f"Isolation: {about['isolation']} ({about['version']}); programs saw "
            + ", ".join(f"{name} {version}" for name, version in about["programs"].items()) + ".", "",
        ]  # fmt: skip
        found, programs = trajectories(asked.limit, box)
        page = head + found + hard(asked.limit, box) + code(asked.limit, box)
        page += speed(programs[: asked.programs], box, jobs)
    text = "\n".join(page) + "\n"
    print(text)
    if asked.page is not None:
        asked.page.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
