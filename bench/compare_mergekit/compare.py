"""Run mergekit's configs through mergekit and through deltakit, and compare everything that comes out.

mergekit is a program in an environment of its own: it is started, and its output folder is read. Usage:
python bench/compare_mergekit/compare.py --mergekit ENV/bin -o bench/results/compare_mergekit.md [NAME...]
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
import yaml
from family import make_family
from measure import (
    Distance,
    config_differences,
    distance,
    in_order_of,
    said,
    statistics,
    tensors_of,
    vocabulary,
)

HERE = Path(__file__).resolve().parent
SEED = "7"
SLACK = 0.03  # of a statistic of 650,000 elements, relative; over ten times its noise


@dataclass
class Outcome:
    """One config. `target` is exact, ulp or statistics."""

    name: str
    target: str
    seconds: tuple[float, float] = (0.0, 0.0)  # ours, theirs; start-up is most of it
    distance: Distance = field(default_factory=Distance)
    statistics: dict[str, tuple[float, float]] = field(default_factory=dict)
    tokens: tuple[int, int] = (0, 0)
    failures: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)

    @property
    def reached(self) -> str:
        """What was reached, in the words of the table."""
        if self.failures:
            return "FAILED"
        if self.target == "statistics":
            worst = max(abs(a - b) / max(abs(b), 1e-12) for a, b in self.statistics.values())
            return f"statistics within {worst:.1%}"
        return "bit equal" if self.distance.equal == 1.0 else f"within {self.distance.ulp:.2g} ulp"


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("names", nargs="*", help="configs to run; all by default")
    options.add_argument("--mergekit", type=Path, required=True, help="folder of mergekit's programs")
    options.add_argument("--deltakit", type=Path, default=Path(sys.executable).parent / "deltakit")
    options.add_argument("--work", type=Path, help="keep models and outputs here; outputs of mergekit are used again")
    options.add_argument("-o", "--output", type=Path, help="Markdown page; JSON is written beside it")
    given = options.parse_args()
    configs = sorted(p for p in (HERE / "configs").glob("*.yml") if not given.names or p.stem in given.names)
    with tempfile.TemporaryDirectory() as spare:
        work = (given.work or Path(spare)).resolve()
        if not (work / "models").exists():
            make_family(work)
        outcomes = []
        for path in configs:
            outcomes.append(run(path, work, given.mergekit.absolute(), given.deltakit.absolute()))
            print(line(outcomes[-1]), flush=True)
    if given.output:
        write(given.output, outcomes)
    sys.exit(any(o.failures for o in outcomes))


def run(path: Path, work: Path, mergekit: Path, deltakit: Path) -> Outcome:
    """One config through both tools."""
    found = Outcome(path.stem, target_of(path))
    ours, theirs = work / "ours" / path.stem, work / "theirs" / path.stem
    for folder in (ours, theirs):
        folder.parent.mkdir(exist_ok=True)
    shutil.rmtree(ours, ignore_errors=True)
    if not (theirs / "config.json").exists():
        shutil.rmtree(theirs, ignore_errors=True)
        found.seconds = (0.0, start(their_command(path, theirs, mergekit), work, found, "mergekit"))
    command = [str(deltakit), "merge", str(path), "-o", str(ours), "--seed", SEED]
    found.seconds = (start(command, work, found, "deltakit"), found.seconds[1])
    if not found.failures:
        compare(found, ours, theirs, work, path)
    return found


def target_of(path: Path) -> str:
    """What the config's first line says is to be reached."""
    said = re.match(r"# compare: (exact|ulp|statistics)\n", path.read_text())
    assert said, f"{path}: the first line says how to compare"
    return said[1]


def their_command(path: Path, out: Path, programs: Path) -> list[str]:
    """mergekit has a program of its own for several documents. Its model card asks the hub about local folders."""
    shared = ["--random-seed", SEED, "--no-write-model-card", "--quiet", "--lora-merge-cache", "adapted"]
    if "\n---\n" in path.read_text():
        between = out.with_name(f"{out.name}.stages")
        program = [str(programs / "mergekit-multi"), str(path), "-I", str(between), "--out-path", str(out)]
    else:
        program = [str(programs / "mergekit-yaml"), str(path), str(out)]
    return program + shared


