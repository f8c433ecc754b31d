"""Delta files of kept elements alone."""

import json
from pathlib import Path

import numpy as np
import pytest

from deltakit.checkpoint.open import open_checkpoint
from deltakit.delta.file import segments as writer
from deltakit.delta.file.container import open_delta
from deltakit.delta.file.extract import extract
from deltakit.delta.open import open_as_delta, open_model
from deltakit.delta.terms.sparse import Sparse
from deltakit.errors import InputError, MismatchError, NoEffectError, RecipeError
from deltakit.sparsify.pipeline import parse_pipeline
from deltakit.sparsify.sparse_delta import sparsify
from deltakit.sparsify.write import plan_sparsified, sparsify_to
from support.faults import killed_at
from support.models import tiny_llama, tiny_tuned
from support.tensors import whole

PIPELINES = ["drop(density=0.2)", "trim(density=0.2)", "trim(density=0.5, scope='tensor') | drop(density=0.3)"]


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pair")
    base = tiny_llama(folder / "base", width=64)
    return str(base), str(tiny_tuned(base, folder / "tuned"))


@pytest.mark.parametrize("each", PIPELINES)
def test_the_file_holds_what_the_pipeline_gives(each, pair, tmp_path):
    base, tuned = pair
    sparsify_to(base, tuned, each, tmp_path / "s.delta", seed=3, name="x")
    opened = open_checkpoint(base)
    want = sparsify(open_as_delta(tuned, opened), parse_pipeline(each), seed=3, name="x")
    found = open_as_delta(str(tmp_path / "s.delta"), opened)
    assert found.lineage.key == "x"
    assert found.lineage.note == want.lineage.note
    for name, spec in want.specs.items():
        assert np.array_equal(found.rows(name, 0, spec.rows), want.rows(name, 0, spec.rows))


def test_a_delta_file_and_the_model_it_came_from_give_the_same_numbers(pair, tmp_path):
    base, tuned = pair
    extract(base, tuned, tmp_path / "x.delta")
    made = []
    for i, source in enumerate((tuned, tmp_path / "x.delta")):
        sparsify_to(base, str(source), PIPELINES[0], tmp_path / f"{i}.delta")
        made.append(whole(open_model(f"{base} + {tmp_path}/{i}.delta").tensors))
    assert made[0] == made[1]


def test_fewer_kept_elements_make_a_smaller_file(pair, tmp_path):
    sizes = [sparsify_to(*pair, f"drop(density={d})", tmp_path / f"{d}.delta").payload for d in (0.05, 0.2, 0.8)]
    assert sizes[0] * 3 < sizes[1] < sizes[2] / 3
    terms = [p.term for e in open_delta(tmp_path / "0.05.delta").entries.values() for p in e.parts]
    assert all(isinstance(t, Sparse) and t.key is not None for t in terms)


def test_added_rows_survive(pair, tmp_path):
    base, _ = pair
    grown = tiny_tuned(Path(base), tmp_path / "grown", extra_rows=2)
    sparsify_to(base, str(grown), "drop(density=0.01)", tmp_path / "g.delta")
    made, want = open_model(f"{base} + {tmp_path}/g.delta").tensors, open_checkpoint(str(grown))
    assert bytes(made.buffer("lm_head.weight", 88, 90)) == bytes(want.buffer("lm_head.weight", 88, 90))


@pytest.mark.parametrize("at", [6, 12])
def test_a_killed_run_ends_in_the_same_bytes(at, pair, tmp_path, monkeypatch):
    monkeypatch.setattr(writer, "_BATCH", 1)
    sparsify_to(*pair, PIPELINES[2], tmp_path / "once.delta")
    assert killed_at(at, lambda: sparsify_to(*pair, PIPELINES[2], tmp_path / "s.delta", threads=1))
    assert not (tmp_path / "s.delta").exists()
    sparsify_to(*pair, PIPELINES[2], tmp_path / "s.delta")
    assert (tmp_path / "s.delta").read_bytes() == (tmp_path / "once.delta").read_bytes()


def test_the_plan_writes_nothing(pair, tmp_path):
    planned = plan_sparsified(*pair, PIPELINES[0], tmp_path / "s.delta", name="x")
    json.dumps(planned)
    assert (planned["each"], planned["seed"], planned["model"]) == ("drop(density=0.2, rescale=True)", 42, "x")
    assert list(tmp_path.iterdir()) == []


def test_what_is_refused(pair, tmp_path):
    base, tuned = pair
    out = tmp_path / "s.delta"
    with pytest.raises(NoEffectError, match="density 1"):
        sparsify_to(base, tuned, "drop(density=1.0)", out)
    with pytest.raises(NoEffectError, match="changes nothing"):
        sparsify_to(base, base, PIPELINES[0], out)
    with pytest.raises(RecipeError, match="density"):
        sparsify_to(base, tuned, "drop(density=1.5)", out)
    extract(base, tuned, tmp_path / "x.delta")
    with pytest.raises(MismatchError, match="another base"):
        sparsify_to(tuned, str(tmp_path / "x.delta"), PIPELINES[0], out)
    assert not out.exists()


def test_no_input_is_ever_written_over(pair, tmp_path):
    base = tiny_llama(tmp_path / "base")
    tuned = tiny_tuned(base, tmp_path / "tuned")
    delta = extract(str(base), str(tuned), tmp_path / "x.delta").path
    for source, out in ((delta, delta), (tuned, tuned / "model.safetensors"), (tuned, tuned / "new.delta")):
        before = out.read_bytes() if out.exists() else None
        for run in (sparsify_to, plan_sparsified):
            with pytest.raises(InputError, match="input"):
                run(str(base), str(source), "drop(density=0.5)", out, overwrite=True)
        assert (out.read_bytes() if out.exists() else None) == before
