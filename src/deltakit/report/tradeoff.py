"""Error against bytes: what each archive of a curve takes as a whole, and what it leaves of the delta."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from deltakit.report.figure import new_figure, style_of
from deltakit.report.page import Cell, Picture, Section

__all__ = ["draw", "section"]

_COLUMNS = ("ratio", "bytes of the file", "file ratio", "payload ratio", "bits per parameter", "error", "forecast")


def section(points: Sequence[Mapping[str, Any]]) -> Section:
    """One row a point of `deltakit compress --curve`."""
    return Section(
        "Error against bytes",
        "Squared error of the coded matrices over the energy of their deltas, measured from the archives. Bytes are of "
        "the whole file: exact tensors, index and the files inside are in it. An error in weights is no accuracy.",
        _COLUMNS,
        tuple(_row(point) for point in points),
        (),
        Picture("error-bytes", f"Relative squared error of {len(points)} archives against their bytes", draw(points)),
    )


def _row(point: Mapping[str, Any]) -> tuple[Cell, ...]:
    forecast = point["forecast"]
    return (
        f"{point['ratio']:g}", point["nbytes"], f"{point['file_ratio']:.2f}", f"{point['payload_ratio']:.2f}",
        f"{point['bits']:.3f}", f"{point['error']:.4f}", None if forecast is None else f"{forecast:.4f}",
    )  # fmt: skip


def draw(points: Sequence[Mapping[str, Any]]) -> Any:
    """Measured and expected error over bytes, both axes logarithmic."""
    from matplotlib.ticker import EngFormatter, NullFormatter

    figure, (axes,) = new_figure(7, 3.8)
    for i, (key, label) in enumerate((("error", "measured"), ("forecast", "expected"))):
        known = [(p["nbytes"], p[key]) for p in points if p[key]]
        if known:
            axes.plot(*zip(*known, strict=True), label=label, markersize=6, linewidth=1, **style_of(i))
    for point in points:
        if point["error"]:
            axes.annotate(f"1:{point['ratio']:g}", (point["nbytes"], point["error"]), (5, 5),
                          textcoords="offset points", fontsize=8)  # fmt: skip
    positive = any(point["error"] for point in points)
    axes.set(xscale="log", yscale="log" if positive else "linear", xlabel="bytes of the whole file",
             ylabel="relative squared error")  # fmt: skip
    axes.xaxis.set_major_formatter(EngFormatter(unit="B"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    if axes.lines:
        axes.legend(frameon=False, fontsize=8)
    return figure
