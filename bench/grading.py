r"""How well answers are graded: every gold answer of MATH test, its rewrites, damaged and shuffled ones.

    python bench/grading.py --page bench/results/grading.md [--peer 400] [--seeds 5]

Needs math/test.jsonl of the local data (DELTAKIT_DATA). Minutes on two cores.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from grading_cases import damages, rewrites

from deltakit.data.locate import find_data
from deltakit.grade.equality.equivalence import same_exactly
from deltakit.grade.equality.worker import Worker
from deltakit.grade.graders import Symbolic
from deltakit.grade.numbers import parse_number
from deltakit.grade.tasks import find_task, gold_of

PHRASE = "We find $x + 1 = \\frac{2}{3}$ and $y = 7$, hence\nThe answer is: {}"
BOX = "We find $x + 1 = \\frac{2}{3}$, $12 = 12$, and so the answer is $\\boxed{{}}$."
MINERVA = "We find $x + 1 = 2$.\nFinal Answer: The final answer is ${}$. I hope it is correct."
HASH = "We find 7 and $x$.\n#### {}"
SHOWN = 60


@dataclass(frozen=True)
class Case:
    kind: str
    completion: str
    given: str
    gold: str


@dataclass(frozen=True)
class Outcome:
    """The cases of one section, what the grader said, and its CPU and wall seconds."""

    cases: list[Case]
    right: list[bool]
    notes: Counter[str]
    whys: list[str]
    cpu: float
    wall: float


def golds(file: str) -> list[str]:
    task = find_task("math")
    path = find_data(file)
    if path is None:
        raise SystemExit(f"no {file}: set DELTAKIT_DATA")
    return [gold_of(task, json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines()]


def spent() -> float:
    return sum(
        resource.getrusage(who).ru_utime + resource.getrusage(who).ru_stime
        for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )


def graded(grader: Symbolic, cases: list[Case]) -> Outcome:
    cpu, wall = spent(), time.perf_counter()
    grader.prepare([(case.completion, case.gold) for case in cases], "math")
    verdicts = [grader.grade(case.completion, case.gold, "math") for case in cases]
    took = spent() - cpu, time.perf_counter() - wall
    notes = Counter(verdict.note for verdict in verdicts if verdict.note)
    return Outcome(cases, [v.correct for v in verdicts], notes, [v.why for v in verdicts], *took)


def put(form: str) -> Callable[[str], str]:
    return lambda text: form.replace("{}", text)


phrase = put(PHRASE)


def identity(all_golds: Sequence[str]) -> list[Case]:
    both = (
        ("The answer is: X", phrase), ("boxed after other math", put(BOX)), ("Minerva's sentence", put(MINERVA)),
        ("#### X", put(HASH)),
    )  # fmt: skip
    return [Case(kind, form(gold), gold, gold) for kind, form in both for gold in all_golds]


def rewritten(all_golds: Sequence[str]) -> list[Case]:
    return [Case(kind, phrase(text), text, gold) for gold in all_golds for kind, text in rewrites(gold)]


def damaged(all_golds: Sequence[str]) -> list[Case]:
    return [Case(kind, phrase(text), text, gold) for gold in all_golds for kind, text in damages(gold)]


def derangement(n: int, seed: int) -> list[int]:
    """A random permutation in which nothing stays in its place."""
    order = list(range(n))
    random.Random(seed).shuffle(order)
    return [order[(order.index(i) + 1) % n] for i in range(n)] if n < 3 else _cycle(order)


def _cycle(order: list[int]) -> list[int]:
    moved = [0] * len(order)
    for at, i in enumerate(order):
        moved[i] = order[(at + 1) % len(order)]
    return moved


def shuffled(all_golds: Sequence[str], seeds: int) -> tuple[list[Case], int]:
    """Answers of other problems; those equal as numbers or benchmark strings are counted apart."""
    cases, equal = [], 0
    for seed in range(seeds):
        for gold, other in zip(all_golds, derangement(len(all_golds), seed), strict=True):
            given = all_golds[other]
            if same_exactly(given, gold, "math"):
                equal += 1
            else:
                cases.append(Case("shuffled", phrase(given), given, gold))
    return cases, equal


def hard_shuffled(all_golds: Sequence[str]) -> list[Case]:
    """Each distinct answer that is not one number against each of 40 others of its kind of notation, drawn by seed."""
    groups: dict[str, list[str]] = defaultdict(list)
    for gold in sorted(set(all_golds)):
        kind = next(
            (
                mark
                for mark in ("matrix", r"\cup", "(", "[", "pi", "sqrt", "text", ",", "frac", "circ", "x")
                if mark in gold
            ),
            "",
        )
        groups[kind].append(gold)
    draw = random.Random(0)
    cases = []
    for members in groups.values():
        for gold in members:
            for given in draw.sample(members, min(40, len(members))):
                if not same_exactly(given, gold, "math"):
                    cases.append(Case("same notation", phrase(given), given, gold))
    return cases


def peer(cases: Sequence[Case], count: int, seconds: float) -> tuple[list[Case], list[bool], int, float]:
    """math-verify alone on cases drawn by seed: its verdicts, time-outs and seconds."""
    hard = [case for case in cases if parse_number(case.gold) is None]
    drawn = random.Random(0).sample(hard, min(count, len(hard)))
    worker = Worker()
    worker.same("1", "1", 30)
    start = time.perf_counter()
    said = [worker.same(case.given, case.gold, seconds) for case in drawn]
    took = time.perf_counter() - start
    worker.close()
    return drawn, [s.same for s in said], sum(s.why == "timeout" for s in said), took


def row(name: str, outcome: Outcome, wanted: bool) -> str:
    n, good = len(outcome.right), sum(r is wanted for r in outcome.right)
    notes = ", ".join(f"{name} {count}" for name, count in outcome.notes.most_common()) or "none"
    share = f"{100 * good / n:.3f} % right" if wanted else f"{100 * (n - good) / n:.3f} % accepted"
    return f"| {name} | {n:,} | {share} | {n - good} | {outcome.cpu:.1f} | {outcome.wall:.1f} | {notes} |"


def kinds(outcome: Outcome, wanted: bool) -> list[str]:
    total, missed = (
        Counter(c.kind for c in outcome.cases),
        Counter(c.kind for c, r in zip(outcome.cases, outcome.right, strict=True) if r is not wanted),
    )
    return [f"| {kind} | {n:,} | {missed[kind]} |" for kind, n in sorted(total.items())]


def misses(outcome: Outcome, wanted: bool) -> list[str]:
    found = Counter(
        (case.kind, case.given, case.gold, why)
        for case, right, why in zip(outcome.cases, outcome.right, outcome.whys, strict=True)
        if right is not wanted
    )

    def code(text: str) -> str:
        return "`" + " ".join(text.split()).replace("|", "\\|") + "`"

    lines = [
        f"| {kind} | {code(given)} | {code(gold)} | {n} | {code(why)} |"
        for (kind, given, gold, why), n in found.most_common(SHOWN)
    ]
    head = ["| kind | given | gold | times | the grader says |", "|---|---|---|---|---|"]
    rest = [f"\nand {len(found) - SHOWN} more."] if len(found) > SHOWN else []
    return [*head, *lines, *rest] if found else ["None."]


def table(sections: list[tuple[str, Outcome, bool]]) -> list[str]:
    head = ["| answers | n | result | misses | CPU s | wall s | notes |", "|---|---|---|---|---|---|---|"]
    return [*head, *(row(name, outcome, wanted) for name, outcome, wanted in sections), ""]


INTRO = """\
# Grading: gold, rewritten, damaged and shuffled answers of MATH

