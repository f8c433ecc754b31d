"""The singular values of a delta's matrices, as curves and as effective ranks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from deltakit.report.figure import COLOURS, new_figure
from deltakit.report.page import Picture, Section

__all__ = ["section"]

_LEGEND = 8  # curves; more are told apart in the table alone


def section(spectra: Sequence[Mapping[str, Any]], number: int = 1) -> Section:
    """One row and one curve a matrix."""
    rows = tuple(
        (s["name"], len(s["values"]), f"{s['effective_rank']:.1f}", s["rank_at_90"], s["rank_at_99"]) for s in spectra
    )
    text = (
        "The matrices that changed most. Effective rank: exp of the entropy of the singular values; behind it the least"
        " ranks that hold 90 and 99 % of the squared norm."
    )
    columns = ("matrix", "full rank", "effective rank", "rank at 90 %", "rank at 99 %")
    picture = Picture(f"spectra-{number}", f"Singular values of {len(rows)} matrices", draw(spectra))
    return Section("Spectra of the delta", text, columns, rows, (), picture)


def draw(spectra: Sequence[Mapping[str, Any]]) -> Any:
    """Singular values over the largest one, against their share of the full rank; logarithmic heights."""
    figure, (axes,) = new_figure(6.4, 3.8)
    for i, found in enumerate(spectra):
        values = [v / found["values"][0] for v in found["values"] if v > 0]
        places = [(n + 1) / len(found["values"]) for n in range(len(values))]
        label = found["name"] if len(spectra) <= _LEGEND else None
        axes.plot(places, values, label=label, linewidth=1.2, color=COLOURS[i % len(COLOURS)])
    axes.set_yscale("log")
    axes.set_xlabel("share of the full rank")
    axes.set_ylabel("singular value / largest")
    if len(spectra) <= _LEGEND:
        axes.legend(fontsize=7, frameon=False)
    return figure
