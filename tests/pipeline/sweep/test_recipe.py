"""Sweep recipes: strict, with suggestions, the merge inline or in its own file."""

from pathlib import Path

import pytest

from deltakit.errors import InputError, RecipeError
from deltakit.pipeline.sweep.recipe import load_sweep, merge_of

HEAD = "deltakit: 1\nsearch: {lambda: [0.5]}\ntasks: [toy_math]\n"
MERGE = "merge:\n  method: ties\n  base: b\n  density: 0.3\n  models: [{model: m}]\n"


def written(folder: Path, text: str) -> Path:
    path = folder / "sweep.yaml"
    path.write_text(text)
    return path


def test_the_merge_stands_in_it(tmp_path: Path) -> None:
    found = load_sweep(written(tmp_path, HEAD + MERGE), ["merge.density=0.4", "search.lambda=[0.1, 0.2]"])
    assert merge_of(found) == {"method": "ties", "base": "b", "density": 0.4, "models": [{"model": "m"}]}
    assert found.search == {"lambda": [0.1, 0.2]}
    assert (found.sampler, found.tasks) == ("grid", {"toy_math": 1.0})
    assert (found.select.split, found.select.seed, found.test.split, found.test.seed) == ("train", 1, "test", 0)


def test_the_merge_stands_in_a_file_of_its_own(tmp_path: Path) -> None:
    merge = tmp_path / "merge.yaml"
    merge.write_text("deltakit: 1\nbase: b\nlambda: 0.5\nmodels: [{model: m, weight: 0.2}]\n")
    found = load_sweep(written(tmp_path, f"{HEAD}recipe: {merge}\n"))
    assert merge_of(found) == {"base": "b", "lambda": 0.5, "models": [{"model": "m", "weight": 0.2}]}
    merge.write_text("merge_method: linear\nmodels: [{model: m, parameters: {weight: 1}}]\n")
    with pytest.raises(RecipeError, match="a mergekit config, which a sweep does not take"):
        merge_of(found)
    merge.unlink()
    with pytest.raises(InputError, match="No such file"):
        merge_of(found)


def test_tasks_may_have_weights(tmp_path: Path) -> None:
    text = HEAD.replace("[toy_math]", "{toy_math: 2, toy_chat: 0.5}") + MERGE
    assert load_sweep(written(tmp_path, text)).tasks == {"toy_math": 2.0, "toy_chat": 0.5}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (HEAD, "give either merge: .* or recipe:"),
        (HEAD + MERGE + "recipe: x.yaml\n", "give either merge: .* or recipe:"),
        (HEAD + MERGE + "smapler: grid\n", "unknown key 'smapler'"),
        (HEAD + MERGE.replace("density", "denisty"), "line 7: unknown key 'merge.denisty'"),
        (HEAD.replace("[toy_math]", "[toy_math, toy_math]") + MERGE, "named twice: toy_math"),
        (HEAD.replace("[toy_math]", "{toy_math: 0}") + MERGE, "greater than 0"),
        (HEAD.replace("[toy_math]", "{toy_math: .nan}") + MERGE, "not a finite number"),
        (HEAD.replace("[toy_math]", "[]") + MERGE, "tasks: "),
        (HEAD.replace("{lambda: [0.5]}", "{}") + MERGE, "search: "),
        (HEAD.replace("[0.5]", "[.inf]") + MERGE, "not a finite number"),
        (HEAD + MERGE + "select: {limit: 0}\n", "select.limit"),
        (HEAD + MERGE + "select: {splt: train}\n", "unknown key 'select.splt'; did you mean|unknown key 'select.splt'"),
        (HEAD.replace("deltakit: 1\n", "") + MERGE, "deltakit: 1"),
    ],
)
def test_what_is_wrong_in_it_is_said(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(RecipeError, match=said):
        load_sweep(written(tmp_path, text))
