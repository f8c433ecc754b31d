"""The numbers of a comparison as table cells: per cent and points, nats, counts, p-values."""

from __future__ import annotations

from collections.abc import Sequence

from deltakit.report.page import Cell
from deltakit.report.paired.compared import Compared, Pair

__all__ = ["Unit", "columns", "interval", "legend", "p_value", "rows", "unit_of"]


class Unit:
    """How a metric is shown: `scale` times its value, `places` decimals; `name` of values, `step` of differences."""

    def __init__(self, scale: float, places: int, name: str, step: str) -> None:
        self.scale, self.places, self.name, self.step = scale, places, name, step

    def text(self, value: float) -> str:
        """ "83.5"."""
        return f"{self.scale * value:.{self.places}f}"

    def signed(self, value: float) -> str:
        """ "+3.5"; nothing is never -0.0."""
        return f"{round(self.scale * value, self.places) + 0.0:+.{self.places}f}"


_PER_CENT = Unit(100, 1, "%", "points")
_NATS = Unit(1, 4, "nats per token", "nats")
_PLAIN = Unit(1, 3, "", "")


def unit_of(pairs: Sequence[Pair]) -> Unit:
    """Per cent where all scores lie in [0, 1], nats for a loss, else the metric's own."""
    if any(p.found.kind == "loss" for p in pairs):
        return _NATS
    inside = all(0 <= v <= 1 for p in pairs for v in (p.found.before, p.found.after))
    return _PER_CENT if inside else _PLAIN


def columns(pairs: Sequence[Pair]) -> tuple[str, ...]:
    """Heads of `rows`."""
    unit = unit_of(pairs)
    heads = {_PER_CENT: "score %", _NATS: "nats per token"}
    score = heads.get(unit, pairs[0].pairing.metric.partition(",")[0])
    step = f"difference, {unit.step}" if unit.step else "difference"
    least = f"could show, {unit.step}" if unit.step else "could show"
    return ("model", "n", f"{score} [95 %]", f"{step} [95 %]", "lost", "gained", "p", "p (Holm)", least, "verdict")


def rows(compared: Compared, task: str) -> tuple[tuple[Cell, ...], ...]:
    """The reference, then every model that was compared with it on this task."""
    pairs = compared.of_task(task)
    unit, first = unit_of(pairs), pairs[0].found
    scored = f"{unit.text(first.before)} {interval(first.before_interval, unit)}"
    reference = (f"{compared.reference.name} (reference)", first.n, scored, "-", "-", "-", "-", "-", "-", "-")
    return (reference, *(_row(p, unit) for p in pairs))


def _row(p: Pair, unit: Unit) -> tuple[Cell, ...]:
    f = p.found
    ends = f"[{unit.signed(f.low)}, {unit.signed(f.high)}]"
    least = "-" if f.minimal is None else unit.text(f.minimal)
    return (p.model, f.n, f"{unit.text(f.after)} {interval(f.after_interval, unit)}", f"{unit.signed(f.value)} {ends}",
            f.lost, f.gained, p_value(f.p), p_value(p.p_holm), least, p.verdict)  # fmt: skip


def interval(ends: tuple[float, float], unit: Unit) -> str:
    """ "[70.1, 83.4]"."""
    return f"[{unit.text(ends[0])}, {unit.text(ends[1])}]"


def p_value(p: float) -> str:
    """Two digits; what is under one in ten thousand only that."""
    return "<0.0001" if p < 1e-4 else f"{p:.2g}"


def legend(compared: Compared) -> str:
    """What the columns are, in sentences."""
    methods = {p.found.kind: p.found for p in compared.pairs}
    sorts = {"share": "right or wrong items", "mean": "items with scores in between", "loss": "losses"}
    parts = [f"{sorts[kind]}: p by {f.test}, interval {f.method}" for kind, f in sorted(methods.items())]
    count = f"{len(compared.pairs)} comparison{'' if len(compared.pairs) == 1 else 's'}"
    return (
        f"Each model less {compared.reference.name}, item by item. lost, gained: items on which the model is worse, "
        f"better. For {'; for '.join(parts)}. Holm: p corrected for {count}; the verdict is at 5 % of these. could "
        "show: the smallest true difference that so many items with so many flips reveal four times in five. Intervals "
        f"are for one comparison each. Bootstrap: {compared.draws:,} draws, seed {compared.seed}."
    )
