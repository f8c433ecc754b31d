"""Merging, fault by fault (2 of 4): what is wrong with a recipe, or with a mergekit config."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from deltakit.checkpoint.open import open_checkpoint
from support.cli import call
from support.merge_world import QUICK, family, merged, refused, way
from support.tensors import whole

OURS = """deltakit: 1
method: ties
base: {0}/base
density: 0.7
models:
  - model: {0}/math
    weight: 0.6
  - model: {0}/chat
"""
THEIRS = """merge_method: ties
base_model: {0}/base
models:
  - model: {0}/math
    parameters:
      weight: 0.6
      density: 0.7
  - model: {0}/chat
    parameters: {{weight: 1, density: 0.7}}
dtype: bfloat16
"""
FORMS = {"recipe": OURS, "config": THEIRS}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return family(tmp_path_factory.mktemp("recipes"))


def written(world: Path, text: str | bytes) -> Path:
    path = world / "r.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


@pytest.mark.parametrize(
    ("form", "old", "new", "words"),
    [
        ("recipe", "density: 0.7", "denisty: 0.7", ["line 4", "denisty", "did you mean 'density'"]),
        ("recipe", "    weight: 0.6", "    wieght: 0.6", ["line 7", "wieght", "did you mean 'weight'"]),
        ("recipe", "density: 0.7", "frobnicate: 0.7", ["line 4", "frobnicate"]),
        ("recipe", "density: 0.7", "density: 0.7\ndensity: 0.2", ["line 5", "duplicate key 'density'", "line 4"]),
        ("recipe", "    weight: 0.6", "    lambda: 0.6", ["line 7", "lambda"]),
        ("recipe", "method: ties", "method: tise", ["tise", "did you mean 'ties'"]),
        ("config", "dtype: bfloat16", "dtype: bfloat16\ndtype: float16", ["line 11", "duplicate key 'dtype'", "10"]),
        ("config", "      weight: 0.6", "      weight: 0.6\n      weight: 1", ["line 7", "duplicate key 'weight'"]),
        ("config", "merge_method: ties", "merge_method: tise", ["tise", "did you mean 'ties'"]),
    ],
)  # fmt: skip
def test_an_unknown_misspelt_duplicate_or_misplaced_yaml_key(
    world: Path, form: str, old: str, new: str, words: list[str], tmp_path: Path
) -> None:
    """Refused with its line and what was probably meant."""
    recipe = written(world, FORMS[form].format(world).replace(old, new, 1))
    refused(call("merge", recipe, "-o", tmp_path / "out"), 2, *words)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("dtype: bfloat16", "dtpye: bfloat16", ["line 10", "dtpye", "did you mean 'dtype'"]),
        ("dtype: bfloat16", "dtype: bfloat16\ndensity: 0.5", ["line 11", "density"]),
        ("      density: 0.7", "      denisty: 0.7", ["denisty"]),
    ],
)
def test_what_mergekit_ignores_in_its_configs_is_told(
    world: Path, old: str, new: str, words: list[str], tmp_path: Path
) -> None:
    """An unknown, misspelt or misplaced key of a config: there without a word, here with its line."""
    text = THEIRS.format(world).replace(old, new, 1)
    said = "\n".join(merged(["merge", written(world, text)], tmp_path / "out")["notes"])
    assert all(word in said for word in words), said


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("weight: 0.6", "weight: 1:30", ["1:30"]),
        ("weight: 0.6", "weight: .inf", ["line 7", ".inf"]),
        ("weight: 0.6", "weight: 1e999", ["line 7", "1e999"]),
        ("    weight: 0.6", "\tweight: 0.6", ["line 7"]),
    ],
)  # fmt: skip
def test_on_infinity_and_tabs(world: Path, form: str, old: str, new: str, words: list[str], tmp_path: Path) -> None:
    text = FORMS[form].format(world).replace(old, new, 1)
    words = [w.replace("line 7", "line 6") for w in words] if form == "config" else words
    refused(call("merge", written(world, text), "-o", tmp_path / "out"), 2, *words)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("spelled", "plain"),
    [
        (lambda t: t.replace("0.6", "6e-1"), None),
        (lambda t: t.replace("0.6", "1e-4"), lambda t: t.replace("0.6", "0.0001")),
        (lambda t: t.replace("0.6", "0002"), lambda t: t.replace("0.6", "2")),
        (lambda t: "\ufeff" + t, None),
        (lambda t: t.replace("\n", "\r\n"), None),
        (lambda t: f"# tabs in a remark:\t\n{t}", None),
    ],
    ids=["6e-1", "1e-4", "0002", "BOM", "CRLF", "tabs in remarks"],
)  # fmt: skip
def test_1e_4_0123_bom_and_crlf(world: Path, form: str, spelled, plain, tmp_path: Path) -> None:
    """Typed as YAML 1.2 has them: the same bytes as the plain spelling."""
    text = FORMS[form].format(world)
    merged(["merge", written(world, spelled(text))], tmp_path / "odd")
    merged(["merge", written(world, plain(text) if plain else text)], tmp_path / "plain")
    assert whole(open_checkpoint(tmp_path / "odd")) == whole(open_checkpoint(tmp_path / "plain"))


@pytest.mark.parametrize(("odd", "number"), [("on", "1"), ("'0.6 '", "0.6")])
def test_on_and_quoted_numbers(world: Path, odd: str, number: str, tmp_path: Path) -> None:
    """Words to a recipe of ours; numbers to mergekit, and so in its configs."""
    refused(call("merge", written(world, OURS.format(world).replace("0.6", odd)), "-o", tmp_path / "out"), 2, "line 7")
    for name, value in (("odd", odd), ("plain", number)):
        merged(["merge", written(world, THEIRS.format(world).replace("0.6", value))], tmp_path / name)
    assert whole(open_checkpoint(tmp_path / "odd")) == whole(open_checkpoint(tmp_path / "plain"))


BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 10)
)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("hostile", ["alias bomb", "alias of itself", "10 MB", "deep", "python tag", "python name"])
def test_an_alias_bomb_10_mb_of_yaml_and_python_tags(world: Path, form: str, hostile: str, tmp_path: Path) -> None:
    """Refused at once; tags never run. (mergekit configs may hold anchors, written out up to a cap.)"""
    canary = tmp_path / "canary"
    text = FORMS[form].format(world)
    text += {
        "alias bomb": BOMB,
        "alias of itself": "a: &a [*a]\n",
        "10 MB": "# " + "x" * (10 << 20),
        "deep": "a: " + "[" * 20_000 + "]" * 20_000,
        "python tag": f"a: !!python/object/apply:os.system ['touch {canary}']\n",
        "python name": "a: !!python/name:os.system\n",
    }[hostile]
    recipe = written(world, text)
    call("merge", written(world, "merge_method: x\n"), "-o", tmp_path / "out")  # everything is imported
    written(world, text)
    begin = time.process_time()
    done = call("merge", recipe, "-o", tmp_path / "out")
    spent = time.process_time() - begin
    refused(done, 2, "r.yaml")
    assert spent < 1, "some tenths of a second, of processor time"
    assert not canary.exists()
    assert not (tmp_path / "out").exists()


def test_anchors_of_mergekit_configs_are_no_fault(world: Path, tmp_path: Path) -> None:
    text = (
        THEIRS.format(world)
        .replace("{weight: 1, density: 0.7}", "*p")
        .replace("    parameters:\n", "    parameters: &p\n")
    )
    merged(["merge", written(world, text)], tmp_path / "anchored")
    plain = THEIRS.format(world).replace("weight: 1,", "weight: 0.6,")
    merged(["merge", written(world, plain)], tmp_path / "plain")
    assert whole(open_checkpoint(tmp_path / "anchored")) == whole(open_checkpoint(tmp_path / "plain"))


@pytest.mark.parametrize("density", ["0", "1.2", "-1", "nan"])
@pytest.mark.parametrize("method", ["ties", "dare_linear", "dare_ties", "della", "breadcrumbs"])
def test_density_0_1_2_minus_1_or_nan(world: Path, method: str, density: str, tmp_path: Path) -> None:
    """Refused with the reason. Where 0 is a share that may be kept, in mergekit's dialect mostly, nothing has an
    effect."""
    assert call(*way(world, "sum"), "--method", method, "--density", density, "-o", tmp_path / "out").code in (2, 6)
    for form in (OURS, THEIRS):
        value = ".nan" if density == "nan" else density
        text = form.format(world).replace("ties", method, 1).replace("density: 0.7", f"density: {value}")
        done = call("merge", written(world, text), "-o", tmp_path / "out")
        nothing = density == "0" and (method == "breadcrumbs" or (form == THEIRS and method != "della"))
        refused(done, 6 if nothing else 2, "no effect" if nothing else value if density == "nan" else "density")
    assert not (tmp_path / "out").exists()


def test_density_1_keeps_everything(world: Path, tmp_path: Path) -> None:
    """TIES without a trim; DARE that drops nothing is task arithmetic."""
    for name, method in (("dare", "dare_linear"), ("sum", "task_arithmetic")):
        words = [*way(world, "sum"), "--method", method, *(["--density", 1] if name == "dare" else [])]
        merged(words, tmp_path / name)
    assert whole(open_checkpoint(tmp_path / "dare")) == whole(open_checkpoint(tmp_path / "sum"))
    merged([*way(world, "sum"), *QUICK["ties"][:2], "--density", 1], tmp_path / "ties")


def weighed(world: Path, method: str, one: object, two: object) -> list[object]:
    base = [] if method == "linear" else ["--base", world / "base"]
    return [
        "merge",
        *base,
        "--model",
        f"{world / 'math'}:{one}",
        "--model",
        f"{world / 'chat'}:{two}",
        "--method",
        method,
    ]


def test_weights_that_sum_to_0_where_they_are_normalised(world: Path, tmp_path: Path) -> None:
    for method in ("linear", "ties"):
        words = weighed(world, method, 1, -1)
        done = call(*words, "-o", tmp_path / "out")
        refused(done, 2, "weights", "0")
    config = THEIRS.format(world).replace("weight: 1,", "weight: -0.6,").replace("ties", "linear")
    config = config.replace(f"base_model: {world}/base\n", "").replace("      density: 0.7\n", "")
    done = call("merge", written(world, config.replace(", density: 0.7", "")), "-o", tmp_path / "out")
    refused(done, 2, "weights", "0")
    assert not (tmp_path / "out").exists()


def test_weights_that_are_no_numbers(world: Path, tmp_path: Path) -> None:
    for bad in ("nan", "inf", "x"):
        assert call(*weighed(world, "task_arithmetic", bad, 1), "-o", tmp_path / "out").code in (2, 3)
    assert not (tmp_path / "out").exists()


def test_negative_weights_subtract(world: Path, tmp_path: Path) -> None:
    """base + math - chat, as documented."""
    merged(weighed(world, "task_arithmetic", 1, -1), tmp_path / "out")
    made = f"{world}/base + {world}/math - {world}/chat"
    from deltakit.delta.open import open_model

    assert whole(open_checkpoint(tmp_path / "out")) == whole(open_model(made).tensors)
