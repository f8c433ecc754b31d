"""Writing merges: folders, deltas, expressions; resumed to the same bytes; never without effect."""

import json
from pathlib import Path

import pytest

from deltakit.checkpoint import write as writer
from deltakit.checkpoint.open import open_checkpoint
from deltakit.checkpoint.verify import verify_checkpoint
from deltakit.delta.open import open_model
from deltakit.errors import InputError, NoEffectError, RecipeError
from deltakit.merge.write import merge, plan_output
from support.faults import killed_at
from support.merging import draw, family, plan, recipe, store, tune
from support.tensors import whole

METHODS = [
    ("task_arithmetic", {}), ("linear", {}), ("ties", {}), ("dare_linear", {"density": 0.5}),
    ("dare_ties", {"density": 0.5}),
]  # fmt: skip


@pytest.mark.parametrize(("method", "more"), METHODS)
def test_a_folder_holds_what_the_view_gives(method, more, tmp_path):
    base, models = family(tmp_path, 2, "BF16")
    done = merge(recipe(method, base, models, **more), tmp_path / "out")
    assert done.kind == "model"
    assert whole(open_checkpoint(str(tmp_path / "out"))) == whole(plan(method, base, models, **more).tensors)
    verify_checkpoint(tmp_path / "out")
    assert "base_model" in (tmp_path / "out" / "README.md").read_text()


@pytest.mark.parametrize(("method", "more"), METHODS)
def test_a_delta_gives_the_same_model(method, more, tmp_path):
    base, models = family(tmp_path, 2, "BF16")
    done = merge(recipe(method, base, models, **more), tmp_path / "out.delta")
    assert done.kind == ("expression" if method in ("task_arithmetic", "linear") else "delta")
    assert whole(open_model(f"{base} + {tmp_path}/out.delta").tensors) == whole(
        plan(method, base, models, **more).tensors
    )


def test_an_expression_is_small_and_moves_with_its_sources(tmp_path):
    base, models = family(tmp_path / "here", 2, "BF16")
    done = merge(recipe("task_arithmetic", base, models, scale=0.5), tmp_path / "here" / "sum.delta")
    assert done.nbytes < 2000
    want = whole(plan("task_arithmetic", base, models, scale=0.5).tensors)
    (tmp_path / "here").rename(tmp_path / "there")
    moved = base.replace("here", "there")
    assert whole(open_model(f"{moved} + {tmp_path}/there/sum.delta").tensors) == want


def test_what_an_expression_cannot_say_becomes_a_delta(tmp_path):
    base, models = family(tmp_path, 2, "BF16")
    out = tmp_path / "out.delta"
    made = recipe("task_arithmetic", base, models, dtype="float16")
    assert merge(made, out).kind == "delta"
    assert whole(open_model(f"{base} + {out}").tensors) == whole(
        plan("task_arithmetic", base, models, dtype="float16").tensors
    )


def test_a_delta_needs_a_base(tmp_path):
    _, models = family(tmp_path, 2)
    with pytest.raises(RecipeError, match="needs a base"):
        merge(recipe("linear", None, models), tmp_path / "x.delta")


def test_a_merge_without_effect_writes_nothing(tmp_path):
    base = store(tmp_path / "base", draw(0))
    same = store(tmp_path / "same", draw(0))
    for out in (tmp_path / "out", tmp_path / "out.delta"):
        with pytest.raises(NoEffectError, match="no effect"):
            merge(recipe("dare_ties", base, [same], density=0.5), out)
        assert not out.exists()


def test_the_dry_run_says_what_would_be_written(tmp_path):
    base, models = family(tmp_path, 2)
    made = recipe("ties", base, models)
    for out in (tmp_path / "out", tmp_path / "out.delta"):
        planned = plan_output(made, out)
        json.dumps(planned)
        assert planned["kind"] == ("delta" if out.suffix else "model")
        assert planned["bytes"] > 0
        assert planned["free"] > 0
        assert all(t["action"] == "ties" for t in planned["tensors"].values())
        assert not out.exists()


def test_an_output_in_the_way_is_kept(tmp_path):
    base, models = family(tmp_path, 2)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").write_text("keep")
    for call in (plan_output, merge):
        with pytest.raises(InputError):
            call(recipe("ties", base, models), tmp_path / "out")
    with pytest.raises(InputError):
        merge(recipe("ties", base, models), Path(base), overwrite=True)
    assert (tmp_path / "out" / "mine").read_text() == "keep"
    merge(recipe("ties", base, models), tmp_path / "new")
    done = merge(recipe("ties", base, models, density=0.5), tmp_path / "new", overwrite=True)
    assert whole(open_checkpoint(str(done.path))) == whole(plan("ties", base, models, density=0.5).tensors)


@pytest.mark.parametrize("at", [8, 14, 20])
def test_a_killed_merge_run_again_gives_the_same_bytes(at, tmp_path, monkeypatch):
    monkeypatch.setattr(writer, "_BATCH", 1)
    base, models = family(tmp_path, 2, "BF16")
    made = recipe("dare_ties", base, models, density=0.5)
    whole_run = merge(made, tmp_path / "once")
    assert killed_at(at, lambda: merge(made, tmp_path / "out", threads=1))
    assert not (tmp_path / "out").exists()
    resumed = merge(made, tmp_path / "out")
    assert resumed.fingerprint == whole_run.fingerprint
    names = ("model.safetensors", "config.json", "deltakit.json")
    assert all((tmp_path / "out" / n).read_bytes() == (tmp_path / "once" / n).read_bytes() for n in names)


def test_threads_do_not_matter(tmp_path):
    base, models = family(tmp_path, 3, "BF16")
    made = recipe("dare_ties", base, models, density=0.5)
    files = []
    for threads in (1, 4):
        merge(made, tmp_path / str(threads), threads=threads)
        files.append((tmp_path / str(threads) / "model.safetensors").read_bytes())
    assert files[0] == files[1]


def test_values_that_overflow_are_refused(tmp_path):
    base = draw(0)
    far = {n: a * 1e38 for n, a in tune(base, 1).items()}
    where = [store(tmp_path / "base", base), store(tmp_path / "far", far)]
    with pytest.raises(InputError, match="finite"):
        merge(recipe("task_arithmetic", where[0], [{"model": where[1], "weight": 1e5}]), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_no_input_is_ever_written_over(tmp_path):
    base, models = family(tmp_path, 2, "BF16")
    done = merge(recipe("task_arithmetic", base, models), tmp_path / "made").path
    total = merge(recipe("task_arithmetic", base, models), tmp_path / "sum.delta").path
    for model, out in ((total, total), (f"{base} + 0.5*{done}", done), (f"{base} + 0.5*{total}", Path(models[0]))):
        made = recipe("task_arithmetic", base, [str(model), models[1]])
        for run in (merge, plan_output):
            with pytest.raises(InputError, match="input"):
                run(made, out, overwrite=True)
    verify_checkpoint(done)
    assert open_model(f"{base} + {total}").delta is not None
