"""Models that do not come from their base: noticed from a sample of the weights, refused where they share nothing."""

import json
import shutil

import numpy as np
import pytest

from deltakit.checkpoint.open import open_checkpoint
from deltakit.delta.open import open_model
from deltakit.errors import MismatchError
from deltakit.merge.sources.parents import Kinship, check_parents, kinship
from deltakit.tensors import Mapped
from support.cli import call
from support.merging import family, plan
from support.models import tiny_llama, tiny_tuned
from support.tensors import memory, normal, tensor

SHAPES = {"a.weight": (64, 48), "b.weight": (40, 200), "embed.weight": (300, 16), "conv.weight": (16, 4, 3, 3)}
ONES = {"norm.weight": np.ones(64), "bias": np.zeros(64), "zeros.weight": np.zeros((32, 32)), "small.weight": [[1, 2]]}


def model(seed, near=None, size=0.0, dtype="BF16", **more):
    """A model of random matrices; with `near` it is that model's weights, moved."""
    made = {n: normal(s, seed + i) * 0.02 for i, (n, s) in enumerate(SHAPES.items())}
    if near is not None:
        made = {n: near[n] + size * v for n, v in made.items()}
    return {**made, **more}


def stored(arrays, dtype="BF16"):
    return memory({n: tensor(v, dtype) for n, v in {**ONES, **arrays}.items()})


def test_fine_tunes_are_near_and_strangers_orthogonal():
    base = model(0)
    near = kinship(stored(base), stored(model(50, base, 0.1)))
    assert near.matrices == 4
    assert near.cosine > 0.99
    assert near.ratio == pytest.approx(0.1, rel=0.1)
    assert not near.unrelated
    assert not near.far
    apart = kinship(stored(base), stored(model(50)))
    assert abs(apart.cosine) < 0.05
    assert apart.ratio == pytest.approx(2**0.5, rel=0.05)
    assert apart.unrelated


def test_the_sample_gives_the_whole_models_numbers():
    base, tuned = model(0), model(50, model(0), 0.3)
    found = kinship(stored(base, "F32"), stored(tuned, "F32"))
    ratios = [np.linalg.norm(tuned[n] - base[n]) / np.linalg.norm(base[n]) for n in SHAPES]
    assert found.ratio == pytest.approx(float(np.median(ratios)), rel=0.03)
    moved = np.concatenate([np.abs(tuned[n] - base[n]).ravel() for n in SHAPES])
    assert found.delta == pytest.approx(float(np.median(moved)), rel=0.05)


def test_norms_biases_zeros_and_tiny_tensors_say_nothing():
    assert kinship(stored({}), stored({})) is None
    assert check_parents(stored({}), [("a", stored({}))]).kinships == {}


def test_a_model_that_changed_a_few_tensors_is_related():
    """A head trained anew, a permuted vocabulary, or an adapter on some matrices leave most others alone."""
    base = model(0)
    assert not kinship(stored(base), stored({**base, "embed.weight": base["embed.weight"][::-1]})).unrelated
    same = kinship(stored(base), stored(base))
    assert (same.ratio, same.delta) == (0.0, 0.0)
    assert not same.unrelated


def test_only_shared_rows_and_names_are_compared():
    base = model(0)
    grown = {**model(9, base, 0.01), "embed.weight": np.concatenate([base["embed.weight"], normal((50, 16), 3)])}
    grown["extra.weight"] = normal((64, 64), 8)
    found = kinship(stored(base), stored(grown))
    assert found.cosine > 0.99
    assert found.matrices == 4


def test_the_read_is_bounded():
    """However large the model: at most 32 matrices, 8 stretches each."""
    base = memory({f"layers.{i}.weight": tensor(normal((600, 50), i)) for i in range(40)})
    pulled = []

    def pull(name, lo, hi):
        pulled.append((name, hi - lo))
        return base.buffer(name, lo, hi)

    kinship(Mapped(base.specs, pull), base)
    assert len(pulled) == 32 * 8
    assert {rows for _, rows in pulled} == {20}
    assert pulled[0][0] == "layers.0.weight"
    assert pulled[-1][0] == "layers.9.weight"


def test_far_models_are_warnings_and_errors_when_strict():
    base = model(0)
    far = [("math", stored(model(50, base, 0.8)))]
    found = check_parents(stored(base), far)
    assert len(found.warnings) == 1
    assert "math: far from the base" in found.warnings[0]
    assert "difference 0.80" in found.warnings[0]
    with pytest.raises(MismatchError, match="strict"):
        check_parents(stored(base), far, strict=True)


def test_large_deltas_count_beside_a_ratio():
    assert Kinship(0.3, 0.95, 0.02, 5).far
    assert not Kinship(0.3, 0.95, 0.005, 5).far
    assert not Kinship(0.05, 0.99, 0.1, 5).far


