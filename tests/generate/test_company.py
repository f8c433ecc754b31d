"""Which models share a base, and what the engine over it says. Run: pytest tests/generate/test_company.py"""

from __future__ import annotations

import itertools
import logging
from dataclasses import replace
from pathlib import Path

import pytest

from deltakit.delta.open import open_model
from deltakit.errors import RecipeError
from deltakit.generate import Host, Request
from deltakit.generate.company import base_of, companies, named_tenants, resident_engine
from support.fleet import fleet
from support.tenants import folder


def test_models_keep_company_by_their_base() -> None:
    assert companies(["b", "a + x", "b + y", "c"]) == [["b", "b + y"], ["a + x"], ["c"]]
    one = fleet()
    assert len(companies(one.models)) == 1
    assert base_of(one.models[3]) == str(one.base)


def test_tenants_by_name() -> None:
    assert named_tenants("b + 0.5*x", ["math=m", "mix=0.6*m + 0.4*c"]) == {"math": "b + m", "mix": "b + 0.6*m + 0.4*c"}
    for wrong in (["math"], ["=m"], ["math="], ["math=m", "math=n"]):
        with pytest.raises(RecipeError, match="--tenant"):
            named_tenants("b", wrong)
    with pytest.raises(RecipeError, match="is no base"):
        named_tenants(str(fleet().math), ["a=b"])


def test_a_batch_of_tenants_answers_as_each_alone_does() -> None:
    models = fleet().models
    engine, tenants, alone = resident_engine(models, "cpu", "float32", "fast")
    assert list(tenants) == models
    assert tenants[models[0]] is None
    assert not alone
    asked = []
    for i, m in itertools.product(range(4), models):
        ids = engine.tokenizer_of(tenants[m])(f"one {i}")["input_ids"]
        asked += [Request(tuple(ids), 4 + 3 * i, seed=i, temperature=t, tenant=tenants[m]) for t in (0.0, 1.0)]
    found = engine.generate(asked)
    for name, tenant in tenants.items():
        apart = Host(device="cpu").serve(open_model(name))
        own = [i for i, r in enumerate(asked) if r.tenant == tenant]
        assert [found[i] for i in own] == apart.generate([replace(asked[i], tenant=None) for i in own])
    assert len({c.tokens for c in found}) > 8


def test_shared_beginnings_and_scores_are_each_tenants_own() -> None:
    models = fleet().models[:3]
    engine, tenants, _ = resident_engine(models, "cpu", "float32", "packed")
    template = tuple(range(10, 40))
    asked = [Request((*template, 5 + i), 6, tenant=tenants[m]) for i in range(3) for m in models]
    found = engine.generate(asked)
    pairs = [((1, 5, 7), (9, 11)), ((4, 8), (6,))]
    names = [tenants[m] for m in models for _ in pairs]
    scores = engine.score(pairs * 3, tenants=names)
    for i, name in enumerate(models):
        apart = Host(device="cpu").serve(open_model(name))
        assert [found[j] for j in range(i, 9, 3)] == apart.generate(
            [Request(asked[j].prompt, 6) for j in range(i, 9, 3)]
        )
        for got, want in zip(scores[2 * i : 2 * i + 2], apart.score(pairs), strict=True):
            assert got == pytest.approx(want, rel=1e-5)


def test_what_cannot_be_beside_others_is_told_and_left(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    base = folder(tmp_path / "base", "gpt_oss", 0)
    tuned = folder(tmp_path / "tuned", "gpt_oss", 1, base)
    model = f"{base} + {tuned}"
    with caplog.at_level(logging.WARNING, "deltakit"):
        _, tenants, alone = resident_engine([str(base), model], "cpu", "float32", "fast")
    assert list(tenants) == [str(base)]
    assert alone == [model]
    assert "served alone" in caplog.text
    assert "sinks" in caplog.text
