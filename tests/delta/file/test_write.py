"""Writing delta files: exact, canonical, atomic, resumable."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from deltakit.checkpoint.open import open_checkpoint
from deltakit.checkpoint.sidecar import SIDECAR_PATTERNS, Sidecar, read_sidecar
from deltakit.delta.applied import Applied
from deltakit.delta.difference import difference
from deltakit.delta.expression import Delta, Entries, Entry, Lineage, Part
from deltakit.delta.file import segments, write
from deltakit.delta.file.container import open_archive, open_delta
from deltakit.delta.file.write import differing, plan_delta, write_delta, write_sum
from deltakit.delta.terms.dense import Dense
from deltakit.errors import InputError, ResourceError
from deltakit.tensors import TensorSpec
from support.memory import peak_below
from support.tensors import normal, pair, whole

PLAN = {"action": "test"}


def test_a_written_delta_restores_every_bit(tiny_pair, tmp_path):
    base, tuned = map(open_checkpoint, tiny_pair)
    made = write_delta(tmp_path / "d", difference(base, tuned), plan=PLAN, base=base.sidecar)
    assert made.nbytes == (tmp_path / "d").stat().st_size
    assert whole(Applied(base, open_delta(made.path))) == whole(tuned)


def test_the_same_bytes_whatever_the_threads(tiny_pair, tmp_path):
    base, tuned = map(open_checkpoint, tiny_pair)
    for threads in (1, 2, 5):
        write_delta(tmp_path / str(threads), difference(base, tuned), plan=PLAN, threads=threads)
    assert len({(tmp_path / str(t)).read_bytes() for t in (1, 2, 5)}) == 1


def test_unchanged_tensors_cost_no_payload(tmp_path):
    base, tuned = pair()
    made = write_delta(tmp_path / "d", difference(base, tuned), plan=PLAN)
    item = open_archive(made.path).index["tensors"]["norm.weight"]
    assert "p" not in item
    assert open_delta(made.path).entries["norm.weight"].parts == ()


def test_missing_tensors_and_lineage_are_kept(tmp_path):
    delta = Delta({}, ("tied",), Lineage("b", "t", "math", {"rank": 8}))
    write_delta(tmp_path / "d", delta, plan=PLAN)
    again = open_delta(tmp_path / "d")
    assert again.missing == ("tied",)
    assert again.lineage == Lineage("b", "t", "math", {"rank": 8})


def test_only_files_that_differ_are_stored_and_no_code_among_them(tmp_path):
    base = Sidecar({"config.json": b'{"a": 1}', "LICENSE": b"MIT"})
    tuned = Sidecar({"config.json": b'{"a": 2, "auto_map": {}}', "LICENSE": b"MIT", "tokenizer.json": b"{}"})
    assert sorted(differing(tuned, base).files) == ["config.json", "tokenizer.json"]
    assert b"auto_map" not in differing(tuned, base).files["config.json"]
    write_delta(tmp_path / "d", Delta({}, sidecar=tuned), plan=PLAN, base=base)
    assert sorted(open_delta(tmp_path / "d").sidecar.files) == ["config.json", "tokenizer.json"]


def test_the_plan_reads_nothing_and_refuses_early(tmp_path):
    base, tuned = pair()
    plan = plan_delta(tmp_path / "d", difference(base, tuned))
    assert plan["tensors"]["a.weight"] == {"shape": [12, 10], "dtype": "BF16", "bytes": 240}
    assert not list(tmp_path.iterdir())
    (tmp_path / "d").write_bytes(b"precious")
    with pytest.raises(InputError, match="exists"):
        plan_delta(tmp_path / "d", difference(base, tuned))
    with pytest.raises(InputError, match="also an input"):
        plan_delta(tmp_path / "e", difference(base, tuned), inputs=[tmp_path / "e"])


def test_an_existing_output_is_never_harmed(tmp_path, monkeypatch):
    base, tuned = pair()
    (tmp_path / "d").write_bytes(b"precious")
    with pytest.raises(InputError):
        write_delta(tmp_path / "d", difference(base, tuned), plan=PLAN)
    monkeypatch.setattr(write, "pack_header", lambda index: (_ for _ in ()).throw(ResourceError("disk full")))
    with pytest.raises(ResourceError):
        write_delta(tmp_path / "d", difference(base, tuned), plan=PLAN, overwrite=True)
    assert (tmp_path / "d").read_bytes() == b"precious"


def test_a_killed_run_resumes_to_the_same_bytes(tmp_path, monkeypatch):
    base, tuned = pair()
    whole_run = write_delta(tmp_path / "whole", difference(base, tuned), plan=PLAN).path.read_bytes()
    monkeypatch.setattr(segments, "_SECONDS", -1.0)  # sync the journal after every tensor
    calls = []

    def dies(entry, real=segments.pack_tensor):
        calls.append(entry)
        if len(calls) == 3:
            raise ResourceError("killed here")
        return real(entry)

    monkeypatch.setattr(segments, "pack_tensor", dies)
    with pytest.raises(ResourceError):
        write_delta(tmp_path / "d", difference(base, tuned), plan=PLAN, threads=1)
    assert not (tmp_path / "d").exists()
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith("d.partial-")]
    calls.clear()
    calls.extend(["x"] * 10)
    made = write_delta(tmp_path / "d", difference(base, tuned), plan=PLAN, threads=1)
    assert made.resumed == 2
    assert made.path.read_bytes() == whole_run
    assert sorted(os.listdir(tmp_path)) == ["d", "whole"]


def test_a_sum_is_stored_in_little_space(tmp_path):
    parts = [{"coef": 0.6, "of": "math.delta", "tuned": "sha256:1"}, {"coef": -0.4, "of": "org/chat"}]
    made = write_sum(tmp_path / "d", parts, Lineage(base="sha256:0"))
    assert made.nbytes < 500
    assert open_archive(made.path).index["sum"] == parts


def test_any_term_can_be_written(tmp_path: Path):
    base, tuned = pair()
    spec = base.specs["a.weight"]
    values = normal(spec.shape, 4)
    parts = (
        Part(0.5, Dense.of(lambda lo, hi: values[lo:hi], spec)),
        Part(1.0, difference(base, tuned).entries["a.weight"].parts[0].term),
    )
    delta = Delta({"a.weight": Entry(spec, spec.rows, parts)})
    again = open_delta(write_delta(tmp_path / "d", delta, plan=PLAN).path).bind(base)
    assert (again.rows("a.weight", 0, 12) == delta.rows("a.weight", 0, 12)).all()


def test_memory_is_that_of_one_tensor_whatever_the_model(tmp_path):
    """Three times as many tensors take no more; one takes at most three times its bytes."""
    rows, width = 1024, 2048
    tile = normal((rows, width), 1)
    spec = TensorSpec((rows, width), "F32")

    def make(name):
        return Entry(spec, rows, (Part(1.0, Dense.of(lambda lo, hi: tile[lo:hi] * (1 + len(name)), spec)),))

    for count in (2, 6):
        entries = Entries({f"{i:02d}": spec for i in range(count)}, make, keep=False)
        with peak_below(3 * spec.nbytes):
            write_delta(tmp_path / str(count), Delta(entries), plan={"n": count}, threads=1)


def test_everything_beside_the_weights_that_a_tenant_needs_is_inside_where_it_differs(tmp_path):
    """Every file of the allow-list, by a name that fits it; the page lists them all."""
    page = (Path(__file__).parents[3] / "docs/format.md").read_text()
    assert [pattern for pattern in SIDECAR_PATTERNS if f"`{pattern}`" not in page] == []
    names = [pattern.replace("*", "_1") for pattern in SIDECAR_PATTERNS]
    for name in [*names, "modeling_evil.py", "pytorch_model.bin"]:
        (tmp_path / name).write_bytes(b'{"a": 1}')
    tuned = read_sidecar(tmp_path)
    base = Sidecar({"config.json": b'{"a": 0}', "tokenizer.model": b'{"a": 1}', "vocab.txt": b"x", "merges.txt": b"y"})
    path = write_delta(tmp_path / "d", Delta({}, sidecar=tuned), plan=PLAN, base=base).path
    assert sorted(open_delta(path).sidecar.files) == sorted({*names} - {"tokenizer.model"})
    assert open_delta(path).sidecar.files["chat_template.jinja"] == b'{"a": 1}'


def test_what_a_writer_makes_a_reader_takes(tmp_path):
    """Names of any language, scalars, empty tensors, eight dimensions, a tensor of one row of many elements."""
    shapes = [(), (0,), (0, 5), (5, 0), (1,) * 8, (1, 100_000), (3,)]
    specs = {f'слой.{i} "{shape}"': TensorSpec(shape, "F32") for i, shape in enumerate(shapes)}
    values = {n: np.full((s.rows, s.row_size), 0.5, np.float32) for n, s in specs.items()}

    def entry(name):
        term = Dense.of(lambda lo, hi: values[name][lo:hi], specs[name])
        return Entry(specs[name], specs[name].rows, (Part(1.0, term),))

    path = write_delta(tmp_path / "d", Delta({n: entry(n) for n in specs}), plan=PLAN).path
    again = open_delta(path)
    assert dict(again.specs) == {n: specs[n] for n in sorted(specs)}
    for name, spec in specs.items():
        assert (again.rows(name, 0, spec.rows) == values[name]).all()
