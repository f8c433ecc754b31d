"""A recipe, a mergekit config or options: each is told apart, and what does not fit together is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from deltakit.errors import RecipeError
from deltakit.merge.plan.assemble import Assembly
from deltakit.merge.plan.plan import Plan
from deltakit.merge.plan.request import is_config, plan_file, plan_request, request_models
from support.merging import family


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    base, models = family(tmp_path, 2)
    items = "".join(f"- model: {m}\n" for m in models)
    ours, theirs = tmp_path / "ours.yaml", tmp_path / "theirs.yml"
    ours.write_text(f"deltakit: 1\nbase: {base}\nmodels:\n{items}")
    theirs.write_text(
        f"merge_method: task_arithmetic\nbase_model: {base}\nparameters: {{weight: 0.5}}\nmodels:\n{items}"
    )
    return ours, theirs


def test_files_are_told_apart_by_their_keys(files: tuple[Path, Path], tmp_path: Path) -> None:
    ours, theirs = files
    assert (is_config(ours), is_config(theirs)) == (False, True)
    (tmp_path / "neither.yaml").write_text("method: ties\n")
    (tmp_path / "json.yaml").write_text('{\n "deltakit": 1,\n "models": []\n}')
    (tmp_path / "flow.yml").write_text('{"merge_method": "linear", "models": []}')
    found = [is_config(tmp_path / n) for n in ("neither.yaml", "json.yaml", "flow.yml")]
    assert found == [False, False, True]
    assert isinstance(plan_file(ours), Plan)
    assert isinstance(plan_request(theirs, dialect="paper"), Assembly)


def test_both_name_their_models_base_first(files: tuple[Path, Path], tmp_path: Path) -> None:
    want = tuple(str(tmp_path / n) for n in ("base", "m0", "m1"))
    assert request_models(files[0]) == request_models(files[1]) == want


def test_a_config_takes_a_seed_and_allowances_only(files: tuple[Path, Path]) -> None:
    given = {"seed": 7, "allow_unrelated": True, "allow_nonfinite": True}
    made = plan_request(files[1], options=given, dialect="paper")
    assert made.manifest()["seed"] == 7
    assert made.allow_nonfinite
    with pytest.raises(RecipeError, match=r"takes no options beside it \(lambda, model, set\)"):
        plan_request(files[1], ["x"], {"lambda": 2.0}, ["a=b"], dialect="paper")


def test_allowances_hold_for_recipes_and_options_alike(files: tuple[Path, Path], tmp_path: Path) -> None:
    assert plan_request(files[0], options={"allow_nonfinite": True}).allow_nonfinite
    made = plan_request(None, [str(tmp_path / "m0")], {"base": str(tmp_path / "base"), "allow_nonfinite": True})
    assert made.allow_nonfinite


def test_an_unknown_dialect_is_named(files: tuple[Path, Path]) -> None:
    with pytest.raises(RecipeError, match="'mergekitt'") as wrong:
        plan_request(files[1], dialect="mergekitt")
    assert "mergekit" in wrong.value.remedy
