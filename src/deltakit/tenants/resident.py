"""One base in memory, and many fine-tunes of it beside each other: BitDelta's and Punica's idea for any expression."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch

from deltakit.checkpoint.fingerprint import fingerprint
from deltakit.checkpoint.open import Checkpoint, open_checkpoint
from deltakit.checkpoint.sidecar import Sidecar
from deltakit.delta.applied import Applied
from deltakit.delta.difference import difference
from deltakit.delta.expression import Lineage
from deltakit.delta.open import Model, Shared, applied, open_model
from deltakit.errors import InputError, MismatchError, RecipeError
from deltakit.runtime.load import load_model
from deltakit.runtime.skeleton import model_config
from deltakit.tenants.bank import Bank
from deltakit.tenants.frame import Frame
from deltakit.tenants.modules import aware, plain
from deltakit.tenants.placing import placed
from deltakit.tenants.rows import Assignment, Now
from deltakit.tenants.table import Table
from deltakit.tenants.tenant import Tenant
from deltakit.tenants.vocabulary import cut_logits

__all__ = ["FORMS", "ResidentBase"]

FORMS = ("auto", "terms", "rows")
# What may differ between the configs of a base and its tenant: it changes no arithmetic.
_FREE = {
    "architectures", "dtype", "torch_dtype", "transformers_version", "use_cache", "vocab_size", "tie_word_embeddings",
    "bos_token_id", "eos_token_id", "pad_token_id", "_name_or_path", "name_or_path", "initializer_range",
}  # fmt: skip


class ResidentBase:
    """A transformers model of a base checkpoint, loaded once, with tenants attached by name.

    `model` runs as it always does; within `rows(names)` the rows of its batch belong to tenants. One thread at a time.
    """

    def __init__(self, base: Checkpoint, *, dtype: str = "float32", device: str = "cpu", hold: str = "fast") -> None:
        self.base = base
        self.sidecar: Sidecar = base.sidecar
        self.model = load_model(base, base.sidecar, dtype, device)
        self.bank = Bank(hold, self.model.dtype, device)
        self.tenants: dict[str, Tenant] = {}
        self._frame = Frame.of(self.model, base.specs)
        self._tables: dict[str, Table] = {}
        self._opened: Shared = {}
        self._now = Now()
        self._last: Assignment | None = None
        self._fingerprint = fingerprint(base)
        self.model.register_forward_hook(self._cut)

    @classmethod
    def open(cls, path: str, **settings: Any) -> ResidentBase:
        """The base checkpoint at a path; settings as in the constructor."""
        return cls(open_checkpoint(path), **settings)

    def attach(self, name: str, text: str) -> Tenant:
        """Attach what a MODEL string names: an expression over this base, or another checkpoint or recipe of its shape.

        MismatchError if it stands over another base, computes otherwise, or changes what cannot be told apart by rows.
        """
        if not name or name in self.tenants:
            raise RecipeError(f"tenant {name!r}: a name is needed, and only once", remedy="choose another name")
        model = self._over_base(open_model(text, shared=self._opened))
        self._check_config(model)
        tenant = placed(name, model, self._frame, self.bank)
        self.tenants[name] = tenant
        for module, share in tenant.shares.items():
            table = self._tables.get(module)
            if table is None:
                table = self._tables[module] = Table(module, self._now, self._frame.layouts.get(module, ""))
                parameter = next((p for p in (*share.pieces, *share.own)), "weight")
                kind = self._frame.kind(module, parameter)
                assert kind is not None
                aware(self._frame.modules[module], kind, table)
            table.shares[name] = share
            table.changed()
        self._settle()
        return tenant

    def detach(self, name: str) -> None:
        """Let a tenant go, and what no other uses."""
        tenant = self.tenant(name)
        del self.tenants[name]
        for module in tenant.shares:
            table = self._tables[module]
            del table.shares[name]
            table.changed()
            if not table.shares:
                plain(self._frame.modules[module])
                del self._tables[module]
        self._settle()

    def tenant(self, name: str) -> Tenant:
        """The tenant of that name; InputError where there is none."""
        if name not in self.tenants:
            known = ", ".join(self.tenants) or "none"
            raise InputError(f"no tenant {name!r}", remedy=f"attached: {known}")
        return self.tenants[name]

    @property
    def form(self) -> str:
        """How changes are added: "auto", "terms" (each term once), or "rows" (each row by itself: the oracle, whose
        bits do not depend on the neighbours' tenants)."""
        return self._now.form

    @form.setter
    def form(self, form: str) -> None:
        if form not in FORMS:
            raise RecipeError(f"form {form!r}", remedy=f"use one of {', '.join(FORMS)}")
        self._now.form = form

    @contextmanager
    def rows(self, names: Sequence[str | None]) -> Iterator[Any]:
        """Within the block row i of every batch belongs to tenant names[i]; None is the base alone. Logits have the
        width of the widest vocabulary; behind a row's own they are -inf."""
        for name in dict.fromkeys(n for n in names if n is not None):
            self.tenant(name)
        if self._last is None or self._last.names != tuple(names):
            self._last = Assignment(names, self.model.device)
        before, self._now.rows = self._now.rows, self._last
        try:
            yield self.model
        finally:
            self._now.rows = before

    def width(self, name: str | None) -> int:
        """How many logits a row of this tenant has."""
        if name is not None:
            return self.tenant(name).vocabulary
        head = self.model.get_output_embeddings()
        return int((self.model.get_input_embeddings() if head is None else head).weight.shape[0])

    def memory(self) -> dict[str, Any]:
        """Bytes: {"base", "terms" (each held once), "tenants": {name: {"uses", "own"}}}; "uses" counts shared terms in
        full, "own" what no other tenant can share."""
        base = sum(p.numel() * p.element_size() for p in self.model.parameters())
        tenants = {n: {"uses": t.nbytes, "own": t.own_bytes} for n, t in self.tenants.items()}
        return {"base": base, "terms": self.bank.nbytes, "tenants": tenants}

    def _over_base(self, model: Model) -> Model:
        """The model as base + delta over this very base; a checkpoint, or what a recipe makes, as its difference."""
        if isinstance(model.tensors, Applied):
            if fingerprint(model.tensors.base) == self._fingerprint:
                return model
            raise MismatchError(
                f"{model.source!r} stands over another base", remedy="name the base that is loaded, or load that one"
            )
        if model.base is None and fingerprint(model.tensors) == self._fingerprint:
            delta = difference(self.base, self.base, lineage=Lineage()).map(lambda _, entry: replace(entry, parts=()))
        else:
            delta = difference(self.base, model.tensors, lineage=Lineage())
        return replace(applied(self.base, delta, model.source), sidecar=model.sidecar)

    def _check_config(self, model: Model) -> None:
        """A tenant must compute as the base does; only its vocabulary and its words may differ."""
        own, base = (_flat(model_config(s).to_dict()) for s in (model.sidecar, self.sidecar))
        wrong = [
            f"{k}: {own.get(k)!r}, the base has {base.get(k)!r}" for k in sorted({*own, *base}) if _differ(k, own, base)
        ]
        if wrong:
            raise MismatchError(
                f"{model.source!r} computes otherwise than its base (config.json)", details=wrong,
                remedy="serve this tenant alone, as a model of its own",
            )  # fmt: skip

    def _settle(self) -> None:
        self._last = None
        self.bank.keep(h for t in self.tenants.values() for s in t.shares.values() for h in s.held)

    def _cut(self, model: Any, args: Any, out: Any) -> Any:
        """After every forward pass: no logits behind a row's own vocabulary."""
        rows = self._now.rows
        if rows is not None and isinstance(getattr(out, "logits", None), torch.Tensor):
            sizes = {name: tenant.vocabulary for name, tenant in self.tenants.items()}
            out.logits = cut_logits(out.logits, rows, sizes, self.width(None))
        return out


def _flat(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested keys as a.b."""
    found: dict[str, Any] = {}
    for key, value in config.items():
        inner = _flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value}
        found.update(inner)
    return found


def _differ(key: str, own: Mapping[str, Any], base: Mapping[str, Any]) -> bool:
    return key.rpartition(".")[2] not in _FREE and own.get(key) != base.get(key)
