"""deltakit sparsify."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from deltakit_cli.main import main
from support.models import tiny_llama, tiny_tuned


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    base = tiny_llama(tmp_path_factory.mktemp("pair") / "base")
    return [str(base), str(tiny_tuned(base, base.parent / "math"))]


def run(*words: object) -> int:
    with pytest.raises(SystemExit) as stop:
        main(["sparsify", *map(str, words)])
    return int(stop.value.code or 0)


def test_a_file_is_written_and_described(pair: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "s.delta"
    assert run(*pair, "--each", "drop(density=0.1)", "-o", out, "--format", "json") == 0
    said = json.loads(capsys.readouterr().out)
    assert said["bytes"] == out.stat().st_size
    assert said["payload"] < said["bytes"]
    assert said["schema_version"] == 1


def test_seed_and_name_key_the_mask(pair: list[str], tmp_path: Path) -> None:
    outs = [tmp_path / f"{i}.delta" for i in range(4)]
    for out, more in zip(outs, [[], ["--seed", "42"], ["--seed", "1"], ["--name", "math"]], strict=True):
        assert run(*pair, "--each", "drop(density=0.5)", "-o", out, *more) == 0
    assert outs[0].read_bytes() == outs[1].read_bytes()
    assert len({o.read_bytes() for o in outs}) == 3


def test_the_dry_run_writes_nothing(pair: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(*pair, "--each", "trim(density=0.5)", "-o", tmp_path / "s.delta", "--dry-run") == 0
    assert "would write" in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("each", "code", "said"),
    [
        ("drop(density=2)", 2, "density 2 is not in (0, 1]"),
        ("dorp(density=0.5)", 2, "did you mean 'drop'"),
        ("drop(density=0.5)|drop(density=0.2)", 2, "two drops"),
        ("drop(density=1.0)", 6, "density 1"),
    ],
)
def test_refusals(
    each: str, code: int, said: str, pair: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*pair, "--each", each, "-o", tmp_path / "s.delta") == code
    assert said in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_an_output_in_the_way_needs_overwrite(pair: list[str], tmp_path: Path) -> None:
    out = tmp_path / "s.delta"
    words = [*pair, "--each", "drop(density=0.1)", "-o", out]
    assert [run(*words), run(*words), run(*words, "--overwrite")] == [0, 3, 0]
