"""Check a written checkpoint against its manifest: every tensor's bytes, every file beside them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deltakit import manifest as manifests
from deltakit.checkpoint.checksum import Checksum
from deltakit.checkpoint.open import Checkpoint, open_checkpoint
from deltakit.checkpoint.pump import Progress, Shared, pump, silent
from deltakit.errors import VerificationError
from deltakit.tensors import row_blocks

__all__ = ["Verified", "verify_checkpoint"]


@dataclass(frozen=True)
class Verified:
    """What was compared; `manifest` False means that there was none, and only the format was checked."""

    tensors: int
    nbytes: int
    manifest: bool


def verify_checkpoint(where: str | Path, *, threads: int = 0, progress: Progress = silent) -> Verified:
    """Read every byte and compare with the manifest; VerificationError lists every tensor and file that differs.

    Without a manifest a flipped bit cannot be seen: format and index are checked, and `manifest` is False.
    """
    checkpoint = open_checkpoint(where, strict=True, allow_quantised=True)
    found = manifests.read_manifest(checkpoint.path)
    nbytes = sum(spec.nbytes for spec in checkpoint.specs.values())
    if found is None or "output" not in found:
        return Verified(len(checkpoint.specs), nbytes, False)
    problems = _sidecar(checkpoint.path, found["output"].get("sidecar", {}))
    problems += _tensors(checkpoint, found["output"]["tensors"], threads, progress)
    if problems:
        remedy = "make or fetch the checkpoint again; the disk may be failing"
        raise VerificationError(f"{where} differs from its manifest", details=problems, remedy=remedy)
    return Verified(len(checkpoint.specs), nbytes, True)


def _tensors(checkpoint: Checkpoint, wanted: dict[str, Any], threads: int, progress: Progress) -> list[str]:
    problems = [f"tensor {name!r} is missing" for name in sorted(wanted.keys() - checkpoint.specs.keys())]
    problems += [f"tensor {name!r} is not in the manifest" for name in sorted(checkpoint.specs.keys() - wanted.keys())]
    names = [name for name in checkpoint.order if name in wanted]
    shared = Shared(progress)
    progress.start("verifying", sum(checkpoint.specs[n].nbytes for n in names))
    try:
        for name, found in pump(names, lambda n: _entry(checkpoint, n, wanted[n], shared), threads=threads):
            if found != wanted[name]:
                problems.append(f"tensor {name!r}: {_differing(wanted[name], found)}")
    finally:
        progress.stop()
    return problems


def _entry(checkpoint: Checkpoint, name: str, wanted: dict[str, Any], progress: Progress) -> dict[str, Any]:
    spec, state = checkpoint.specs[name], Checksum(str(wanted.get("checksum")))
    for lo, hi in row_blocks(spec):
        raw = checkpoint.buffer(name, lo, hi)
        state.update(raw)
        progress.advance(raw.nbytes, name)
    return {"dtype": spec.dtype, "shape": list(spec.shape), "checksum": state.text}


def _differing(wanted: dict[str, Any], found: dict[str, Any]) -> str:
    return ", ".join(f"{k} {found[k]}, the manifest says {wanted.get(k)}" for k in found if found[k] != wanted.get(k))


def _sidecar(folder: Path, wanted: dict[str, str]) -> list[str]:
    problems = []
    for name, said in sorted(wanted.items()):
        path = folder / name
        if not path.is_file():
            problems.append(f"{name} is missing")
        elif manifests.digest(path.read_bytes()) != said:
            problems.append(f"{name}: its digest differs")
    return problems
