"""The page of results: medians of the rounds, ratios within them, and the aims."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cases import Case

Found = dict[str, Any]


def runs(found: Found, family: str, case: str, tool: str) -> list[Found]:
    """The successful runs of a tool."""
    prefix = f"{family}/{case}/{tool}/"
    made = [dict(v) for k, v in sorted(found.items()) if k.startswith(prefix) and v["code"] == 0]
    if tool == "limit":
        import json

        for run in made:
            run.update(json.loads(run["last"]))
    return made


def median(made: Sequence[Found], key: str) -> float:
    return statistics.median(m[key] for m in made)


def speed(found: Found, cases: Sequence[Case], family: str) -> list[str]:
    """A row for each case."""
    lines = [
        "| case | ours s (user + sys) | limit s | ours / limit | aim s | reached | bytes/s, of the limit's "
        "| mergekit s (user + sys) | mergekit / ours |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for case in cases:
        ours, limit, peer = (runs(found, family, case.name, tool) for tool in ("ours", "limit", "peer"))
        if not ours or not limit:
            lines.append(f"| {case.name} | not measured | | | | | | | |")
            continue
        wall, least = median(ours, "wall"), median(limit, "wall")
        aim = case.factor * least + case.slack if case.factor else None
        moved = median(limit, "read_bytes") + median(ours, "written")
        other = f"{_timed(peer)} | {median(peer, 'wall') / wall:.1f}" if peer else "none | "
        lines.append(
            f"| {case.name} | {_timed(ours)} | {least:.2f} | {wall / least:.2f} | {f'{aim:.2f}' if aim else 'none'} "
            f"| {'' if aim is None else 'yes' if wall <= aim else 'no'} "
            f"| {moved / wall / 1e9:.2f} GB/s, {least / wall:.0%} | {other} |"
        )
    return lines


def _timed(made: Sequence[Found]) -> str:
    spread = f" [{min(m['wall'] for m in made):.2f} to {max(m['wall'] for m in made):.2f}]" if len(made) > 1 else ""
    return f"{median(made, 'wall'):.2f}{spread} ({median(made, 'user'):.1f} + {median(made, 'sys'):.1f})"


def memory(found: Found, cases: Sequence[Case], families: Sequence[str]) -> list[str]:
    """Peak anonymous memory by size of the model."""
    lines = [
        f"| case | {' | '.join(families)} | mergekit, {families[-1]} |",
        "| --- |" + " --- |" * (len(families) + 1),
    ]
    for case in cases:
        ours = [runs(found, family, case.name, "ours") for family in families]
        peer = runs(found, families[-1], case.name, "peer")
        cells = [f"{max(m['anonymous'] for m in made) / 1e6:.0f}" if made else "" for made in (*ours, peer)]
        lines.append(f"| {case.name} | {' | '.join(cells)} |")
    return lines


def page(found: Found, cases: Sequence[Case], family: Path, sizes: Sequence[Path], command: str) -> str:
    """The whole page in Markdown."""
    first = runs(found, family.name, cases[0].name, "first")
    limits = [m for case in cases for m in runs(found, family.name, case.name, "limit")]
    others = max((m["foreign"] for k, m in found.items() if k.startswith(f"{family.name}/")), default=0.0)
    lines = [
        "# Merging: speed and memory", "",
        f"Made by `{command}`.", "",
        f"Family `{family.name}`: base and two fine-tunes in bf16, in the page cache. Whole commands, start-up and",
        "fsync included. Ours, the limit and mergekit 0.1.5 ran in turn, each after the same pause. The limit reads",
        "the same inputs through memory maps, writes as many bytes and syncs them, without start-up. Medians,",
        f"[least to most], (CPU seconds). Everything else on the machine used at most {others:.2f} cores during a run.",
        "", *speed(found, cases, family.name), "",
    ]  # fmt: skip
    if first:
        lines += [
            f"The very first run on a machine has kernels to compile: {median(first, 'wall'):.1f} s "
            f"({median(first, 'user'):.1f} + {median(first, 'sys'):.1f}) for {cases[0].name}; they stay on disk.", "",
        ]  # fmt: skip
    if limits:
        write = median(limits, "write") + median(limits, "fsync")
        lines += [f"The disk took {median(limits, 'written') or _size(found, family):.2e} bytes in {write:.2f} s.", ""]
    lines += ["Peak anonymous memory, MB:", "", *memory(found, cases, [*(s.name for s in sizes), family.name]), ""]
    return "\n".join(lines)


def _size(found: Found, family: Path) -> float:
    return max((m["written"] for k, m in found.items() if k.startswith(f"{family.name}/")), default=0)
