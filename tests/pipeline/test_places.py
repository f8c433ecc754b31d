"""What a command reads and writes."""

from pathlib import Path

import pytest

from deltakit.pipeline.places import inputs_of, outputs_of


@pytest.fixture(autouse=True)
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("base", "models"):
        (tmp_path / name).mkdir()
    for name in ("a.delta", "b.delta", "r.yaml", "out.json", "models/m"):
        (tmp_path / name).write_text(name)


def names(*argv: str) -> list[str]:
    return [str(p) for p in inputs_of(argv)]


def test_outputs_are_named_by_their_options():
    argv = ["report", "r", "-o", "x.html", "--plots=figures", "--title", "-o-"]
    assert outputs_of(argv) == [Path("x.html"), Path("figures")]
    assert outputs_of(["merge", "--output", "m"]) == [Path("m")]
    assert outputs_of(["merge", "-o"]) == []


@pytest.mark.parametrize(
    ("argv", "found"),
    [
        (("extract", "base", "models/m", "-o", "a.delta"), ["base", "models/m"]),
        (("eval", "base + 0.7*a.delta - b.delta", "--tasks", "t"), ["a.delta", "b.delta", "base"]),
        (("eval", "both: x=base + 0.7*a.delta", "base=base"), ["a.delta", "base"]),
        (("merge", "--base", "base", "--model", "models/m:0.5"), ["base", "models/m"]),
        (("merge", "--base=base"), ["base"]),
        (("sft", "r.yaml", "-o", "base"), ["r.yaml"]),
        (("eval", "0.5*a.delta", "+ x", "no such", "x" * 5000), []),
        (("base",), []),
    ],
)
def test_inputs_are_what_exists_and_is_named(argv, found):
    assert names(*argv) == found


def test_an_output_that_exists_is_no_input():
    assert names("eval", "base", "-o", "out.json", "./out.json") == ["base"]
