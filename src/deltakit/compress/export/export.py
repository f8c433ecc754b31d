"""Export what is named on a command line: BASE and a delta over it, to the format of another tool."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

from deltakit.calibrate.sampling import Sampling
from deltakit.card import model_card
from deltakit.checkpoint.dequantised import open_floats
from deltakit.checkpoint.fingerprint import fingerprint
from deltakit.checkpoint.job import Job, prepare
from deltakit.checkpoint.open import Checkpoint
from deltakit.checkpoint.pump import Progress, silent
from deltakit.checkpoint.staging import check_apart
from deltakit.checkpoint.write import plan_job, write_job
from deltakit.compress.export.lm_eval_delta import differences
from deltakit.compress.export.peft_lora import Exported, LoraRequest, export_lora, plan_lora
from deltakit.compress.run.store import collect, open_hessians
from deltakit.delta.expression import Delta
from deltakit.delta.file.restore import plan_restore, restore
from deltakit.delta.open import local_paths, open_as_delta
from deltakit.errors import RecipeError
from deltakit.manifest import describe_input, make_manifest

__all__ = ["FORMATS", "Request", "export", "plan_export"]

Format = Literal["hf", "lm-eval-delta", "peft-lora"]
FORMATS: tuple[Format, ...] = ("peft-lora", "lm-eval-delta", "hf")


@dataclass(frozen=True)
class Request:
    """BASE and DELTA as MODEL strings, the format, the folder to write, and how an adapter is made: with `sampling` for
    the inputs that text gives in the base, whose Hessians are kept in the file `hessians` where one is named (one that
    is there already is taken)."""

    base: str
    delta: str
    to: Format
    out: Path
    lora: LoraRequest = field(default_factory=LoraRequest)
    sampling: Sampling | None = None
    hessians: Path | None = None
    overwrite: bool = False
    threads: int = 0

    def __post_init__(self) -> None:
        if self.to not in FORMATS:
            raise RecipeError(f"unknown format {self.to!r}", remedy=f"known: {', '.join(FORMATS)}")


def export(request: Request, progress: Progress = silent) -> dict[str, Any]:
    """Write it; JSON-able: output, bytes, and for an adapter what it retains and what it leaves out. Errors:
    MismatchError (wrong base; what the format cannot hold), NoEffectError, the writer's."""
    if request.to == "hf":
        made = restore(
            request.base, request.delta, request.out, overwrite=request.overwrite, threads=request.threads,
            progress=progress,
        )  # fmt: skip
        return {"output": str(made.written.path), "bytes": made.written.nbytes, "exact": made.exact}
    base, delta, manifest = _opened(request)
    if request.to == "lm-eval-delta":
        job = _differences(base, delta, request, manifest)
        written = write_job(job, overwrite=request.overwrite, threads=request.threads, progress=progress)
        return {"output": str(written.path), "bytes": written.nbytes}
    with _seen(request, base, progress) as lora:
        adapter = export_lora(
            base, delta, request.out, lora, manifest, overwrite=request.overwrite, threads=request.threads,
            progress=progress,
        )  # fmt: skip
    return _said(adapter)


def plan_export(request: Request) -> dict[str, Any]:
    """What `export` would do, JSON-able; raises what it would raise before it writes."""
    if request.to == "hf":
        return plan_restore(request.base, request.delta, request.out, overwrite=request.overwrite)
    base, delta, manifest = _opened(request)
    if request.to == "lm-eval-delta":
        return plan_job(_differences(base, delta, request, manifest), overwrite=request.overwrite)
    return plan_lora(
        base, delta, request.out, request.lora, manifest, overwrite=request.overwrite, threads=request.threads
    )


@contextmanager
def _seen(request: Request, base: Checkpoint, progress: Progress) -> Iterator[LoraRequest]:
    """How the adapter is made, with what enters the base's matrices where that is asked for."""
    if request.sampling is None and request.hessians is None:
        yield request.lora
        return
    with TemporaryDirectory() as folder:
        path = Path(request.hessians or Path(folder) / "hessians.safetensors")
        if not path.exists():
            collect(path, base, request.sampling or Sampling(), progress=progress)
        yield replace(request.lora, hessians=open_hessians(path, base, request.sampling))


def _opened(request: Request) -> tuple[Checkpoint, Delta, dict[str, Any]]:
    """The base, the delta bound to it, and the manifest."""
    base = open_floats(request.base)
    check_apart(Path(request.out).resolve(), [p.resolve() for p in (*base.inputs, *local_paths(request.delta))])
    delta = open_as_delta(request.delta, base)
    inputs = [
        describe_input(base.source, fingerprint(base), role="base"),
        describe_input(request.delta, delta.lineage.tuned, role="delta", note=dict(delta.lineage.note)),
    ]
    return base, delta, make_manifest("export", inputs=inputs, recipe={"to": request.to})


def _differences(base: Checkpoint, delta: Delta, request: Request, manifest: Mapping[str, Any]) -> Job:
    tensors, sidecar = differences(base, delta)
    card = model_card(manifest, title="A delta for lm-eval", relation="finetune").encode()
    return prepare(tensors, Path(request.out), sidecar.with_files({"README.md": card}), manifest, inputs=(base,))


def _said(made: Exported) -> dict[str, Any]:
    return {
        "output": str(made.written.path), "bytes": made.written.nbytes, "rank": made.rank, "retained": made.share,
        "modules": {n: r.share for n, r in made.retained.items()},
        "dropped": {n: {"why": why, "share": made.lost[n]} for n, why in made.dropped.items()},
    }  # fmt: skip
