import pytest

from deltakit.errors import RecipeError
from deltakit.report.paired import compare
from deltakit.report.paired.ours import read_ours
from deltakit_cli.paired import check_reference, show_compared
from support.paired import paired_result


def test_a_comparison_is_shown_with_its_tests(capsys: pytest.CaptureFixture[str]) -> None:
    show_compared(compare(read_ours(paired_result({"base": "1100", "math": "1111"}), "r.json")), show=1)
    shown = capsys.readouterr().out
    assert "McNemar" in shown


@pytest.mark.parametrize(
    ("against", "names", "says"),
    [("bas", ["base", "math"], "no model of that name"), ("base", ["base"], "one model alone")],
)
def test_a_reference_is_checked_before_anything_runs(against: str, names: list[str], says: str) -> None:
    with pytest.raises(RecipeError, match=says):
        check_reference(against, names)
    check_reference("base", ["base", "math"])
