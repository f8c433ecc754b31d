"""A delta as lm-eval reads one: a Hugging Face folder of differences, for `--model_args pretrained=BASE,delta=FOLDER`.

lm-eval adds it to the base tensor by tensor, in place, rounding to the base's dtype.
"""

from __future__ import annotations

from collections import Counter

from deltakit.checkpoint.open import Checkpoint
from deltakit.checkpoint.sidecar import Sidecar
from deltakit.delta.expression import Delta
from deltakit.errors import MismatchError
from deltakit.runtime.hollow import hollow_model, weights_of
from deltakit.runtime.places import find_places
from deltakit.tensors import Mapped, TensorMap, TensorSpec, as_bytes, from_float32

__all__ = ["differences"]


def differences(base: Checkpoint, delta: Delta) -> tuple[TensorMap, Sidecar]:
    """All differences in float32, under the base's names, with the base's configuration.

    MismatchError lists what lm-eval could not add: rows and tensors that the base lacks, tensors that the fine-tune
    lacks, integers that changed. A tied embedding is refused where it changed: lm-eval would add it twice.
    """
    problems = [f"{n}: the fine-tune lacks it" for n in delta.missing]
    for name, spec in delta.specs.items():
        entry = delta.entries[name]
        if name not in base.specs or entry.shared < spec.rows:
            problems.append(f"{name} {list(spec.shape)}: has rows that the base lacks")
        elif entry.parts and not spec.is_float:
            problems.append(f"{name}: {spec.dtype} numbers that changed")
    problems += _tied(base, delta)
    if problems:
        raise MismatchError(
            "lm-eval cannot add this delta", details=problems,
            remedy='write a model with --to hf, or evaluate the expression: deltakit eval "BASE + D"',
        )  # fmt: skip
    specs = {n: TensorSpec(s.shape, "F32" if s.is_float else s.dtype) for n, s in delta.specs.items()}

    def pull(name: str, lo: int, hi: int) -> memoryview:
        if not specs[name].is_float:
            return base.buffer(name, lo, hi)
        return as_bytes(from_float32(delta.rows(name, lo, hi), "F32"))

    return Mapped(specs, pull), base.sidecar.with_config(dtype="float32", torch_dtype="float32")


def _tied(base: Checkpoint, delta: Delta) -> list[str]:
    """Tensors that the running model uses in two places (an embedding that is the head, too), where they changed."""
    model = hollow_model(base.specs, base.sidecar)
    weights = weights_of(model)
    uses = Counter(id(w) for w in weights.values())
    tied = [n for n, w in weights.items() if uses[id(w)] > 1]
    changed = [n for n in find_places(model, tied, base.specs) if n in delta.specs and delta.entries[n].parts]
    return [f"{n}: the model uses it twice, and lm-eval would add its delta twice" for n in changed]