def test_all_unrelated_models_are_named_with_the_reason():
    base = model(0)
    models = [("near", stored(model(9, base, 0.1))), *((n, stored(model(i))) for i, n in [(50, "one"), (70, "two")])]
    with pytest.raises(MismatchError, match="trained apart") as caught:
        check_parents(stored(base), models)
    assert [d.split(":")[0] for d in caught.value.details] == ["one", "two"]
    assert "--allow-unrelated (in a recipe: allow_unrelated: true)" in caught.value.remedy
    assert len(check_parents(stored(base), models, allow_unrelated=True).warnings) == 2


def test_deltas_and_adapters_are_judged_as_the_models_they_make(tmp_path):
    base = tiny_llama(tmp_path / "base")
    tuned = tiny_tuned(base, tmp_path / "tuned")
    made = open_model(f"{base} + 0.5*{tuned}").tensors
    assert 0 < kinship(open_checkpoint(base), made).ratio < 0.1


def test_the_babyllamas_are_refused(shared_models, tmp_path):
    one, two = (shared_models / f"babyllama-{n}" for n in ("tok105", "tok361"))
    done = call("merge", "--base", one, "--model", two, "-o", tmp_path / "out")
    assert done.code == 3
    assert "trained apart" in done.err
    assert "cosine 0.0" in done.err
    done = call("merge", "--model", one, "--model", two, "--method", "linear", "-o", tmp_path / "out")
    assert done.code == 3
    assert "trained apart" in done.err
    assert "that the base lacks" in done.err, "the vocabularies' mismatch is said in the same breath"
    assert not (tmp_path / "out").exists()
    argv = ("merge", "--base", one, "--model", two, "--vocabulary", "base", "--allow-unrelated", "-o", tmp_path / "out")
    done = call(*argv, "--format", "json")
    assert done.code == 0, done.err
    assert "unrelated" in json.loads(done.out)["warnings"][0]


def train(folder, seed, steps=25, lr=3e-3):
    """Some steps on a sequence that can be learnt."""
    import torch
    from transformers import LlamaForCausalLM

    net = LlamaForCausalLM.from_pretrained(folder, dtype=torch.float32)
    torch.manual_seed(seed)
    optimizer = torch.optim.AdamW(net.parameters(), lr=lr)
    losses = []
    for _ in range(steps):
        ids = (torch.randint(4, 80, (8, 1)) + torch.arange(12)) % 76 + 4
        loss = net(input_ids=ids, labels=ids).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]
    net.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Two models with equal vocabularies trained from their own beginnings, and a fine-tune of the first."""
    root = tmp_path_factory.mktemp("trained")
    one, two = (train(tiny_llama(root / f"m{i}", seed=i, dtype="F32"), i) for i in (1, 2))
    child = train(shutil.copytree(one, root / "child"), 3, steps=5, lr=1e-3)
    return one, two, child


@pytest.mark.parametrize("method", ["linear", "slerp"])
def test_models_trained_apart_are_refused_with_equal_vocabularies(trained, method, tmp_path):
    one, two, child = trained
    more = ("--t", "0.5") if method == "slerp" else ()
    argv = ("merge", "--model", one, "--method", method, *more, "-o", tmp_path / "out")
    done = call(*argv, "--model", two)
    assert done.code == 3
    assert "trained apart" in done.err
    assert "hint" in done.err
    assert not (tmp_path / "out").exists()
    assert call(*argv, "--model", child).code == 0


def test_an_unrelated_base_is_refused_unless_the_recipe_allows_it(trained, tmp_path):
    one, two, child = trained
    with pytest.raises(MismatchError, match="trained apart"):
        plan("ties", str(two), [str(one), str(child)])
    made = plan("ties", str(two), [str(one), str(child)], allow_unrelated=True)
    assert len(made.warnings) == 2
    notes = made.manifest()["notes"]
    assert [n.split(": ")[1] for n in notes] == [w.split(": ")[1] for w in made.warnings]
    assert plan("ties", str(one), [str(child)]).warnings == ()


def test_a_recipe_file_takes_the_allowance_as_an_option(trained, tmp_path):
    one, two, _ = trained
    recipe = tmp_path / "r.yaml"
    recipe.write_text(f"deltakit: 1\nmethod: linear\nmodels:\n  - model: {one}\n  - model: {two}\n")
    assert call("merge", recipe, "-o", tmp_path / "out", "--dry-run").code == 3
    assert call("merge", recipe, "-o", tmp_path / "out", "--dry-run", "--allow-unrelated").code == 0


def test_toy_families_are_related(tmp_path):
    base, models = family(tmp_path, 2)
    assert plan("linear", base, models).warnings == ()
