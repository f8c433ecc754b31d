"""Whole deltas through a codec into a file. Run: pytest tests/compress/run/test_archive.py"""

from __future__ import annotations

import numpy as np
import pytest

from deltakit.checkpoint.open import open_checkpoint
from deltakit.compress.codec import parse_codec
from deltakit.compress.plan.planning import changed, plan_compression
from deltakit.compress.run.archive import compress, compressed
from deltakit.compress.run.operands import Operands
from deltakit.compress.run.request import Request
from deltakit.delta.applied import Applied
from deltakit.delta.difference import difference
from deltakit.delta.expression import Delta, Entries, Entry, Part
from deltakit.delta.file.container import open_archive, open_delta
from deltakit.delta.file.inspection import inspect_path
from deltakit.delta.terms.lowrank import LowRank
from deltakit.errors import InputError, NoEffectError, RecipeError, ResourceError
from deltakit.tensors import TensorSpec, to_float32
from support.faults import killed_at
from support.models import save, tiny_llama, tiny_tuned
from support.tensors import memory, normal, tensor, whole

EMBED = "model.embed_tokens.weight"


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pair")
    base = tiny_llama(folder / "base", seed=1, width=48)
    return open_checkpoint(base), open_checkpoint(tiny_tuned(base, folder / "tuned", seed=2, extra_rows=2))


def run(pair, out, codec="svd_mixed", **options):
    base, tuned = pair
    options.setdefault("threads", 1)
    operands = Operands(base, difference(base, tuned), pair, ())
    return compress(operands, Request("", "", out, codec, **options))


def distance(a, b):
    return sum(float(((to_float32(a[n], "BF16") - to_float32(b[n], "BF16")) ** 2).sum()) for n in a)


@pytest.mark.parametrize("codec", ["svd_mixed", "lowrank", "sign", "sign(scale='row')"])
def test_the_archive_restores_a_model_near_the_fine_tune(pair, tmp_path, codec):
    base, tuned = pair
    made = run(pair, tmp_path / "a", codec, ratio=None if "sign" in codec else 8)
    delta = open_delta(tmp_path / "a").bind(base)
    model = Applied(base, delta)
    assert model.specs == tuned.specs
    got, want, old = whole(model), whole(tuned), whole(base)
    rows = base.specs[EMBED].nbytes
    assert got[EMBED][rows:] == want[EMBED][rows:]  # rows that the base lacks are exact
    for name in got:
        if len(tuned.specs[name].shape) == 1:
            assert got[name] == want[name], name
    cut = {n: raw[: base.specs[n].nbytes] for n, raw in got.items()}
    target = {n: raw[: base.specs[n].nbytes] for n, raw in want.items()}
    assert distance(cut, target) < 0.9 * distance(old, target)
    assert delta.lineage.note == {"codec": made.plan.codec}


@pytest.mark.parametrize("codec", ["svd_mixed", "lowrank", "sign"])
def test_reported_bytes_are_bytes_on_disk(pair, tmp_path, codec):
    made = run(pair, tmp_path / "a", codec, ratio=16 if codec == "svd_mixed" else None if codec == "sign" else 8)
    assert made.nbytes == (tmp_path / "a").stat().st_size
    archive = open_archive(tmp_path / "a")
    coded = {r.name for r in made.plan.covered}
    assert made.payload == sum(part[-1] for n in coded for part in archive.index["tensors"][n]["p"])
    terms = {n: open_delta(tmp_path / "a").entries[n].parts[0].term for n in coded}
    assert made.payload == sum(len(t.save()[1]) for t in terms.values())
    assert made.covered == sum(2 * t.spec.numel for t in terms.values())
    assert made.ratio == made.covered / made.payload
    assert made.bits == pytest.approx(16 / made.ratio)
    assert set(made.kinds) == set(pair[1].specs)


def test_a_ratio_is_met_with_everything_counted(pair, tmp_path):
    assert 16 <= run(pair, tmp_path / "a", ratio=16).ratio < 17
    assert 4 <= run(pair, tmp_path / "b", ratio=4).ratio < 4.1


@pytest.mark.parametrize("codec", ["svd_mixed", "lowrank"])
@pytest.mark.parametrize("nbytes", [14_000, 20_000, 37_777])
def test_a_file_of_so_many_bytes(pair, tmp_path, codec, nbytes):
    made = run(pair, tmp_path / "a", codec, nbytes=nbytes)
    assert nbytes - (450 if codec == "lowrank" else 300) < made.nbytes <= nbytes


