"""A sweep's page: ranks in a table, one field as lines, two as a map, more as ranks."""

import json
from pathlib import Path
from typing import Any

import pytest

from deltakit.errors import InputError
from deltakit.report.figure import as_svg
from deltakit.report.page import build_page
from deltakit.report.sources import read_sources
from deltakit.report.sweep import sections

SCORE = {"accuracy": 0.5, "stderr": 0.1, "n": 25}


def row(number: int, settings: dict[str, Any], value: float | None, rank: int | None) -> dict[str, Any]:
    scored = value is not None
    behind = {"difference": 0.1, "stderr": 0.05, "paired": True, "within_noise": rank == 2}
    about = {"id": f"c{number:03d}", "settings": settings, "rank": rank, "objective": value}
    if not scored:
        return {**about, "stderr": None, "error": "does not run", "behind": None, "wins": None, "tasks": {}}
    tasks = {"math": {**SCORE, "accuracy": value}, "chat": SCORE}
    return {**about, "stderr": 0.1, "error": None, "behind": behind, "wins": 0.5, "tasks": tasks}


def result(fields: list[str], rows: list[dict[str, Any]]) -> dict[str, Any]:
    tested = {
        "name": "winner", "role": "winner", "objective": 0.5, "stderr": 0.1, "low": 0.3, "high": 0.7, "ahead": None,
        "tasks": {t: {**SCORE, "low": 0.3, "high": 0.7} for t in ("math", "chat")},
    }  # fmt: skip
    ahead = {"difference": 0.5, "stderr": None, "paired": False}
    base = {**tested, "name": "base", "low": None, "high": None, "ahead": ahead}
    best = next(r for r in rows if r["rank"] == 1)
    return {
        "fields": fields, "tasks": {"math": {}, "chat": {}}, "candidates": rows, "notes": ["Noted."],
        "winner": {"id": best["id"]}, "test": {"models": [base, tested], "gap": {"difference": 0.02, "stderr": 0.1}},
    }  # fmt: skip


def test_the_tables_say_rank_noise_and_intervals() -> None:
    rows = [row(1, {"lambda": 0.5}, 0.4, 2), row(2, {"lambda": 1.0}, 0.6, 1), row(3, {"lambda": 1.5}, None, None)]
    found, test = sections(result(["lambda"], rows))
    assert found.text == "Noted."
    assert found.columns[:5] == ("rank", "id", "lambda", "math %", "chat %")
    assert found.rows[0] == ("1", "c002", "1", "60.0 ± 10.0", "50.0 ± 10.0", "60.0 ± 10.0", "-", "50.0")
    assert found.rows[1][6] == "10.0 ± 5.0 (within noise)"
    assert found.rows[2] == ("failed", "c003", "1.5", "-", "-", "-", "-", "-")
    assert test.rows[0] == ("base", "50.0 [30.0, 70.0]", "50.0 [30.0, 70.0]", "50.0", "50.0")
    assert test.rows[1] == ("winner", "50.0 [30.0, 70.0]", "50.0 [30.0, 70.0]", "50.0 [30.0, 70.0]", "-")
    assert "on items that no candidate was chosen by" in test.text
    assert "2.0 ± 10.0 points more" in test.text


def test_a_test_that_is_not_apart_is_not_called_so() -> None:
    found = result(["lambda"], [row(1, {"lambda": 0.5}, 0.4, 1)])
    found["notes"], found["test"]["gap"]["difference"] = ["WARNING: math: 3 of 4 items"], -0.02
    test = sections(found)[1]
    assert "no candidate was chosen by" not in test.text
    assert "2.0 ± 10.0 points less" in test.text


