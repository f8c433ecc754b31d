"""How a config names a model: "path@revision+lora", or a mapping of the same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["Reference", "parse_reference"]

_KEYS = ("model", "lora", "override_architecture")


@dataclass(frozen=True, order=True)
class Reference:
    """A checkpoint, and the adapter that is added to it; each a path or hub id with "@revision" where one is named."""

    model: str
    lora: str = ""
    override: str = ""  # an architecture name, which we have no use for

    @property
    def label(self) -> str:
        """The reference as one word, equal for equal models: it keys the model's random masks."""
        return f"{self.model}+{self.lora}" if self.lora else self.model

    @property
    def text(self) -> str:
        """The MODEL string."""
        return f"{self.model} + {self.lora}" if self.lora else self.model


def parse_reference(data: Any) -> Reference:
    """A reference from a string or mapping. ValueError says what is wrong."""
    if isinstance(data, Reference):
        return data
    if isinstance(data, str):
        return _from_text(data)
    if not isinstance(data, Mapping):
        raise ValueError('a model is text ("path@revision+lora") or a mapping with model:')
    unknown = sorted(str(k) for k in data if k not in _KEYS)
    if unknown or "model" not in data:
        raise ValueError(f"a model's keys are {', '.join(_KEYS)}; found {', '.join(map(str, data)) or 'none'}")
    lora = data.get("lora")
    return Reference(_place(data["model"]), _place(lora) if lora else "", str(data.get("override_architecture") or ""))


def _from_text(text: str) -> Reference:
    if not text.strip():
        raise ValueError("a model's name is empty")
    model, lora = _split(text)
    return Reference(_revised(model, text), _revised(lora, text) if lora else "")


def _split(text: str) -> tuple[str, str]:
    """(model, lora). A path that exists is taken as it is, whatever signs it holds."""
    if "+" not in text or Path(text).exists():
        return text, ""
    cuts = [(text[:i], text[i + 1 :]) for i, sign in enumerate(text) if sign == "+"]
    local = [cut for cut in cuts if Path(cut[0]).exists()]
    found = local or cuts
    if len(found) > 1 and not local:
        raise ValueError(f"{text!r} holds more than one +; write a mapping with model: and lora:")
    model, lora = found[-1]
    if not model or not lora:
        raise ValueError(f"{text!r}: a name is missing beside the +")
    return model, lora


def _revised(text: str, whole: str) -> str:
    if not Path(text).exists() and text.count("@") > 1:
        raise ValueError(f"{whole!r}: more than one @ in {text!r}")
    if text.startswith("@") or text.endswith("@"):
        raise ValueError(f"{whole!r}: a name is missing beside the @")
    return text


def _place(data: Any) -> str:
    """A path, or {path, revision}."""
    if isinstance(data, str) and data.strip():
        return _revised(data, data)
    if not isinstance(data, Mapping) or set(data) - {"path", "revision"} or not isinstance(data.get("path"), str):
        raise ValueError("a model's place is text, or a mapping of path: and revision:")
    revision = data.get("revision")
    return f"{data['path']}@{revision}" if revision else str(data["path"])