def test_too_few_bytes_say_what_would_do(pair, tmp_path):
    with pytest.raises(ResourceError, match="1,500 bytes are too few") as wrong:
        run(pair, tmp_path / "a", nbytes=1500)
    need = int(wrong.value.remedy.split()[3].replace(",", ""))
    assert run(pair, tmp_path / "a", nbytes=need + 200).nbytes <= need + 200
    with pytest.raises(ResourceError, match="too few"):
        run(pair, tmp_path / "b", "sign", nbytes=5000)
    assert not (tmp_path / "b").exists()


def test_a_codec_of_fixed_size_takes_what_it_takes(pair, tmp_path):
    free = run(pair, tmp_path / "a", "sign").nbytes
    assert run(pair, tmp_path / "b", "sign", nbytes=free + 5000).nbytes <= free + 100


def test_bytes_do_not_depend_on_threads_or_order(pair, tmp_path):
    run(pair, tmp_path / "a", ratio=8, threads=1)
    run(pair, tmp_path / "b", ratio=8, threads=4)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_a_killed_run_resumes_to_the_same_bytes(pair, tmp_path, monkeypatch):
    monkeypatch.setattr("deltakit.delta.file.segments._SECONDS", 0.0)
    run(pair, tmp_path / "whole", ratio=8)
    assert killed_at(60, lambda: run(pair, tmp_path / "a", ratio=8))
    assert not (tmp_path / "a").exists()
    again = run(pair, tmp_path / "a", ratio=8)
    assert again.resumed > 0
    assert (tmp_path / "a").read_bytes() == (tmp_path / "whole").read_bytes()


def test_another_codec_does_not_resume_what_was_left(pair, tmp_path, monkeypatch):
    monkeypatch.setattr("deltakit.delta.file.segments._SECONDS", 0.0)
    assert killed_at(60, lambda: run(pair, tmp_path / "a", ratio=8))
    assert run(pair, tmp_path / "a", "sign").resumed == 0


def toy(change):
    """A delta over a base in memory whose fine-tune `change` has touched."""
    shapes = {"a.weight": (40, 30), "b.weight": (30, 30), "norm.weight": (30,)}
    base = {n: normal(s, i) for i, (n, s) in enumerate(sorted(shapes.items()))}
    tuned = {n: v.copy() for n, v in base.items()}
    change(tuned)
    made = [memory({n: tensor(v, "F32") for n, v in values.items()}) for values in (base, tuned)]
    return difference(*made)


def coded(delta, codec="svd_mixed", **size):
    codec = parse_codec(codec)
    return compressed(delta, plan_compression(delta, codec, **size))


def test_unchanged_tensors_cost_nothing():
    def change(tuned):
        tuned["a.weight"] += 0.1 * normal((40, 30), 7)

    delta = toy(change)
    assert [changed(delta.entries[n]) for n in delta.specs] == [True, False, False]
    made = coded(delta, ratio=16)
    assert made.entries["b.weight"].parts == ()
    plan = plan_compression(delta, parse_codec("svd_mixed"), nbytes=1000)
    assert {r.name: r.action for r in plan.rows} == {
        "a.weight": "codec",
        "b.weight": "unchanged",
        "norm.weight": "unchanged",
    }
    assert plan.rows[0].budget > 550  # all that is not overhead is its


def test_no_change_at_all():
    with pytest.raises(NoEffectError, match="equals its base"):
        plan_compression(toy(lambda tuned: None), parse_codec("svd_mixed"), nbytes=1000)


@pytest.mark.parametrize(("name", "value"), [("b.weight", np.nan), ("norm.weight", np.inf), ("a.weight", -np.inf)])
@pytest.mark.parametrize("codec", ["svd_mixed", "lowrank", "sign"])
def test_non_finite_numbers_are_named(name, value, codec):
    def change(tuned):
        for values in tuned.values():
            values += 0.1
        tuned[name].ravel()[3] = value

    made = coded(toy(change), codec, ratio=None if codec == "sign" else 4)
    with pytest.raises(InputError, match=rf"'{name}': 1 of \d+ differences are not finite"):
        _ = made.entries[name]


def test_non_finite_added_rows_are_named(pair):
    base = memory({"e.weight": tensor(normal((20, 8), 0))})
    values = normal((21, 8), 1)
    values[20, 3] = np.nan
    delta = difference(base, memory({"e.weight": tensor(values)}))
    with pytest.raises(InputError, match="e.weight"):
        _ = coded(delta, ratio=4).entries["e.weight"]


def lora(rank=2):
    spec = TensorSpec((40, 30), "F32")
    term = LowRank.of(spec, normal((40, rank), 1), normal((30, rank), 2), "F32")
    other = TensorSpec((30,), "F32")
    entries = {"a.weight": Entry(spec, 40, (Part(0.5, term),)), "n": Entry(other, 30)}
    return Delta(Entries({"a.weight": spec, "n": other}, entries.__getitem__)), term


