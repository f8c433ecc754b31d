"""Name maps: how the names of an adapter's modules meet the names of a checkpoint's tensors."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from deltakit.errors import MismatchError

__all__ = ["PREFIXES", "meet"]

# Wrappers that save the same tensors under longer or shorter names.
PREFIXES = ("", "model.", "transformer.", "language_model.", "model.language_model.", "base_model.")


def meet(modules: Iterable[str], names: Iterable[str]) -> Mapping[str, str]:
    """module -> the tensor name of its weight, with one prefix added or taken away throughout where that is needed.

    Modules that match nothing are an error that lists them all: an adapter that touches nothing is no adapter.
    """
    known, wanted = set(names), sorted(modules)
    for take in PREFIXES:
        for give in PREFIXES:
            found = {m: f"{give}{m.removeprefix(take)}.weight" for m in wanted if m.startswith(take)}
            if len(found) == len(wanted) and all(n in known for n in found.values()):
                return found
    lost = [m for m in wanted if f"{m}.weight" not in known]
    raise MismatchError(
        f"{len(lost)} of the adapter's {len(wanted)} modules are not in the base",
        remedy="name the base that the adapter was trained on",
        details=lost[:20] + ([f"... and {len(lost) - 20} more"] if len(lost) > 20 else []),
    )
