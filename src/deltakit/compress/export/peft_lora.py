"""A delta as a PEFT LoRA that vLLM and SGLang serve: factors of one rank, alpha = rank, nothing beside them.

Each matrix is refitted by a truncated SVD; with calibrated inputs, by the SVD of the whitened matrix, which is the best
of its rank for the outputs (SVD-LLM, arXiv 2403.07378; QERA, arXiv 2410.06040).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deltakit.card import model_card
from deltakit.checkpoint.job import Job
from deltakit.checkpoint.open import Checkpoint
from deltakit.checkpoint.pump import Progress, pump, silent
from deltakit.checkpoint.write import Written, plan_job, write_job
from deltakit.compress.export.ranks import check_rank, rank_for
from deltakit.compress.export.retained import Retained, energy_of, measure
from deltakit.compress.hessian import Hessian
from deltakit.compress.offer import Study
from deltakit.delta.expression import Delta
from deltakit.delta.lora import Cut, Wanted, as_lora, lora_job
from deltakit.delta.terms.base import Float32
from deltakit.delta.terms.lowrank import LowRank
from deltakit.tensors import TensorSpec

__all__ = ["Exported", "LoraRequest", "export_lora", "plan_lora"]


@dataclass(frozen=True)
class LoraRequest:
    """`rank` of every module (0: the smallest that keeps the share `energy`), the factors' dtype, whether norms,
    embeddings and heads go into the adapter too (modules_to_save: peft loads them, vLLM refuses), and the inputs."""

    rank: int = 0
    energy: float = 0.95
    dtype: str = "BF16"
    whole: bool = False
    hessians: Mapping[str, Hessian] | None = None


@dataclass(frozen=True)
class Exported:
    """A written adapter: its rank, what each module retains, what was left out with the reason and the share of the
    whole delta's squared norm that it had."""

    written: Written
    rank: int
    retained: Mapping[str, Retained]
    dropped: Mapping[str, str]
    lost: Mapping[str, float]

    @property
    def share(self) -> float:
        """Of the squared norm of all modules that the adapter covers."""
        energy = sum(r.energy for r in self.retained.values())
        return 1.0 - sum(r.lost for r in self.retained.values()) / energy if energy else 1.0


def export_lora(
    base: Checkpoint, delta: Delta, out: Path, request: LoraRequest, manifest: Mapping[str, Any], *,
    overwrite: bool = False, threads: int = 0, progress: Progress = silent,
) -> Exported:  # fmt: skip
    """Write `delta`, bound to `base`, as an adapter folder. Errors: RecipeError (rank), MismatchError (no matrix of it
    fits), the writer's."""
    wanted = _wanted(delta, base, request, threads)
    made = as_lora(delta, base, wanted)
    job = _job(base, delta, out, wanted, manifest)
    written = write_job(job, overwrite=overwrite, threads=threads, progress=progress)
    retained = measure(out, base, delta, made.factored)
    left = {n: energy_of(delta.entries[n]) for n in made.dropped}
    whole = sum(left.values()) + sum(r.energy for r in retained.values())
    rank = int(made.config["r"])
    return Exported(written, rank, retained, made.dropped, {n: e / whole if whole else 0.0 for n, e in left.items()})


def plan_lora(
    base: Checkpoint, delta: Delta, out: Path, request: LoraRequest, manifest: Mapping[str, Any], *,
    overwrite: bool = False, threads: int = 0,
) -> dict[str, Any]:  # fmt: skip
    """What `export_lora` would do, JSON-able. Reads weights only to find a rank."""
    wanted = _wanted(delta, base, request, threads)
    made = as_lora(delta, base, wanted)
    plan = plan_job(_job(base, delta, out, wanted, manifest), overwrite=overwrite)
    return {**plan, "rank": int(made.config["r"]), "modules": list(made.factored), "dropped": dict(made.dropped)}


def _wanted(delta: Delta, base: Checkpoint, request: LoraRequest, threads: int) -> Wanted:
    cut = None if request.hessians is None else _whitened(request.hessians)
    first = Wanted(request.rank or 1, request.dtype, served=not request.whole, cut=cut)
    if request.rank:
        check_rank(request.rank)
        return first
    names = as_lora(delta, base, first).factored
    spectra = dict(pump(list(names), lambda name: _spectrum(delta, name), threads=threads))
    return Wanted(rank_for(spectra, request.energy), request.dtype, served=not request.whole, cut=cut)


def _spectrum(delta: Delta, name: str) -> NDArray[np.float64]:
    """Squared singular values, descending; of a product, as many as its rank."""
    entry = delta.entries[name]
    spec = entry.shared_spec
    found = Study(spec, delta.rows(name, 0, spec.rows)).spectrum
    terms = [p.term for p in entry.parts if isinstance(p.term, LowRank)]
    return found[: sum(t.rank for t in terms)] if len(terms) == len(entry.parts) else found


def _whitened(hessians: Mapping[str, Hessian]) -> Cut:
    """Cuts by the codec that knows inputs: the factors of its term in float32."""
    from deltakit.compress.codec import Context
    from deltakit.compress.codecs.lowrank import Lowrank
    from deltakit.delta.site import Site

    def cut(name: str, matrix: Float32, rank: int) -> tuple[Float32, Float32]:
        spec = TensorSpec(matrix.shape, "F32")
        ctx = Context(Site(name), spec, None, hessians.get(name))
        terms = Lowrank(rank=min(rank, *matrix.shape), dtype="F32").encode(matrix, ctx)
        factors = [t.factors() for t in terms if isinstance(t, LowRank)]
        return np.concatenate([u * s for u, s, _ in factors], axis=1), np.concatenate([v for *_, v in factors], axis=1)

    return cut


def _job(base: Checkpoint, delta: Delta, out: Path, wanted: Wanted, manifest: Mapping[str, Any]) -> Job:
    card = model_card(manifest, title="A delta as a LoRA adapter", relation="adapter").encode()
    return lora_job(
        delta, base, out, wanted, adapters=(), base_name=str(base.source), manifest=manifest, card=card, inputs=(base,)
    )
