"""Kept terms give the same bytes, and are read once."""

import pytest

from deltakit.delta.file.extract import extract
from deltakit.delta.kept import Kept, keeping
from deltakit.delta.open import open_model
from deltakit.delta.terms.tied import Tied
from support.models import tiny_tuned
from support.tensors import whole


@pytest.fixture
def texts(tiny_base, tmp_path):
    for name, seed in (("a", 2), ("b", 4)):
        tuned = tiny_tuned(tiny_base, tmp_path / name, seed=seed)
        extract(str(tiny_base), str(tuned), tmp_path / f"{name}.delta")
    a, b = tmp_path / "a.delta", tmp_path / "b.delta"
    return [f"{tiny_base} + {x}*{a} + {y}*{b}" for x, y in ((0.5, 0.5), (1.0, 0.25), (1.0, 1.0))] + [
        f"{tiny_base} + {a}"
    ]


def opened(texts):
    shared = {}
    return [open_model(text, shared=shared) for text in texts]


def test_the_same_bytes_from_one_reading(texts, monkeypatch):
    expected = [whole(open_model(text).tensors) for text in texts]
    models = keeping(opened(texts), 1 << 30)
    assert [whole(model.tensors) for model in models] == expected
    with monkeypatch.context() as patch:
        patch.setattr(Tied, "rows", lambda self, lo, hi: pytest.fail("read again"))
        assert [whole(model.tensors) for model in models[:3]] == expected[:3]
    assert [model.source for model in models] == texts


def test_what_exceeds_the_budget_is_read_each_time(texts):
    models = keeping(opened(texts), 30_000)
    terms = [p.term for m in models[:3] for e in m.delta.entries.values() for p in e.parts]
    held = {id(t): t for t in terms if isinstance(t, Kept)}
    assert 0 < sum(t.spec.numel * 4 for t in held.values()) <= 30_000
    assert any(not isinstance(t, Kept) for t in terms)
    assert [whole(m.tensors) for m in models] == [whole(open_model(text).tensors) for text in texts]


def test_terms_of_one_model_alone_are_not_kept(texts, tiny_base):
    alone = opened(texts[:1])
    assert keeping(alone, 1 << 30) == alone
    (base,) = opened([str(tiny_base)])
    assert keeping([base, base], 1 << 30) == [base, base]


def test_what_is_kept_cannot_be_changed(texts):
    first, second = keeping(opened(texts[:2]), 1 << 30)
    (term, *_) = [p.term for e in first.delta.entries.values() for p in e.parts]
    with pytest.raises(ValueError, match="read-only"):
        term.rows(0, 1)[:] = 0
    assert term.save() == term._term.save()
    with pytest.raises(TypeError):
        Kept.load({}, memoryview(b""), term.spec)
