"""What lies beside the weights: config, tokenizer, chat template, licence; carried over and cleaned."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from deltakit.checkpoint.confine import confined
from deltakit.checkpoint.strict_json import parse_json
from deltakit.errors import CheckpointError

__all__ = ["SIDECAR_PATTERNS", "Sidecar", "read_sidecar"]

# An allow-list: code (*.py), notebooks, pickles and unknown files are never carried over.
SIDECAR_PATTERNS = (
    "config.json", "generation_config.json", "tokenizer*.json", "tokenizer.model", "vocab.json", "vocab.txt",
    "merges.txt", "special_tokens_map.json", "added_tokens.json", "spiece.model", "preprocessor_config.json",
    "processor_config.json", "video_preprocessor_config.json", "tekken.json", "chat_template.jinja",
    "chat_template.json", "LICENSE*", "NOTICE*",
)  # fmt: skip
MAX_FILE = 256_000_000  # bytes; the largest real tokenizer.json is about 35 MB
# Keys that name code, hub repositories of code, or a path of the machine that wrote them.
_UNSAFE_KEYS = (
    "auto_map", "custom_pipelines", "custom_generate", "trust_remote_code", "attn_implementation",
    "experts_implementation", "name_or_path", "special_tokens_map_file", "tokenizer_file",
)  # fmt: skip
# The one underscored key that is plain data: transformers' mark of a derived generation config.
_HARMLESS = ("_from_model_config",)
_LABELS = ("label2id",)  # their keys are a person's words, not settings


@dataclass(frozen=True)
class Sidecar:
    """Files beside the weights: plain name to content, sorted by name."""

    files: Mapping[str, bytes] = field(default_factory=dict)

    @property
    def config(self) -> dict[str, Any] | None:
        """The parsed config.json, or None where there is none. CheckpointError if it is no JSON object."""
        return self._object("config.json") if "config.json" in self.files else None

    def cleaned(self) -> tuple[Sidecar, tuple[str, ...]]:
        """Without keys that load code or leak paths, and what was removed ("config.json: auto_map")."""
        files: dict[str, bytes] = {}
        removed: list[str] = []
        for name in sorted(self.files):
            files[name] = self.files[name]
            if name.endswith("config.json"):
                parsed = self._object(name)
                found = _strip(parsed)
                if found:
                    files[name] = _dump(parsed)
                    removed += [f"{name}: {key}" for key in found]
        return Sidecar(files), tuple(removed)

    def with_config(self, **changes: Any) -> Sidecar:
        """With top-level keys of config.json set; without a config.json nothing changes."""
        config = self.config
        if config is None or all(k in config and config[k] == v for k, v in changes.items()):
            return self
        return self.with_files({"config.json": _dump({**config, **changes})})

    def without(self, *keys: str) -> Sidecar:
        """Without top-level keys of config.json."""
        config = self.config
        if config is None or not any(k in config for k in keys):
            return self
        return self.with_files({"config.json": _dump({k: v for k, v in config.items() if k not in keys})})

    def with_files(self, files: Mapping[str, bytes]) -> Sidecar:
        """With files added or replaced."""
        merged = {**self.files, **files}
        return Sidecar({name: merged[name] for name in sorted(merged)})

    def _object(self, name: str) -> dict[str, Any]:
        parsed = parse_json(self.files[name], name)
        if not isinstance(parsed, dict):
            raise CheckpointError(f"{name}: expected a JSON object, found {type(parsed).__name__}")
        return parsed


def read_sidecar(folder: Path) -> Sidecar:
    """The known files of a folder. UnsafeError for one that is a symlink out of it."""
    files = {}
    for entry in sorted(folder.iterdir(), key=lambda p: p.name):
        if any(fnmatchcase(entry.name, p) for p in SIDECAR_PATTERNS) and not entry.name.endswith(".index.json"):
            path = confined(folder, entry.name)
            if path.is_file():
                files[entry.name] = _content(path)
    return Sidecar(files)


def _content(path: Path) -> bytes:
    if path.stat().st_size > MAX_FILE:
        raise CheckpointError(f"{path}: over {MAX_FILE} bytes; not a {path.name}")
    return path.read_bytes()


def _strip(value: Any, prefix: str = "") -> list[str]:
    """Remove unsafe keys in place, at any depth; their dotted names."""
    removed = []
    if isinstance(value, dict):
        for key in sorted(value):
            if key in _UNSAFE_KEYS or (key.startswith("_") and key not in _HARMLESS):
                del value[key]
                removed.append(prefix + key)
            elif key not in _LABELS:
                removed += _strip(value[key], f"{prefix}{key}.")
    elif isinstance(value, list):
        for item in value:
            removed += _strip(item, prefix)
    return removed


def _dump(value: Mapping[str, Any]) -> bytes:
    return (json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n").encode()