def test_a_perfect_score_has_a_whisker_downward() -> None:
    rows = [row(i, {"lambda": float(i)}, 1.0, i) for i in (1, 2)]
    for found in rows:
        found["tasks"]["math"]["stderr"] = 0.0
    picture = sections(result(["lambda"], rows))[0].picture
    assert picture is not None
    bars = {c.get_label(): c for c in picture.figure.axes[0].containers}["math"]
    for (_, low), (_, high) in bars.lines[2][0].get_segments():
        assert (low, high) == (pytest.approx(86.7, abs=0.1), 100.0)  # Wilson's of 25 of 25


def test_it_is_read_from_a_file_or_its_folder_into_a_report(tmp_path: Path) -> None:
    found = result(["lambda"], [row(1, {"lambda": 0.5}, 0.4, 1)])
    (tmp_path / "sweep.json").write_text(json.dumps({"action": "sweep", **found}))
    for place in (tmp_path, tmp_path / "sweep.json"):
        page = build_page(read_sources([place]))
        assert [s.title.partition(":")[0] for s in page.sections] == ["Sweep", "Sweep"]
    (tmp_path / "sweep.json").write_text(json.dumps({"action": "sweep", **found, "candidates": [{}]}))
    with pytest.raises(InputError, match="no result of `deltakit sweep` .KeyError"):
        read_sources([tmp_path])


def test_one_field_of_numbers_is_drawn_as_lines() -> None:
    rows = [row(i, {"lambda": 0.1 * i}, 0.1 * i, 5 - i) for i in range(1, 5)]
    section = sections(result(["lambda"], rows), 3)[0]
    assert section.picture is not None
    assert section.picture.stem == "sweep-3"
    (axes,) = section.picture.figure.axes
    assert axes.get_xlabel() == "lambda"
    labels = [text.get_text() for text in axes.get_legend().get_texts()]
    assert sorted(labels) == ["chat", "math", "objective", "winner, 0.4"]
    dashed = next(line for line in axes.lines if line.get_label() == "objective")
    assert list(dashed.get_ydata()) == pytest.approx([10, 20, 30, 40])


def test_two_fields_are_a_map_with_holes() -> None:
    places = [(0.1, "ties"), (0.2, "ties"), (0.1, "della"), (0.3, "della")]
    rows = [row(i, {"lambda": x, "method": m}, 0.1 * i, i) for i, (x, m) in enumerate(places, 1)]
    picture = sections(result(["lambda", "method"], rows))[0].picture
    assert picture is not None
    axes = picture.figure.axes[0]
    grid = axes.images[0].get_array()
    assert grid.shape == (3, 2)
    assert [t.get_text() for t in axes.get_yticklabels()] == ["0.1", "0.2", "0.3"]
    assert [t.get_text() for t in axes.get_xticklabels()] == ["ties", "della"]
    assert bool(grid.mask[1, 1])
    assert float(grid[2, 1]) == pytest.approx(40)
    assert as_svg(picture.figure) == as_svg(picture.figure)


def test_drawn_values_of_two_fields_are_points() -> None:
    rows = [row(i, {"lambda": 0.11 * i, "density": 0.9 / i}, 0.1 * i, 7 - i) for i in range(1, 7)]
    picture = sections(result(["lambda", "density"], rows))[0].picture
    assert picture is not None
    axes = picture.figure.axes[0]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("density", "lambda")
    assert len(axes.collections[0].get_offsets()) == 6
    assert [tuple(line.get_xydata()[0]) for line in axes.lines] == [pytest.approx((0.15, 0.66))]


@pytest.mark.parametrize("fields", [["a", "b", "c"], ["method"], ["a", "b"]])
def test_more_fields_or_words_are_drawn_by_rank(fields: list[str]) -> None:
    rows = [row(i, dict.fromkeys(fields, f"v{i}"), 0.1 * i, 6 - i) for i in range(1, 6)]
    picture = sections(result(fields, rows))[0].picture
    assert picture is not None
    (axes,) = picture.figure.axes
    assert axes.get_xlabel() == "rank"
    assert len(axes.get_legend().get_texts()) == 3
