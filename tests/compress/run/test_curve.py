"""Archives at several ratios. Run: pytest tests/compress/run/test_curve.py"""

from __future__ import annotations

import json

import pytest

from deltakit.compress.run.curve import Point, achieved, compress_curve, curve_name, parse_ratios
from deltakit.compress.run.files import compress_files
from deltakit.compress.run.operands import open_operands
from deltakit.compress.run.request import Request
from deltakit.errors import InputError, RecipeError, ResourceError
from support.faults import killed_at


def asked(tiny_base, tiny_grown, out, codec="auto", **options):
    return Request(str(tiny_base), str(tiny_grown), out, codec, threads=1, **options)


def test_every_point_is_an_archive_of_its_own(tiny_base, tiny_grown, tmp_path):
    shown = []
    points = compress_curve(
        asked(tiny_base, tiny_grown, tmp_path / "c"), (4.0, 8.0), lambda folder, found: shown.extend(found)
    )
    assert shown == points
    assert [p.file for p in points] == [curve_name(4.0), curve_name(8.0)] == ["ratio-4.archive", "ratio-8.archive"]
    for point in points:
        alone = compress_files(asked(tiny_base, tiny_grown, tmp_path / "alone", ratio=point.ratio, overwrite=True))
        assert (tmp_path / "c" / point.file).read_bytes() == (tmp_path / "alone").read_bytes()
        assert point.nbytes == (tmp_path / "c" / point.file).stat().st_size  # to the byte
        assert point.payload_ratio >= point.ratio > point.file_ratio
        assert point.error == pytest.approx(alone.error)
        assert 0.7 < point.forecast / point.error < 1.3
        operands = open_operands(str(tiny_base), str(tiny_grown))
        names = [row.name for row in alone.plan.covered]
        assert achieved(operands, tmp_path / "alone", names) == pytest.approx(point.error, rel=1e-5)
        assert sum(point.kinds.values()) == len(names)
    assert points[0].error < points[1].error
    written = json.loads((tmp_path / "c" / "curve.json").read_text())
    assert [Point(**p) for p in written["points"]] == points


def test_a_killed_curve_resumes_to_the_same_bytes(tiny_base, tiny_grown, tmp_path):
    request = asked(tiny_base, tiny_grown, tmp_path / "c", "svd_mixed")
    compress_curve(asked(tiny_base, tiny_grown, tmp_path / "whole", "svd_mixed"), (4.0, 8.0))
    assert killed_at(150, lambda: compress_curve(request, (4.0, 8.0)))
    assert not (tmp_path / "c").exists()
    compress_curve(request, (4.0, 8.0))
    for name in ("ratio-4.archive", "ratio-8.archive", "curve.json"):
        assert (tmp_path / "c" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["c", "whole"]


def test_a_ratio_that_cannot_be_had_is_found_before_anything_is_coded(tiny_base, tiny_grown, tmp_path):
    with pytest.raises(ResourceError, match="the least is"):
        compress_curve(asked(tiny_base, tiny_grown, tmp_path / "c"), (4.0, 9999.0))
    with pytest.raises(RecipeError, match="whatever is asked for"):
        compress_curve(asked(tiny_base, tiny_grown, tmp_path / "c", "sign"), (16.0, 32.0))
    with pytest.raises(RecipeError, match="both"):
        compress_curve(asked(tiny_base, tiny_grown, tmp_path / "c", nbytes=4000), (16.0,))
    assert list(tmp_path.iterdir()) == []


def test_an_output_in_the_way_is_kept(tiny_base, tiny_grown, tmp_path):
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "mine").write_text("here")
    with pytest.raises(InputError, match="not empty"):
        compress_curve(asked(tiny_base, tiny_grown, tmp_path / "c"), (4.0,))


def test_ratios_as_text():
    assert parse_ratios("16, 8,2.5") == (2.5, 8.0, 16.0)
    for text in ("", "8,8", "8;16", "eight"):
        with pytest.raises(RecipeError, match="--curve"):
            parse_ratios(text)