Made by `{command}`. Grader `symbolic`, five seconds an item; times are of the whole
section, on two cores shared with other work: the CPU seconds count.

- Gold answers: each as "The answer is: X", in a box after other mathematics, in Minerva's sentence, and after ####.
- Equivalent rewrites: by the rules of `bench/grading_cases.py`, which know nothing of the grader.
- Damaged: one number raised by one, the sign changed, two parts of a pair exchanged.
- Shuffled: answers moved between problems by derangements ({seeds} seeds). Those that equal the gold one as numbers or
  as the benchmark's strings are no error and not counted ({equal:,} here).
- Shuffled within one notation: each distinct answer against up to 40 others written alike (a root against roots). What
  is accepted here is listed, and is equal in value.

The readers were written with MATH test in view. MATH train was graded only afterwards; what it showed first is told at
the end.
"""

AFTERWARDS = """\
Before anything was changed for its sake, train graded 29,991 of 30,000 gold answers right (8 of the 9 misses are two
problems whose box is empty), 99.980 % of the rewrites (16 misses of 81,907, 6 of them the empty answers), accepted 2 of
13,155 damaged answers (a `\\phantom` in a matrix, an equation of two numbers, both by math-verify) and none of 37,277
shuffled ones.
"""


def details(sections: list[tuple[str, Outcome, bool]]) -> list[str]:
    lines = []
    for name, outcome, wanted in sections:
        lines += [f"### {name}", "", "| kind | n | misses |", "|---|---|---|", *kinds(outcome, wanted), ""]
        lines += [("Not accepted:" if wanted else "Accepted:"), "", *misses(outcome, wanted), ""]
    return lines


def endless(seconds: float, count: int) -> str:
    """Powers of powers, which never end: that they are killed, and how long it takes."""
    towers = ["10^{" * deep + "9" + "}" * deep for deep in range(3, 3 + count)]
    outcome = graded(Symbolic(seconds=seconds), [Case("endless", put(BOX)(text), text, "9") for text in towers])
    return (
        f"{count} powers of powers ($10^{{10^{{10^9}}}}$ and higher) with a limit of {seconds:g} s each: "
        f"{outcome.notes['timeout']} time-outs, {sum(outcome.right)} accepted, {outcome.wall:.1f} s of wall time on "
        f"{os.cpu_count()} cores.\n"
    )


def peer_lines(sections: list[tuple[str, Outcome, bool]], count: int) -> list[str]:
    lines = [
        "### math-verify alone", "",
        f"Answers to problems whose gold answer is no plain number, {count} of each section drawn by seed, given to",
        "math-verify 0.9 (in `$...$`), one process, two seconds an item; beside it the grader's verdicts on",
        "the same ones. Right is to accept in the first two sections and to refuse in the others.", "",
        "| answers | n | math-verify right | grader right | time-outs | math-verify, ms an item |",
        "|---|---|---|---|---|---|",
    ]  # fmt: skip
    for name, outcome, wanted in sections:
        drawn, said, late, took = peer(outcome.cases, count, 2.0)
        ours = {id(c): r for c, r in zip(outcome.cases, outcome.right, strict=True)}
        good, own = sum(s is wanted for s in said), sum(ours[id(c)] is wanted for c in drawn)
        n = len(drawn)
        lines.append(
            f"| {name} | {n} | {100 * good / n:.1f} % | {100 * own / n:.1f} % | {late} | {1000 * took / n:.1f} |"
        )
    return lines


def sections_of(file: str, seeds: int) -> tuple[list[tuple[str, Outcome, bool]], int]:
    everything, grader = golds(file), Symbolic()
    moved, equal = shuffled(everything, seeds)
    plans = [
        ("Gold answers", identity(everything), True), ("Equivalent rewrites", rewritten(everything), True),
        ("Damaged answers", damaged(everything), False), ("Shuffled answers", moved, False),
        ("Shuffled within one notation", hard_shuffled(everything), False),
    ]  # fmt: skip
    return [(name, graded(grader, cases), wanted) for name, cases, wanted in plans], equal


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--page", type=Path)
    parser.add_argument("--peer", type=int, default=0, help="cases of each section given to math-verify alone")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--no-train", action="store_true", help="leave math/train.jsonl out")
    args = parser.parse_args()
    command = " ".join(["python bench/grading.py", *sys.argv[1:]])
    sections, equal = sections_of("math/test.jsonl", args.seeds)
    lines = [INTRO.format(command=command, seeds=args.seeds, equal=equal), "## MATH test", "", *table(sections)]
    lines.append(endless(1.0, 6))
    lines += peer_lines(sections, args.peer) if args.peer else []
    lines += details(sections)
    if not args.no_train:
        sections, _ = sections_of("math/train.jsonl", args.seeds)
        lines += ["## MATH train", "", *table(sections), AFTERWARDS, *details(sections)]
    text = "\n".join(lines).rstrip() + "\n"
    if args.page:
        args.page.write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
