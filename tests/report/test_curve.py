"""Loss files."""

import pytest

from deltakit.errors import InputError
from deltakit.report.curve import read_curve
from support.results import write_losses


def test_a_folder_and_its_file_are_the_same_run(tmp_path):
    folder = write_losses(tmp_path / "math")
    found = read_curve(folder)
    assert found == read_curve(folder / "loss.jsonl")
    assert found.name == "math"
    assert found.training[0][0] == 10
    assert [step for step, _ in found.held_out] == [100, 200, 300]


@pytest.mark.parametrize("text", ["", "{}\n", "no json\n", '{"loss": 1.0}\n', '{"step": 1, "loss": NaN}\n', "[1]\n"])
def test_what_is_no_record_of_losses_is_refused(text, tmp_path):
    (tmp_path / "loss.jsonl").write_text(text)
    with pytest.raises(InputError, match="no record of losses|no losses in it"):
        read_curve(tmp_path)


def test_a_folder_without_losses_is_told(tmp_path):
    with pytest.raises(InputError, match="No such file"):
        read_curve(tmp_path)
