"""Name maps: how the names of an adapter's modules meet the names of a checkpoint's tensors."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from deltakit.errors import MismatchError, NoEffectError

__all__ = ["PREFIXES", "align", "meet"]

# Wrappers that save the same tensors under longer or shorter names.
PREFIXES = ("", "model.", "transformer.", "language_model.", "model.language_model.", "base_model.")


def meet(modules: Iterable[str], names: Iterable[str]) -> Mapping[str, str]:
    """module -> the tensor name of its weight, with one prefix added or taken away throughout where that is needed.

    Modules that match nothing are an error that lists them all: MismatchError for some, NoEffectError where all do.
    """
    known, wanted = set(names), sorted(modules)
    for take in PREFIXES:
        for give in PREFIXES:
            found = {m: f"{give}{m.removeprefix(take)}.weight" for m in wanted if m.startswith(take)}
            if len(found) == len(wanted) and all(n in known for n in found.values()):
                return found
    lost = [m for m in wanted if f"{m}.weight" not in known]
    said = lost[:20] + ([f"... and {len(lost) - 20} more"] if len(lost) > 20 else [])
    remedy = "name the base that the adapter was trained on"
    if not _touches(wanted, known):
        raise NoEffectError(
            "the adapter has no effect: none of its modules is in the base", remedy=remedy, details=said
        )
    raise MismatchError(
        f"{len(lost)} of the adapter's {len(wanted)} modules are not in the base", remedy=remedy, details=said
    )


def _touches(modules: Iterable[str], known: set[str]) -> bool:
    """Whether any module is there under any prefix."""
    bare = {m.removeprefix(take) for m in modules for take in PREFIXES if m.startswith(take)}
    return any(f"{give}{m}.weight" in known for m in bare for give in PREFIXES)


def align(names: Iterable[str], known: Iterable[str]) -> Mapping[str, str]:
    """Tensor name -> the name that `known` has for it, or itself: one prefix is exchanged for another throughout where
    more of the names meet that way than as they are, and most of either side do.

    Prefixes are PREFIXES and what the names themselves begin with ("bert.", "roberta."). A model body saved alone meets
    the same body within a larger model, a language model the one within a model of several towers.
    """
    ours, theirs = sorted(names), set(known)
    best, most = {n: n for n in ours}, sum(n in theirs for n in ours)
    fewest = min(len(ours), len(theirs))
    if most == fewest:
        return best
    for take in _beginnings(ours):
        for give in _beginnings(theirs):
            found = {n: give + n.removeprefix(take) if n.startswith(take) else n for n in ours}
            if not take:  # heads beside a body stay beside it
                found = {n: new if new in theirs else n for n, new in found.items()}
            hits = sum(n in theirs for n in found.values())
            if hits > most and 2 * hits >= fewest and len(set(found.values())) == len(found):
                best, most = found, hits
    return best


def _beginnings(names: Iterable[str]) -> list[str]:
    """The prefixes that some of the names begin with, the empty one first."""
    names = list(names)
    counts = Counter(p for n in names for p in (n.split(".", 1)[0], ".".join(n.split(".", 2)[:2])) if p != n)
    often = sorted(f"{p}." for p, count in counts.items() if 2 * count >= len(names))
    return [p for p in dict.fromkeys((*PREFIXES, *often)) if any(n.startswith(p) for n in names)]
