"""A reader that was written from docs/format.md alone, against deltakit, on files of every kind of term and codec."""

from __future__ import annotations

import ast
import base64
import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from deltakit.checkpoint.fingerprint import fingerprint
from deltakit.checkpoint.open import open_checkpoint
from deltakit.checkpoint.sidecar import Sidecar
from deltakit.compress.codec import CODECS
from deltakit.delta.applied import Applied
from deltakit.delta.difference import difference
from deltakit.delta.expression import Delta, Entry, Part
from deltakit.delta.file.container import open_delta
from deltakit.delta.file.write import write_delta
from deltakit.delta.terms import TERMS
from deltakit.tensors import TensorSpec, numpy_bits, to_float32
from support import goldens, reader
from support.tensors import memory, normal, pair, tensor

CASES = {**goldens.goldens()["terms"], **goldens.goldens()["codecs"]}


def arrays(source):
    """Every tensor as bit patterns, and the dtypes."""
    found = {n: np.frombuffer(source.buffer(n), numpy_bits(s.dtype)).reshape(s.shape) for n, s in source.specs.items()}
    return found, {n: s.dtype for n, s in source.specs.items()}


def agree(mine, raw, spec, summed):
    """Bit for bit; sums of products may differ in the last place."""
    theirs = np.frombuffer(raw, numpy_bits(spec.dtype)).reshape(spec.shape)
    assert mine.shape == spec.shape
    if not summed:
        assert (mine == theirs).all()
        return
    a, b = to_float32(mine.tobytes(), spec.dtype), to_float32(theirs.tobytes(), spec.dtype)
    scale = float(np.abs(b).max(initial=0))
    np.testing.assert_allclose(a, b, rtol=2**-7, atol=1e-6 * scale)
    assert np.mean(mine == theirs) > 0.98


def test_it_imports_nothing_of_deltakit():
    tree = ast.parse(Path(reader.__file__).read_text())
    names = {getattr(n, "module", None) or n.names[0].name for n in ast.walk(tree) if hasattr(n, "names")}
    assert {n.split(".")[0] for n in names} <= {
        "__future__", "collections", "functools", "hashlib", "json", "math", "numpy", "statistics", "struct", "typing",
        "zstandard",
    }  # fmt: skip


def test_it_knows_every_kind_of_term():
    assert sorted({*reader.TIED, *reader.FLOATS, "raw"}) == TERMS.names()


@pytest.mark.parametrize("label", CASES)
def test_every_golden(label):
    case = CASES[label]
    base = goldens.base_of(case)
    mine = reader.decode(goldens.NAME, case["item"], base64.b64decode(case["blob"]), *arrays(base))
    spec = TensorSpec(tuple(case["item"]["s"]), case["item"]["d"])
    summed = any(p[1].startswith("lowrank") for p in case["item"]["p"])
    agree(mine, base64.b64decode(case["tuned"]), spec, summed)


SHAPES = [(40, 33), (1, 7), (63, 1), (5, 9, 24)]


@pytest.mark.parametrize("name", CODECS.names())
def test_a_whole_file_of_every_codec(name, tmp_path):
    """Several shapes, budgets and spellings, unchanged tensors, added rows and files inside, in one archive."""
    entries, tensors = {}, {}
    for i, shape in enumerate(SHAPES):
        for j, (text, budget) in enumerate(goldens.SPELLED.get(name, ((name, 240),))):
            spec, key = TensorSpec(shape, "BF16"), f"{name}.{i}.{j}"
            tensors[key] = tensor(normal(shape, 7 * i))
            entries[key] = coded(text, budget, spec, i)
    base = memory(tensors | {"same": tensor(normal((3,), 1))})
    entries["same"] = Entry(TensorSpec((3,), "BF16"), 3)
    files = Sidecar({"chat_template.jinja": b"{{ x }}" * 9, "tokenizer.json": b'{"a": 1}'})
    path = write_delta(tmp_path / "d", Delta(entries, ("gone",), sidecar=files), plan={}).path
    read, applied = reader.Reader(path.read_bytes()), Applied(base, open_delta(path))
    assert read.files == dict(files.files)
    assert read.index["missing"] == ["gone"]
    assert sorted(read.blobs) == sorted(applied.specs)
    for key, spec in applied.specs.items():
        agree(read.tensor(key, *arrays(base)), applied.buffer(key), spec, key != "same")


