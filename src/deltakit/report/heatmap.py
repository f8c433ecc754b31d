"""How much each module of each layer changed: relative norm of the delta, layers x modules."""

from __future__ import annotations

import math
from typing import Any

from deltakit.report.comparison import Comparison
from deltakit.report.figure import new_figure
from deltakit.report.page import Cell, Picture, Section

__all__ = ["section"]

_ANNOTATED = 200  # cells; above, the numbers stand in the table alone


def section(found: Comparison, number: int = 1) -> Section:
    """The heat map and the same numbers as a table; tensors outside the layers stand in the table only."""
    modules = tuple(found.modules)
    rows: list[tuple[Cell, ...]] = [
        (str(layer), *map(_cell, values)) for layer, values in zip(found.layers, found.grid(), strict=True)
    ]
    rows += [(name, _cell(value), *("" for _ in modules[1:])) for name, value in found.outside.items()]
    text = (
        f"Norm of the delta over norm of the base, per tensor, from {found.first} to {found.second}; "
        f"over all tensors {found.total:.4g}."
    )
    alt = f"Heat map of relative delta norm, {len(found.layers)} layers by {len(modules)} modules"
    picture = Picture(f"norms-{number}", alt, draw(found)) if modules else None
    columns = ("layer", *modules) if modules else ("tensor", "relative norm")
    return Section("Relative norm of the delta, layer by module", text, columns, tuple(rows), (), picture)


def _cell(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.4f}"


def draw(found: Comparison) -> Any:
    """Dark is little, bright is much (cividis: the same for every eye); numbers in the cells where they fit."""
    grid = found.grid()
    figure, (axes,) = new_figure(1.6 + 0.8 * len(found.modules), 1.9 + 0.34 * len(found.layers))
    image = axes.imshow(grid, cmap="cividis", aspect="auto", vmin=0)
    axes.grid(False)
    axes.set_xticks(range(len(found.modules)), found.modules, rotation=35, ha="right", fontsize=8)
    axes.set_yticks(range(len(found.layers)), [str(layer) for layer in found.layers], fontsize=8)
    axes.set_ylabel("layer")
    figure.colorbar(image, ax=axes, label="relative norm")
    if len(grid) * len(found.modules) <= _ANNOTATED:
        _numbers(axes, grid, image)
    return figure


def _numbers(axes: Any, grid: list[list[float]], image: Any) -> None:
    for i, values in enumerate(grid):
        for j, value in enumerate(values):
            if not math.isnan(value):
                colour = "black" if image.norm(value) > 0.55 else "white"
                axes.text(j, i, f"{value:.3f}", ha="center", va="center", fontsize=6.5, color=colour)