def start(command: list[str], work: Path, found: Outcome, tool: str) -> float:
    """Run a program in the folder of the models; its last line is kept where it fails."""
    quiet = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}
    begun = time.perf_counter()
    done = subprocess.run(command, cwd=work, env=os.environ | quiet, capture_output=True, text=True, timeout=600)
    if done.returncode:
        lines = [text for text in done.stderr.strip().splitlines() if text.strip()]
        found.failures.append(f"{tool} ended with {done.returncode}: {' '.join(lines[-2:])[:300]}")
    return time.perf_counter() - begun


def compare(found: Outcome, ours: Path, theirs: Path, work: Path, path: Path) -> None:
    """Tensors, configuration, tokenizer and chat template."""
    tokens, other = vocabulary(ours), vocabulary(theirs)
    found.tokens = (len(tokens), len(other))
    a, b = in_order_of(tensors_of(ours), tokens, other), tensors_of(theirs)
    if set(tokens) != set(other):
        lost = sorted(set(tokens) ^ set(other))
        found.failures.append(f"tokenizers differ in {len(lost)} tokens: {', '.join(lost[:5])}")
    elif tokens != other:
        found.remarks.append("ids of tokens in another order; rows compared by token")
    if said(ours) != said(theirs):
        found.failures.append("chat templates write different text")
    must, more = config_differences(ours, theirs)
    repaired = re.search(r"^# repaired: (\S+)", path.read_text(), re.MULTILINE)
    if repaired and repaired[1] in must:
        must.remove(repaired[1])
        found.remarks.append(f"config.json: {repaired[1]} is repaired, as docs/mergekit.md says")
    if must:
        found.failures.append(f"config.json differs in {', '.join(must)}")
    if more:
        found.remarks.append(f"config.json also differs in {', '.join(more)}")
    found.distance = distance(a, b)
    found.failures += found.distance.apart
    if found.target == "statistics":
        compare_statistics(found, a, b, work, path)
    else:
        check_bits(found)


def check_bits(found: Outcome) -> None:
    reached = found.distance.equal == 1.0 if found.target == "exact" else found.distance.ulp <= 1.0
    if not reached:
        found.failures.append(
            f"{1 - found.distance.equal:.2%} of the elements differ, by up to {found.distance.ulp:.3g} bf16 ulp in "
            f"{found.distance.where}"
        )


def compare_statistics(
    found: Outcome, ours: dict[str, torch.Tensor], theirs: dict[str, torch.Tensor], work: Path, path: Path
) -> None:
    config = yaml.safe_load(path.read_text())
    base = tensors_of(work / config["base_model"])
    models = [tensors_of(work / m["model"]) for m in config["models"]]
    a, b = (statistics(t, base, models) for t in (ours, theirs))
    found.statistics = {name: (a[name], b[name]) for name in a}
    wrong = [n for n, (x, y) in found.statistics.items() if abs(x - y) > SLACK * abs(y)]
    found.failures += [f"{n}: {a[n]:.4g} here, {b[n]:.4g} there" for n in wrong]


def line(found: Outcome) -> str:
    """A row for the terminal."""
    remarks = "; ".join(found.failures + found.remarks)
    times = " ".join(f"{t:5.1f} s" for t in found.seconds)
    return f"{found.name:20} {found.target:10} {found.reached:26} {times}  {remarks}"


def write(page: Path, outcomes: list[Outcome]) -> None:
    """The page of results, and the same as JSON."""
    page.with_suffix(".json").write_text(json.dumps([asdict(o) for o in outcomes], indent=1) + "\n")
    rows = [
        f"| [{o.name}](../compare_mergekit/configs/{o.name}.yml) | {o.target} | {o.reached} | "
        f"{1 - o.distance.equal:.3%} | {o.tokens[0]} / {o.tokens[1]} | {'; '.join(o.failures + o.remarks)} |"
        for o in outcomes
    ]
    head = (
        "| config | target | reached | elements that differ | tokens, ours / theirs | remarks |\n" + "|---" * 6 + "|\n"
    )
    text = (HERE / "page.md").read_text()
    page.write_text(
        text.replace("TABLE\n", head + "\n".join(rows) + "\n").replace("STATISTICS\n", _statistics(outcomes))
    )


def _statistics(outcomes: list[Outcome]) -> str:
    rows = ["| config | statistic | deltakit | mergekit |", "|---|---|---|---|"]
    for o in outcomes:
        rows += [f"| {o.name} | {n} | {a:.5g} | {b:.5g} |" for n, (a, b) in o.statistics.items()]
    return "\n".join(rows) + "\n"


if __name__ == "__main__":
    main()
