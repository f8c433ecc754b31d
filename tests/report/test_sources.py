"""Files told apart by what they hold."""

import pytest

from deltakit.errors import InputError
from deltakit.report.sources import read_sources
from support.results import ROWS, comparison, result, write_json, write_losses


def test_each_kind_finds_its_place(tmp_path):
    folder = write_losses(tmp_path / "math")
    found = read_sources(
        [write_json(tmp_path / "r.json", result()), write_json(tmp_path / "d.json", comparison()), folder]
    )
    assert len(found.rows) == len(ROWS)
    assert [c.second for c in found.comparisons] == ["math"]
    assert [c.name for c in found.curves] == ["math"]
    assert found.measured[0]["settings"]["limit"] == 200


@pytest.mark.parametrize("text", ["{}", "[]", "3", '{"steps": {}}'])
def test_anything_else_is_refused(text, tmp_path):
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(InputError, match="nothing that a report can show"):
        read_sources([tmp_path / "x.json"])


def test_a_missing_file_is_told(tmp_path):
    with pytest.raises(InputError, match="No such file"):
        read_sources([tmp_path / "none.json"])
