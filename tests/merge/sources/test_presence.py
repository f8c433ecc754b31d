"""Models that are not there are named together."""

from __future__ import annotations

from pathlib import Path

import pytest

from deltakit.errors import InputError
from deltakit.merge.sources.presence import check_present
from support.cli import call
from support.merging import family


def test_several_are_named_at_once_and_one_is_left_to_the_opener(tmp_path: Path) -> None:
    base, _ = family(tmp_path, 1)
    with pytest.raises(InputError) as wrong:
        check_present([f"{base} + 0.5*./no/math", "./no/chat", base, "./no/chat"])
    assert wrong.value.details == ("./no/math", "./no/chat")
    check_present([base, "./no/chat"])


def test_hub_ids_are_no_paths() -> None:
    check_present(["org/one", "org/two@main"])


def test_recipes_and_configs_say_all_at_once(tmp_path: Path) -> None:
    base, _ = family(tmp_path, 1)
    (tmp_path / "config.yml").write_text(
        f"merge_method: linear\nmodels:\n- {{model: {tmp_path}/x1, parameters: {{weight: 1}}}}\n"
        f"- {{model: {tmp_path}/x2, parameters: {{weight: 1}}}}\n"
    )
    for words in (
        ["--base", base, "--model", f"{tmp_path}/x1", "--model", f"{tmp_path}/x2"],
        [tmp_path / "config.yml"],
    ):
        done = call("merge", *words, "-o", tmp_path / "out")
        assert done.code == 3
        assert "x1" in done.err
        assert "x2" in done.err