@pytest.mark.parametrize("codec", ["lowrank", "svd_mixed"])
def test_a_lora_that_is_small_enough_is_kept_as_it_is(codec):
    delta, term = lora()
    kept = coded(delta, codec, ratio=8).entries["a.weight"]
    assert kept.parts[0].term is term
    assert kept.parts[0].coef == 0.5


def test_a_lora_that_is_too_large_is_cut():
    delta, term = lora(rank=12)
    made = coded(delta, "lowrank", ratio=8).entries["a.weight"].parts[0].term
    assert made.rank == 4
    assert made.nbytes <= 40 * 30 * 4 / 8 < term.nbytes


def test_packed_experts_are_one_tall_matrix():
    base, tuned = (memory({"x": tensor(normal((4, 20, 24), i))}) for i in (0, 1))
    delta = difference(base, tuned)
    made = coded(delta, ratio=4).entries["x"]
    assert made.spec.shape == (4, 20, 24)
    want = delta.rows("x", 0, 4)
    got = made.parts[0].term.rows(0, 4)
    assert float(((got - want) ** 2).sum() / (want**2).sum()) < 0.2


def test_the_size_must_be_asked_for_once(pair, tmp_path):
    with pytest.raises(RecipeError, match="both"):
        run(pair, tmp_path / "a", ratio=8, nbytes=9999)
    with pytest.raises(RecipeError, match="needs a size"):
        run(pair, tmp_path / "a")


def test_an_output_in_the_way_is_kept(pair, tmp_path):
    (tmp_path / "a").write_text("mine")
    with pytest.raises(InputError, match="exists"):
        run(pair, tmp_path / "a", ratio=8)
    assert (tmp_path / "a").read_text() == "mine"
    run(pair, tmp_path / "a", ratio=8, overwrite=True)


def test_the_error_that_was_made_is_said_by_a_resumed_run_too(pair, tmp_path, monkeypatch):
    monkeypatch.setattr("deltakit.delta.file.segments._SECONDS", 0.0)
    base, tuned = pair
    made = run(pair, tmp_path / "a", "auto", ratio=8)
    truth, model = difference(base, tuned).bind(base), open_delta(tmp_path / "a").bind(base)
    error, energy = 0.0, 0.0
    for row in made.plan.covered:
        want, got = (d.rows(row.name, 0, row.shape[0]).astype(np.float64) for d in (truth, model))
        error, energy = error + ((want - got) ** 2).sum(), energy + (want**2).sum()
    assert made.error == pytest.approx(error / energy, rel=1e-5)
    assert killed_at(70, lambda: run(pair, tmp_path / "b", "auto", ratio=8))
    again = run(pair, tmp_path / "b", "auto", ratio=8)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert again.resumed > 0
    assert again.error == made.error
    assert made.data_free is None  # no inputs were asked for


@pytest.mark.parametrize("codec", ["auto", "sign", "svd_mixed; *q_proj*=exact", "rows(inner='lowrank')"])
def test_what_is_not_bit_for_bit_is_counted_as_inspect_counts_it(pair, tmp_path, codec):
    made = run(pair, tmp_path / "a", codec, ratio=None if codec == "sign" else 8)
    assert made.lossy == inspect_path(str(tmp_path / "a"))["coded"]
    if "auto" not in codec:
        assert (made.lossy["matrices"], made.lossy["payload_bytes"]) == (len(made.plan.covered), made.payload)
        assert made.lossy["ratio"] == pytest.approx(made.ratio)


def test_matrices_that_auto_keeps_are_left_out_of_the_lossy_ratio(tmp_path):
    """One of two matrices differs at a few places, by numbers that no sign can say: it is kept bit for bit."""
    made = {}
    for name in ("base", "tuned"):
        weights = {"a.weight": normal((64, 64), 1), "b.weight": normal((64, 64), 2)}
        if name == "tuned":
            weights["a.weight"][[3, 20, 40, 50, 60], :1] += 100.0 * normal((5, 1), 4)
            weights["b.weight"] += 0.1 * normal((64, 64), 3)
        (tmp_path / name).mkdir()
        save(tmp_path / name / "model.safetensors", {n: tensor(v, "F32") for n, v in weights.items()})
        made[name] = open_checkpoint(tmp_path / name)
    found = run((made["base"], made["tuned"]), tmp_path / "a", "auto", ratio=8)
    assert {r.name: r.action for r in found.plan.covered} == {"a.weight": "kept", "b.weight": "codec"}
    assert found.lossy == inspect_path(str(tmp_path / "a"))["coded"]
    assert found.lossy["matrices"] == 1
    assert found.lossy["ratio"] < found.ratio