def coded(text, budget, spec, seed):
    """What a codec makes of a random delta, as an entry."""
    from deltakit.compress.codec import Context, parse_codec
    from deltakit.delta.site import Site
    from deltakit.delta.terms.matrix import matrix_shape

    codec = parse_codec(text)
    room = None if budget is None else max(codec.least(spec), spec.nbytes // 5)
    rows = normal(matrix_shape(spec), 100 + seed, 0.02)
    rows[np.abs(rows) < 0.002] = 0
    terms = codec.encode(rows, Context(Site("w", "m"), spec, room))
    return Entry(spec, spec.rows, tuple(Part(0.75, term) for term in terms))


@pytest.mark.parametrize("dtype", ["BF16", "F16", "F32"])
def test_an_extracted_delta(dtype, tmp_path):
    base, tuned = pair(dtype)
    path = write_delta(tmp_path / "d", difference(base, tuned, name="math"), plan={}).path
    read = reader.Reader(path.read_bytes())
    assert read.index["lineage"] == {"base": fingerprint(base), "tuned": fingerprint(tuned), "name": "math"}
    for name, spec in tuned.specs.items():
        agree(read.tensor(name, *arrays(base)), tuned.buffer(name), spec, False)


@pytest.mark.parametrize("share", [0.001, 1.0])
@pytest.mark.parametrize("kind", ["changes", "exact", "ranged"])
def test_lossless_forms_of_a_larger_tensor(kind, share, tmp_path):
    """Several chunks (rows are long) and, for `ranged`, several contexts and raw bits."""
    shape = (5, 1 << 14)
    old = normal(shape, 1) * np.exp2(np.arange(shape[1]) % 9).astype(np.float32)
    moved = np.random.default_rng(2).random(shape) < share
    base, tuned = (memory({"w": tensor(v)}) for v in (old, old + moved * normal(shape, 3, 0.05)))
    term = TERMS.factory(kind).of(base, tuned, "w", tuned.specs["w"])
    delta = Delta({"w": Entry(term.spec, term.spec.rows, (Part(1.0, term),))})
    path = write_delta(tmp_path / "d", delta, plan={}).path
    agree(reader.Reader(path.read_bytes()).tensor("w", *arrays(base)), tuned.buffer("w"), tuned.specs["w"], False)


def test_a_base_of_another_dtype_is_cast_first(tmp_path):
    wide, _ = pair("F32")
    _, tuned = pair("BF16")
    path = write_delta(tmp_path / "d", difference(wide, tuned), plan={}).path
    read = reader.Reader(path.read_bytes())
    for name, spec in tuned.specs.items():
        agree(read.tensor(name, *arrays(wide)), tuned.buffer(name), spec, False)


def test_a_whole_model(tiny_pair, tmp_path):
    base, tuned = (open_checkpoint(p) for p in tiny_pair)
    path = write_delta(tmp_path / "d", difference(base, tuned), plan={}, base=base.sidecar).path
    read = reader.Reader(path.read_bytes())
    bits, dtypes = arrays(base)
    for name, spec in tuned.specs.items():
        agree(read.tensor(name, bits, dtypes), tuned.buffer(name), spec, False)


def test_it_refuses_damage(tmp_path):
    raw = bytearray(write_delta(tmp_path / "d", difference(*pair()), plan={}).path.read_bytes())
    for at in (0, 8, 12, 60, len(raw) - 1):
        broken = bytearray(raw)
        broken[at] ^= 1
        with pytest.raises(reader.FormatError):
            reader.Reader(bytes(broken))
    for wrong in (raw[:-1], raw + b"x"):
        with pytest.raises(reader.FormatError):
            reader.Reader(bytes(wrong))


def test_the_page_names_every_kind():
    page = (Path(__file__).parents[3] / "docs/format.md").read_text()
    assert [kind for kind in TERMS.names() if f"**`{kind}`**" not in page] == []
    assert json.dumps("delta") in page


def test_the_page_says_enough_of_trellises():
    """Its examples and its digest, by the second reader."""
    scaled = np.rint(4096 * reader.table()).astype("<i2")
    assert scaled[:6].tolist() == [-15025, 4354, 2106, -1533, -411, -5408]
    digest = "2c5f58900e892e004dfd274e1f3fd919843017cddd641e460d50f1afe39c23c8"
    assert hashlib.sha256(scaled.tobytes()).hexdigest() == digest
    two = 4096 * reader.trellis(bytes.fromhex("1be4"), 2, 8, 1)[:, 0]
    assert two.tolist() == [4604, 3446, -4332, 603, -2600, -501, 1552, -5468]
    one = 4096 * reader.trellis(bytes.fromhex("b1"), 1, 8, 1)[:, 0]
    assert one.tolist() == [5683, -1791, 595, -5384, -4671, -491, -5089, 5831]
