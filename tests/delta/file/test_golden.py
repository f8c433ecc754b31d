"""Golden bytes: what was ever written is read alike for ever; codecs without linear algebra also write alike.

Every codec and every kind of term of the registries has a golden; support/goldens.py says how one is made.
"""

from __future__ import annotations

import base64

import numpy as np
import pytest
import zstandard

from deltakit.compress.codec import CODECS
from deltakit.delta.file.container import pack_tensor
from deltakit.delta.terms import TERMS
from deltakit.tensors import to_float32
from support import goldens as make

GOLDENS = make.goldens()
ALL = {**GOLDENS["terms"], **GOLDENS["codecs"]}
HOW = "make it by `PYTHONPATH=tests python -m support.goldens` and commit tests/delta/file/golden.json"
SAME_ZSTD = GOLDENS["zstd"] == ".".join(map(str, zstandard.ZSTD_VERSION))
SUMMED = {"lowrank", "lowrank_minmax"}  # kinds whose numbers hang on the order of a sum, in the last place


def kinds(case):
    item = case["item"]
    return {p[1] for p in item.get("p", ())} | ({item["a"][0]} if "a" in item else set())


@pytest.mark.parametrize("name", CODECS.names())
def test_every_codec_has_a_golden(name):
    lacking = [label for label, (text, _) in make.codec_cases().items() if text.split("(")[0] == name]
    assert lacking, f"support/goldens.py lists no case of the codec {name!r}"
    lacking = [label for label in lacking if label not in GOLDENS["codecs"]]
    assert not lacking, f"no golden for {lacking}: {HOW}"


@pytest.mark.parametrize("kind", TERMS.names())
def test_every_kind_of_term_has_a_golden(kind):
    held = set().union(*(kinds(case) for case in ALL.values()))
    assert kind in held, f"no golden holds a {kind!r} term: add one to support/goldens.py, then {HOW}"


@pytest.mark.parametrize("label", ALL)
def test_a_golden_is_read_as_ever(label):
    """Bit for bit, but for one unit in the last place of the tuned dtype where the numbers are sums of products."""
    case = ALL[label]
    wanted, found = base64.b64decode(case["tuned"]), make.restored(case)
    if not kinds(case) & SUMMED:
        assert found == wanted
        return
    dtype = case["item"]["d"]
    np.testing.assert_allclose(to_float32(found, dtype), to_float32(wanted, dtype), rtol=2**-7, atol=1e-6)
    assert np.mean(np.frombuffer(found, np.uint16) == np.frombuffer(wanted, np.uint16)) > 0.99


def same(entry, case):
    item, blob = pack_tensor(entry)
    assert item.keys() == case["item"].keys()
    if SAME_ZSTD:  # another zstd may pack the same planes into other frames
        assert (item, blob) == (case["item"], base64.b64decode(case["blob"]))
    else:
        assert make.restored(make.record(entry, case["base"])) == base64.b64decode(case["tuned"])


@pytest.mark.parametrize("label", GOLDENS["terms"])
def test_a_kind_of_term_is_written_as_ever(label):
    same(make.stored_terms()[label](), GOLDENS["terms"][label])


@pytest.mark.parametrize("label", GOLDENS["codecs"])
def test_a_codec_writes_as_ever(label):
    text, budget = make.codec_cases()[label]
    if text.split("(")[0] in make.BY_SVD:
        item, blob = pack_tensor(make.encoded(text, budget))
        assert [p[1] for p in item["p"]] == [p[1] for p in GOLDENS["codecs"][label]["item"]["p"]]
        assert len(blob) == len(base64.b64decode(GOLDENS["codecs"][label]["blob"]))
        return
    same(make.encoded(text, budget), GOLDENS["codecs"][label])


def test_the_inputs_are_the_same_everywhere():
    """A few of the numbers that all goldens are made of."""
    assert make.draw((4,), 1).tolist() == INPUT
    assert make.difference().shape == make.SHAPE
    assert 0.1 < np.mean(make.difference() == 0) < 0.25


INPUT = [0.5483042001724243, 0.7761561274528503, -0.7112715840339661, 1.2381665706634521]
