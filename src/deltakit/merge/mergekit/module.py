"""Which tensors belong to a module of a config (text_decoder, vision_tower, ...): their names tell."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from deltakit.errors import MismatchError

__all__ = ["split_modules"]

# Words of module names to words of tensor names; what no pattern claims is text.
_KINDS: Mapping[str, re.Pattern[str]] = {
    "project": re.compile(r"(?:^|\.)(?:\w*projector|\w*connector|aligner|merger|embed_vision|embed_audio)(?:\.|$)"),
    "audio": re.compile(r"(?:^|\.)(?:audio\w*|speech\w*)(?:\.|$)"),
    "vision": re.compile(r"(?:^|\.)(?:vision\w*|visual\w*|vit|image\w*)(?:\.|$)"),
    "encoder": re.compile(r"(?:^|\.)encoder(?:\.|$)"),
    "decoder": re.compile(r"(?:^|\.)decoder(?:\.|$)"),
}
_WORDS = (
    ("project", "project"), ("connector", "project"), ("merger", "project"), ("aligner", "project"),
    ("audio", "audio"), ("speech", "audio"), ("vis", "vision"), ("image", "vision"),
)  # fmt: skip


def split_modules(modules: Sequence[str], names: Iterable[str]) -> dict[str, frozenset[str]]:
    """Module to its tensors. A tensor belongs to the module whose name its own begins with (behind "model."; mergekit
    names the modules of an architecture unknown to it by the stacks of their layers), else to the one of its kind, else
    to "default". MismatchError for modules without tensors and tensors without a module.
    """
    if tuple(modules) == ("default",):
        return {"default": frozenset(names)}
    found: dict[str, set[str]] = {m: set() for m in modules}
    lost = []
    for name in sorted(names):
        module = _module_of(name, modules)
        if module is None:
            lost.append(name)
        else:
            found[module].add(name)
    empty = [f"module {m!r}: no tensor belongs to it" for m in modules if not found[m]]
    lacking = [f"tensor {n!r}: belongs to none of the modules" for n in lost[:20]]
    if empty or lost:
        raise MismatchError(
            f"modules do not cover the model: {len(empty)} empty, {len(lost)} tensors of none",
            remedy="describe every part of the model under modules:",
            details=empty + lacking,
        )
    return {m: frozenset(n) for m, n in found.items()}


def _module_of(name: str, modules: Sequence[str]) -> str | None:
    prefixed = [m for m in modules if name.startswith((f"{m}.", f"model.{m}."))]
    if prefixed:
        return max(prefixed, key=len)
    kind = next((k for k, pattern in _KINDS.items() if pattern.search(name)), "text")
    fitting = [m for m in modules if kind in _kinds(m)]
    if not fitting and kind in ("encoder", "decoder"):
        fitting = [m for m in modules if "text" in _kinds(m)]
    return next(iter(fitting), "default" if "default" in modules else None)


def _kinds(module: str) -> tuple[str, ...]:
    """The kinds of tensors that a module's name claims; a dotted name is a place in the model."""
    if module == "default" or "." in module:
        return ()
    for word, kind in _WORDS:
        if word in module:
            return (kind,)
    if module in ("encoder", "decoder"):
        return (module, "text") if module == "decoder" else (module,)
    return ("text",)
