"""Inspect says what a path holds."""

import json

import numpy as np
import pytest

from deltakit.checkpoint.fingerprint import fingerprint
from deltakit.checkpoint.open import open_checkpoint
from deltakit.checkpoint.sidecar import Sidecar
from deltakit.delta.expression import Delta, Entry, Lineage, Part
from deltakit.delta.file.container import open_archive
from deltakit.delta.file.extract import extract
from deltakit.delta.file.inspection import inspect_path, inspect_spectra
from deltakit.delta.file.write import write_delta, write_sum
from deltakit.delta.terms.exact import Exact
from deltakit.delta.terms.lowrank import LowRank
from deltakit.delta.terms.raw import Raw
from deltakit.errors import RecipeError
from deltakit.tensors import TensorSpec
from support.tensors import memory, normal, tensor


def test_a_checkpoint(tiny_base):
    found = inspect_path(str(tiny_base))
    opened = open_checkpoint(tiny_base)
    assert (found["kind"], found["fingerprint"]) == ("checkpoint", fingerprint(opened))
    assert found["parameters"] == sum(s.numel for s in opened.specs.values())
    assert found["dtypes"] == {"BF16": found["parameters"]}


def test_a_delta(tiny_pair, tmp_path):
    path = extract(str(tiny_pair[0]), str(tiny_pair[1]), tmp_path / "d").path
    found = inspect_path(str(path))
    assert (found["kind"], found["file_bytes"]) == ("delta", path.stat().st_size)
    assert sum(found["bytes_by_kind"].values()) == found["payload_bytes"]
    assert found["index_bytes"] + found["payload_bytes"] + found["files_bytes"] == found["file_bytes"]
    assert found["ratio"] == found["bytes"] / found["file_bytes"]
    assert sum(t["bytes"] for terms in found["terms"].values() for t in terms) == found["payload_bytes"]
    assert found["coded"] == {}  # all of it is bit for bit
    assert json.loads(json.dumps(found)) == found


@pytest.fixture
def archive(tmp_path):
    """A coded matrix, an exact norm, an embedding with added rows, an unchanged tensor, a file."""
    base = memory({"norm": tensor(normal((8,), 1)), "embed": tensor(normal((6, 8), 2))})
    tuned = memory({"norm": tensor(normal((8,), 3)), "embed": tensor(normal((9, 8), 4))})
    spec = TensorSpec((40, 8), "BF16")
    factors = LowRank.of(spec, normal((40, 2), 5), normal((8, 2), 6))
    embed = Exact.of(base, tuned, "embed", base.specs["embed"])
    entries = {
        "w": Entry(spec, 40, (Part(1.0, factors),)),
        "same": Entry(spec, 40),
        "norm": Entry(tuned.specs["norm"], 8, (Part(1.0, Exact.of(base, tuned, "norm", base.specs["norm"])),)),
        "embed": Entry(tuned.specs["embed"], 6, (Part(1.0, embed),), Raw.of(tuned, "embed", 6)),
    }
    delta = Delta(entries, sidecar=Sidecar({"tokenizer.json": b"{}" * 40}))
    return write_delta(tmp_path / "archive", delta, plan={}).path


def test_an_archive_says_what_each_tensor_is_stored_as(archive):
    found = inspect_path(str(archive))
    assert found["coded"] == {
        "matrices": 1, "parameters": 320, "bytes": 640, "payload_bytes": 192, "ratio": 640 / 192,
        "bits_per_parameter": 4.8,
    }  # fmt: skip
    assert [t["kind"] for t in found["terms"]["embed"]] == ["exact", "raw"]
    assert found["terms"]["same"] == []
    assert found["bytes_by_kind"]["lowrank"] == 192
    assert sorted(found["bytes_by_kind"]) == ["added", "exact", "lowrank"]
    assert found["tensor_bits"]["w"] == 4.8
    assert found["files"] == ["tokenizer.json"]
    assert found["files_bytes"] > 0


def test_it_reads_the_index_alone(archive):
    raw, places = bytearray(archive.read_bytes()), open_archive(archive).places
    for start, stop in places.values():
        raw[start:stop] = bytes(stop - start)
    archive.write_bytes(bytes(raw))
    assert inspect_path(str(archive))["coded"]["matrices"] == 1


def test_spectra_of_factors_touch_no_other_tensor(archive):
    raw, places = bytearray(archive.read_bytes()), open_archive(archive).places
    raw[places["embed"][0]] ^= 1
    archive.write_bytes(bytes(raw))
    (found,) = inspect_spectra(str(archive), 1)
    want = np.linalg.svd(normal((40, 2), 5).astype(np.float16).astype(float) @ normal((8, 2), 6).astype(np.float16).T)[
        1
    ]
    np.testing.assert_allclose(found.spectrum.values, want, rtol=1e-5, atol=1e-6)


def test_spectra_of_an_exact_delta_need_the_base(tiny_pair, tmp_path):
    path = str(extract(str(tiny_pair[0]), str(tiny_pair[1]), tmp_path / "d").path)
    with pytest.raises(RecipeError, match="--base"):
        inspect_spectra(path, 2)
    found = inspect_spectra(path, 2, base=str(tiny_pair[0]))
    assert len(found) == 2
    assert all(0 <= p.zeros < 1 for p in found)


def test_spectra_of_a_checkpoint_are_of_its_weights(tiny_base):
    opened = open_checkpoint(tiny_base)
    (found,) = inspect_spectra(str(tiny_base), 1, match="*up_proj*")
    spec = opened.specs[found.spectrum.name]
    bits = np.frombuffer(opened.buffer(found.spectrum.name), "<u2").astype(np.uint32) << 16
    want = np.linalg.svd(bits.view(np.float32).reshape(spec.shape).astype(float), compute_uv=False)
    np.testing.assert_allclose(found.spectrum.values, want, rtol=1e-5)


def test_an_expression(tmp_path):
    write_sum(tmp_path / "d", [{"coef": 1.0, "of": "x"}], Lineage(base="b"))
    found = inspect_path(str(tmp_path / "d"))
    assert (found["kind"], found["sum"]) == ("expression", [{"coef": 1.0, "of": "x"}])
    with pytest.raises(RecipeError, match="--base"):
        inspect_spectra(str(tmp_path / "d"), 1)


def test_an_adapter(shared_models):
    path = str(shared_models / "lora" / "gpt2-tigrinya-r8-run1")
    found = inspect_path(path)
    assert (found["kind"], found["rank"], found["alpha"], len(found["modules"])) == ("adapter", 8, 32, 36)
    (spectrum,) = inspect_spectra(path, 1)
    assert spectrum.zeros is None
    assert np.count_nonzero(spectrum.spectrum.values) == 8
