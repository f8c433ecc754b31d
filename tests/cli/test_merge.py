"""deltakit merge."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest

from deltakit.checkpoint.open import open_checkpoint
from deltakit.delta.open import open_model
from deltakit_cli.main import main
from support.models import tiny_llama, tiny_tuned
from support.tensors import whole

Capture = pytest.CaptureFixture[str]
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with base, math, chat and grown (one more vocabulary row)."""
    folder = tmp_path_factory.mktemp("merge") / "models"
    base = tiny_llama(folder / "base")
    tiny_tuned(base, folder / "math", 1)
    tiny_tuned(base, folder / "chat", 2)
    tiny_tuned(base, folder / "grown", 3, extra_rows=1)
    return folder


@pytest.fixture(autouse=True)
def here(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(models.parent)


def run(*words: object) -> int:
    with pytest.raises(SystemExit) as stop:
        main(["merge", *map(str, words)])
    return int(stop.value.code or 0)


def quick(models: Path, *more: object) -> list[object]:
    return ["--base", models / "base", "--model", f"{models}/math:0.6", "--model", f"{models}/chat:0.4", *more]


def test_the_quick_form_is_the_expression(models: Path, tmp_path: Path, capsys: Capture) -> None:
    assert run(*quick(models), "-o", tmp_path / "out", "--format", "json") == 0
    said = json.loads(capsys.readouterr().out)
    assert said["kind"] == "model"
    want = open_model(f"{models}/base + 0.6*{models}/math + 0.4*{models}/chat").tensors
    assert whole(open_checkpoint(str(tmp_path / "out"))) == whole(want)


def test_a_recipe_and_the_quick_form_give_the_same_weights(models: Path, tmp_path: Path) -> None:
    recipe = tmp_path / "r.yaml"
    recipe.write_text(
        f"deltakit: 1\nmethod: dare_ties\nbase: {models}/base\ndensity: 0.5\ntrim_density: 0.4\nlambda: 0.9\nseed: 7\n"
        f"models:\n  - {{model: {models}/math, name: math, weight: 0.6}}\n  - {{model: {models}/chat, weight: 0.4}}\n"
    )
    words = [
        "--base", models / "base", "--model", f"math={models}/math:0.6", "--model", f"{models}/chat:0.4", "--method",
        "dare_ties", "--density", 0.5, "--trim-density", 0.4, "--lambda", 0.9, "--seed", 7,
    ]  # fmt: skip
    assert run(*words, "-o", tmp_path / "quick") == 0
    assert run(recipe, "-o", tmp_path / "file") == 0
    assert run(recipe, "-o", tmp_path / "set", "--set", "seed=8") == 0
    files = [(tmp_path / n / "model.safetensors").read_bytes() for n in ("quick", "file", "set")]
    assert files[0] == files[1] != files[2]


@pytest.mark.parametrize(
    "more", [["--method", "ties"], ["--method", "linear"], ["--method", "dare_linear", "--density", "0.5"]]
)
def test_methods(more: list[str], models: Path, tmp_path: Path) -> None:
    assert run(*quick(models, *more), "-o", tmp_path / "out") == 0


def test_slerp_takes_two_models(models: Path, tmp_path: Path) -> None:
    words = ["--model", models / "math", "--model", models / "chat", "--method", "slerp", "--t", 0.5]
    assert run(*words, "-o", tmp_path / "out") == 0


def test_a_delta_output_is_an_expression(models: Path, tmp_path: Path, capsys: Capture) -> None:
    assert run(*quick(models), "-o", tmp_path / "sum.delta") == 0
    assert "wrote the expression" in capsys.readouterr().out


def test_a_merge_becomes_an_adapter(models: Path, tmp_path: Path, capsys: Capture) -> None:
    words = quick(models, "--lora", 4, "-o", tmp_path / "lora")
    assert run(*words, "--dry-run") == 0
    assert "would write the adapter" in capsys.readouterr().out
    assert run(*words) == 0
    assert "wrote the adapter" in capsys.readouterr().out
    assert json.loads((tmp_path / "lora/adapter_config.json").read_text())["r"] == 4
    assert run(*quick(models), "--lora", "exact", "-o", tmp_path / "exact") == 3
    assert run(*quick(models), "--lora", "some", "-o", tmp_path / "other") == 2


def test_the_dry_run_shows_every_tensor(models: Path, tmp_path: Path, capsys: Capture) -> None:
    assert run(*quick(models), "-o", tmp_path / "out", "--dry-run") == 0
    said = capsys.readouterr().out
    assert "model.layers.1.mlp.up_proj.weight" in said
    assert "free disk" in said
    assert list(tmp_path.iterdir()) == []


def test_dropped_rows_are_told(models: Path, tmp_path: Path, capsys: Capture) -> None:
    words = quick(models, "--model", f"new={models}/grown:0.1")
    assert run(*words, "-o", tmp_path / "out") == 3
    assert "new: lm_head.weight has 1 rows that the base lacks" in capsys.readouterr().err
    assert run(*words, "--vocabulary", "base", "-o", tmp_path / "out") == 0
    assert "new: lm_head.weight has 1 rows that the base lacks; dropped" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("more", "code", "said"),
    [
        (["--method", "tise"], 2, "did you mean 'ties'"),
        (["--method", "dare_ties"], 2, "needs density"),
        (["--method", "dare_ties", "--density", "1.5"], 2, "density 1.5"),
        (["--density", "0.5"], 2, "method 'task_arithmetic' has no parameter 'density'"),
        (["--lambda", "0"], 6, "no effect"),
        (["--model", "nowhere"], 3, "nowhere"),
        (["--set", "seed=1"], 2, "--set changes a recipe file"),
        (["--dtype", "int8"], 2, "int8"),
    ],
)
def test_refusals(more: list[str], code: int, said: str, models: Path, tmp_path: Path, capsys: Capture) -> None:
    assert run(*quick(models, *more), "-o", tmp_path / "out") == code
    assert said in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_misspelt_recipe_key_names_its_line(models: Path, tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "r.yaml").write_text("deltakit: 1\nmethod: ties\nbase: b\ndenisty: 0.2\nmodels: []\n")
    assert run(tmp_path / "r.yaml", "-o", tmp_path / "out") == 2
    said = capsys.readouterr().err
    assert "line 4" in said
    assert "did you mean 'density'" in said


@pytest.mark.parametrize("recipe", sorted((ROOT / "recipes" / "merge").glob("*.yaml")), ids=lambda p: p.stem)
def test_the_shipped_recipes_run(recipe: Path, models: Path, tmp_path: Path) -> None:
    first = recipe.read_text().splitlines()[0]
    assert first == f"# deltakit merge recipes/merge/{recipe.name} -o merged"
    assert run(recipe, "-o", tmp_path / "merged") == 0


def test_the_how_to_runs(models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "models").symlink_to(models)
    (tmp_path / "recipes").symlink_to(ROOT / "recipes")
    monkeypatch.chdir(tmp_path)
    lines = (ROOT / "docs" / "merging.md").read_text().splitlines()
    commands = [shlex.split(line)[1:] for line in lines if line.startswith("deltakit ")]
    assert len(commands) >= 9
    for words in commands:
        with pytest.raises(SystemExit) as stop:
            main(words)
        assert stop.value.code == 0, words


def test_a_device_that_is_not_there_is_refused_before_anything_is_read(
    models: Path, tmp_path: Path, capsys: Capture
) -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("there is a CUDA device")
    assert run(*quick(models), "--device", "cuda", "-o", tmp_path / "out") == 2
    assert "leave --device out" in capsys.readouterr().err
