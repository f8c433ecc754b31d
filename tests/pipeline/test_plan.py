"""Variables, words and the echoed line."""

import shlex
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deltakit.errors import InputError, RecipeError
from deltakit.pipeline.plan import Step, load_plan, make_plan, shell_line
from deltakit.pipeline.recipe import PipelineRecipe, StepRecipe


def plan(run: str, out: str | None = "o", **more):
    step = {"save": more.pop("save", None), "inputs": more.pop("inputs", ())}
    recipe = PipelineRecipe(pipeline="p", steps=(StepRecipe(name="s", run=run, **step),), **more)
    return make_plan(recipe, Path(out) if out else None, Path("recipes"))


def argv(run: str, **more) -> tuple[str, ...]:
    return plan(run, **more).steps[0].argv


def test_words_are_split_before_variables_are_filled():
    found = argv('eval "{base} + 0.5*{out}/a b" {base} -o {out}/r.json', variables={"base": "my base"})
    assert found == ("eval", "my base + 0.5*o/a b", "my base", "-o", "o/r.json")


def test_variables_may_use_those_above_them():
    words = {"root": "{out}/models", "math": "{root}/math", "density": 0.2, "steps": 300}
    assert argv("x {math} {density} {steps} {recipes}", variables=words)[1:] == (
        "o/models/math",
        "0.2",
        "300",
        "recipes",
    )


def test_double_braces_are_braces():
    assert argv("x {{a}}")[1] == "{a}"


def test_all_problems_at_once():
    steps = (
        StepRecipe(name="one", run="extract {bse} | tee log"),
        StepRecipe(name="two", run='deltakit eval "half'),
        StepRecipe(name="three", run="deltakit eval {", save="{nowhere}/x"),
    )
    recipe = PipelineRecipe(pipeline="p", steps=steps, variables={"base": "b", "late": "{later}"})
    with pytest.raises(RecipeError) as wrong:
        make_plan(recipe, Path("o"), Path("recipes"))
    details = "\n".join(wrong.value.details)
    for text in ("did you mean 'base'", "'|' is shell syntax", "No closing quotation", "leave the word deltakit out",
                 "a lone '{'", "no variable 'nowhere'", "no variable 'later'"):  # fmt: skip
        assert text in details


def test_the_output_folder_must_be_known():
    with pytest.raises(RecipeError, match="nowhere to write"):
        plan("ls", out=None)
    assert plan("ls", out=None, output="default").folder == Path("default")
    assert plan("ls", out="given", output="default").folder == Path("given")


def test_results_and_inputs_are_filled():
    found = plan("ls", results="{out}/r.json", inputs=("{out}/x",), save="{out}/y")
    assert found.results == Path("o/r.json")
    assert found.steps[0].inputs == (Path("o/x"),)
    assert found.steps[0].save == Path("o/y")


def test_shipped_recipes_are_named_as_short_as_can_be(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    recipe = PipelineRecipe(pipeline="p", output="o", steps=(StepRecipe(name="s", run="sft {recipes}/a.yaml"),))
    assert make_plan(recipe, None, tmp_path / "recipes").steps[0].argv[1] == "recipes/a.yaml"
    assert make_plan(recipe, None, Path("/usr/recipes")).steps[0].argv[1] == "/usr/recipes/a.yaml"


@given(st.lists(st.text(st.characters(codec="ascii", exclude_categories=("Cc",)), max_size=40), max_size=12))
def test_the_echoed_line_is_the_command(words):
    step = Step("s", ("eval", *words))
    assert shlex.split(shell_line(step).replace("\\\n", " ")) == ["deltakit", "eval", *words]


def test_long_commands_are_broken_between_words_and_saved_ones_redirect():
    text = shell_line(Step("s", ("eval", *(f"model-{i}" for i in range(40))), save=Path("a b.json")))
    assert text.endswith(" > 'a b.json'")
    assert max(map(len, text.splitlines())) <= 115
    assert all(line.endswith(" \\") for line in text.splitlines()[:-1])


def test_a_file_is_loaded_with_overrides(tmp_path):
    path = tmp_path / "p.yaml"
    path.write_text("deltakit: 1\npipeline: p\nvariables: {n: 1}\nsteps: [{name: s, run: 'x {n}'}]\n")
    assert load_plan(path, tmp_path, tmp_path, ["variables.n=2"]).steps[0].argv == ("x", "2")
    with pytest.raises(InputError):
        load_plan(tmp_path / "none.yaml", tmp_path, tmp_path)
