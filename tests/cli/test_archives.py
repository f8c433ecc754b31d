"""What came of a compression, in words. Run: pytest tests/cli/test_archives.py"""

from __future__ import annotations

import pytest

from deltakit_cli.archives import each, show_archive, show_curve, show_plan, show_plans

LOSSY = {"matrices": 2, "parameters": 100, "bytes": 200, "payload_bytes": 20, "ratio": 10.0, "bits_per_parameter": 1.6}
ARCHIVE = {
    "output": "a", "codec": "sign", "bytes": 1000, "file_ratio": 9.0, "payload": 900, "payload_ratio": 12.0,
    "bits_per_parameter": 1.3, "relative_error": 0.25, "matrices": 2, "lossy": LOSSY, "forecast": {},
    "data_free": None,
}  # fmt: skip
ROW = {"name": "w", "shape": [4, 5], "codec": "", "action": "exact", "budget": None}
PLAN = {
    "output": "a", "codec": "sign", "matrices": 1, "payload": 9, "payload_ratio": 8.0, "exact": 1, "unchanged": 0,
    "rows": [ROW], "forecast": {}, "data_free": None, "ratio": 8.0,
}  # fmt: skip


def said(capsys: pytest.CaptureFixture[str]) -> str:
    return " ".join(capsys.readouterr().out.split())


def test_an_archive_whose_matrices_are_all_coded(capsys: pytest.CaptureFixture[str]) -> None:
    show_archive(ARCHIVE)
    found = said(capsys)
    assert "ratio 12.00" in found
    assert "bit for bit" not in found
    assert "inputs" not in found


def test_a_ratio_that_inspect_will_not_show_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    show_archive({**ARCHIVE, "matrices": 5})
    found = said(capsys)
    assert "3 of them are unchanged or bit for bit; the other 2 are at ratio 10.00, which `deltakit inspect`" in found
    show_archive({**ARCHIVE, "lossy": {}})
    assert "2 of them are unchanged or bit for bit; none of the others differs" in said(capsys)


@pytest.mark.parametrize("count", [1, 4, 9])
def test_matrices_without_inputs_are_named(count: int, capsys: pytest.CaptureFixture[str]) -> None:
    names = [f"layer.{i}" for i in range(count)]
    show_archive({**ARCHIVE, "data_free": names})
    show_plan({**PLAN, "data_free": names})
    show_plans({"output": "c", "archives": [{**PLAN, "data_free": names}]})
    show_curve({"output": "c", "sections": [], "points": [{"file": "r", "data_free": names}]})
    found = said(capsys)
    first = ", ".join(names[:4]) + (" and 5 more" if count == 9 else "")
    assert [found.count(f"{count} matrices {end}") for end in ("were coded", "are coded", "of r were coded")] == [
        1,
        2,
        1,
    ]
    assert found.count(first) == 4


def test_several_archives_one_by_one(capsys: pytest.CaptureFixture[str]) -> None:
    each(show_archive)({"archives": [ARCHIVE, {**ARCHIVE, "output": "b"}]})
    found = said(capsys)
    assert "wrote a:" in found
    assert "wrote b:" in found
