"""A tenant's numbers and words. Run: pytest tests/tenants/test_tenant.py"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from deltakit.compress.run.files import compress_files
from deltakit.compress.run.request import Request
from deltakit.tenants import ResidentBase
from support.tenants import folder, together


def resident(path: Path) -> ResidentBase:
    base = folder(path / "base", "llama", 0)
    tuned = folder(path / "tuned", "llama", 1, base, extra=2)
    compress_files(Request(str(base), str(tuned), path / "a", "sign(scale='column')"))
    found = ResidentBase.open(str(base), hold="factors")
    found.attach("a", f"{base} + {path / 'a'}")
    return found


def test_what_may_be_trained_moves_the_logits(tmp_path: Path) -> None:
    found = resident(tmp_path)
    tenant = found.tenant("a")
    named = dict(tenant.parameters())
    assert "model.norm.weight" in named
    assert "model.layers.0.self_attn.q_proj.weight#0" in named
    assert named.keys() >= {n for n in tenant.vectors if tenant.vectors[n].dim() == 1}
    for tensor in named.values():
        tensor.requires_grad_(True)
    ids = torch.arange(4, 20).reshape(2, 8)
    with found.rows(["a", None]) as model:
        model(input_ids=ids, use_cache=False).logits[0, :, :90].square().sum().backward()
    unmoved = [n for n, t in named.items() if t.grad is None or not bool(t.grad.any())]
    assert not unmoved
    assert all(p.grad is None for p in found.model.parameters())
    with torch.no_grad():
        before = together(found, ["a"], ids[:1])
        for name, tensor in named.items():
            tensor -= 0.01 * named[name].grad.sign() * tensor.abs().mean()  # type: ignore[union-attr]
        after = together(found, ["a"], ids[:1])
    assert bool((before != after).any())
    name = "model.layers.0.self_attn.q_proj.weight"
    held = tenant.terms[name][0][1]
    np.testing.assert_allclose(held.stored().rows(0, 16), held.dense().detach().numpy(), rtol=1e-2)


def test_words_and_sizes(tmp_path: Path) -> None:
    tenant = resident(tmp_path).tenant("a")
    assert tenant.vocabulary == 90
    assert tenant.tokenizer("ab")["input_ids"]
    assert tenant.tokenizer is tenant.tokenizer
    rows = tenant.rows["lm_head.weight"], tenant.rows["model.embed_tokens.weight"]
    vectors = sum(t.numel() for t in tenant.vectors.values())
    assert tenant.own_bytes == 4 * (sum(r.numel() for r in rows) + vectors)
    assert tenant.nbytes == tenant.own_bytes + sum(h.nbytes for h in tenant.held)
