"""Merging speed and memory, side by side with mergekit in one sitting; resumable, and one command for the whole page.

    python bench/merge_speed/run.py FAMILY --peer PEER_ENV/bin/mergekit-yaml --page bench/results/merge_speed.md

FAMILY holds base, ft0 and ft1 (1.1 B parameters in bf16 for the page's figures); with --sizes more such folders, by
which memory is compared. For each case ours, the limit (limit.py) and the peer run in turn, each after the same pause
and the removal of what was written before. Finished measurements lie in WORK/measured.json; the same command goes on
from there.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import time
from pathlib import Path
from typing import Any

from cases import CASES, Case
from measure import run
from table import page

HERE = Path(__file__).resolve().parent


class Sitting:
    """What was measured so far, and how to measure more."""

    def __init__(self, work: Path, peer: str | None, pause: float) -> None:
        self.work, self.peer, self.pause = work, peer, pause
        self.file = work / "measured.json"
        self.found: dict[str, Any] = json.loads(self.file.read_text()) if self.file.exists() else {}

    def measure(self, family: Path, case: Case, tool: str, number: int) -> None:
        """One run of a tool, unless it was done; what it writes is removed before the next pause."""
        key = f"{family.name}/{case.name}/{tool}/{number}"
        if key in self.found:
            return
        out, log = self.work / "out", self.work / f"{key.replace('/', '-').replace(' ', '')}.log"
        command = self.command(family, case, tool, out)
        if command is None:
            return
        time.sleep(self.pause)
        found = run(command, log, {"HF_HUB_OFFLINE": "1", **self.environment(tool)})
        found["written"] = sum(f.stat().st_size for f in out.rglob("*") if f.is_file()) if out.is_dir() else 0
        for made in (out, self.work / "limit.bin"):
            shutil.rmtree(made, ignore_errors=True) if made.is_dir() else made.unlink(missing_ok=True)
        self.found[key] = found
        self.file.write_text(json.dumps(self.found, indent=1, sort_keys=True))
        said = f"exit {found['code']}: {found['last']}" if found["code"] else f"{found['wall']:.2f} s"
        print(f"{key}: {said}, {found['foreign']:.2f} cores of others", flush=True)

    def environment(self, tool: str) -> dict[str, str]:
        """The first run of all finds no compiled kernels."""
        if tool != "first":
            return {}
        shutil.rmtree(self.work / "compiled", ignore_errors=True)
        return {"NUMBA_CACHE_DIR": str(self.work / "compiled")}

    def command(self, family: Path, case: Case, tool: str, out: Path) -> list[str] | None:
        """The command line of a tool; None where it has no such method or is not at hand."""
        if tool == "limit":
            folders = case.inputs(family)
            size = sum(f.stat().st_size for f in folders[0].glob("*.safetensors"))
            return [sys.executable, str(HERE / "limit.py"), str(self.work / "limit.bin"), str(size), *map(str, folders)]
        if tool == "peer":
            if self.peer is None or case.theirs is None:
                return None
            path = self.work / "config.yml"
            path.write_text(case.config(family))
            return [self.peer, str(path), str(out)]
        path = self.work / "recipe.yaml"
        path.write_text(case.recipe(family))
        script = Path(sys.executable).with_name("deltakit")
        return [str(script), "merge", str(path), "-o", str(out), "--format", "quiet"]


def main() -> None:
    """Measure, then write the page."""
    parse = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parse.add_argument("family", type=Path)
    parse.add_argument(
        "--peer", default=os.environ.get("MERGEKIT_YAML"), help="mergekit-yaml of an environment of its own"
    )
    parse.add_argument("--sizes", type=Path, nargs="*", default=[], help="further families, for memory alone")
    parse.add_argument("--cases", nargs="*", help="names of cases; default: all")
    parse.add_argument("--rounds", type=int, default=2, help="of ours and the limit; a slow peer runs once")
    parse.add_argument("--pause", type=float, default=8.0, help="seconds before each run")
    parse.add_argument("--work", type=Path, default=Path("runs/merge_speed"))
    parse.add_argument("--page", type=Path)
    given = parse.parse_args()
    given.work.mkdir(parents=True, exist_ok=True)
    sitting = Sitting(given.work, given.peer, given.pause)
    wanted = [c for c in CASES if not given.cases or c.name in given.cases]
    warm(given.family)
    sitting.measure(given.family, wanted[0], "first", 0)
    for number in range(given.rounds):
        for case in wanted:
            for tool in ("ours", "limit", "peer"):
                if not (tool == "peer" and case.slow and number):
                    sitting.measure(given.family, case, tool, number)
    for family in given.sizes:
        for case in wanted:
            sitting.measure(family, case, "ours", 0)
    text = page(sitting.found, wanted, given.family, given.sizes, " ".join(["python", *sys.argv]))
    print(text)
    if given.page:
        given.page.write_text(text)


def warm(family: Path) -> None:
    """Bring the inputs into the page cache."""
    for file in sorted(family.rglob("*.safetensors")):
        with file.open("rb", buffering=0) as opened:
            while opened.read(8 << 20):
                pass


if __name__ == "__main__":
    main()
