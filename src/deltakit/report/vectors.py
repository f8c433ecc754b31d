"""How task vectors lie to each other: cosines and equal signs of every pair, as a whole and along the layers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from deltakit.report.comparison import Comparison, place_of
from deltakit.report.figure import new_figure, style_of
from deltakit.report.page import Cell, Picture, Section

__all__ = ["TaskVectors", "read_vectors", "sections"]

_LETTERS = 28


@dataclass(frozen=True)
class TaskVectors:
    """What `deltakit diff --against BASE` found: models, pairs as a whole, and the same tensor by tensor."""

    base: str
    models: tuple[str, ...]
    whole: Mapping[str, Any]
    tensors: tuple[Mapping[str, Any], ...]

    def norms(self) -> list[Comparison]:
        """Every model against the base, as a comparison of two."""
        return [
            Comparison(self.base, model, {t["name"]: t["relative"][i] for t in self.tensors}, self.whole["relative"][i])
            for i, model in enumerate(self.models)
        ]

    def by_layer(self, pair: int) -> dict[int, float]:
        """Layer to the mean cosine of its tensors; tensors that a model left as they were have none."""
        found: dict[int, list[float]] = {}
        for tensor in self.tensors:
            place, cosine = place_of(tensor["name"]), tensor["pairs"][pair]["cosine"]
            if place and cosine is not None:
                found.setdefault(place[0], []).append(cosine)
        return {layer: sum(values) / len(values) for layer, values in sorted(found.items())}


def read_vectors(found: Mapping[str, Any], base: str) -> TaskVectors:
    """From the `vectors` of a parsed diff. KeyError, TypeError or ValueError for anything else."""
    tensors = tuple(dict(t) for t in found["tensors"])
    return TaskVectors(base, tuple(map(str, found["models"])), dict(found["whole"] or {}), tensors)


def sections(found: TaskVectors, number: int = 1) -> list[Section]:
    """One table of all pairs with a matrix of cosines, and one along the layers where there are any."""
    pairs: Sequence[Mapping[str, Any]] = found.whole.get("pairs", ())
    if not pairs:
        return []
    rows = tuple((*p["pair"], _cell(p["cosine"]), _cell(p["sign_agreement"])) for p in pairs)
    text = f"Deltas over {found.base}: 1 is the same direction, 0 none in common, -1 the opposite."
    picture = Picture(f"cosines-{number}", f"Cosines between {len(found.models)} task vectors", draw(found))
    columns = ("model", "model ", "cosine", "equal signs")
    made = [Section("Task vectors, pair by pair", text, columns, rows, (), picture)]
    layers = [found.by_layer(i) for i in range(len(pairs))]
    return [*made, _along(found, pairs, layers, number)] if any(layers) else made


def _along(
    found: TaskVectors, pairs: Sequence[Mapping[str, Any]], layers: Sequence[dict[int, float]], number: int
) -> Section:
    numbers = sorted({layer for one in layers for layer in one})
    names = [" / ".join(p["pair"]) for p in pairs]
    rows: list[tuple[Cell, ...]] = [(str(n), *(_cell(one.get(n)) for one in layers)) for n in numbers]
    picture = Picture(f"cosines-by-layer-{number}", "Cosine of task vectors by layer", draw_layers(names, layers))
    text = "Mean over the tensors of a layer."
    return Section("Cosine of task vectors by layer", text, ("layer", *names), tuple(rows), (), picture)


def draw(found: TaskVectors) -> Any:
    """A square of cosines; blue is apart, red together, white nothing in common."""
    count = len(found.models)
    grid = [[1.0 if i == j else 0.0 for j in range(count)] for i in range(count)]
    for pair in found.whole["pairs"]:
        i, j = (found.models.index(name) for name in pair["pair"])
        grid[i][j] = grid[j][i] = pair["cosine"] if pair["cosine"] is not None else 0.0
    figure, (axes,) = new_figure(2.4 + 0.7 * count, 1.6 + 0.7 * count)
    image = axes.imshow(grid, cmap="RdBu_r", vmin=-1, vmax=1)
    axes.grid(False)
    names = [_short(name) for name in found.models]
    axes.set_xticks(range(count), names, rotation=35, ha="right", fontsize=8)
    axes.set_yticks(range(count), names, fontsize=8)
    for i in range(count):
        for j in range(count):
            colour = "white" if abs(grid[i][j]) > 0.6 else "black"
            axes.text(j, i, f"{grid[i][j]:.2f}", ha="center", va="center", fontsize=8, color=colour)
    figure.colorbar(image, ax=axes, label="cosine")
    return figure


def draw_layers(names: Sequence[str], layers: Sequence[dict[int, float]]) -> Any:
    """One line a pair."""
    figure, (axes,) = new_figure(6.4, 3.4)
    for i, (name, one) in enumerate(zip(names, layers, strict=True)):
        axes.plot(
            list(one),
            list(one.values()),
            label=" / ".join(map(_short, name.split(" / "))),
            linewidth=1.2,
            markersize=4,
            **style_of(i),
        )
    axes.set_xlabel("layer")
    axes.set_ylabel("cosine")
    axes.legend(fontsize=8, frameon=False)
    return figure


def _short(name: str) -> str:
    """Fits beside a picture; the table has it whole."""
    return name if len(name) <= _LETTERS else f"...{name[3 - _LETTERS :]}"


def _cell(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"
