"""What aligning vocabularies gives: the models as they look in the vocabulary of the result, and its files."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from deltakit.checkpoint.sidecar import Sidecar
from deltakit.manifest import pretty_json
from deltakit.merge.sources.source import Source
from deltakit.merge.tokens.read import is_tokenizer_file

__all__ = ["Aligned"]


@dataclass(frozen=True)
class Aligned:
    """`sources` are the models by label, each with the embedding-like tensors of the output vocabulary: `rows` rows.

    `files` are the tokenizer, chat template and report that lie beside the result, by plain name: no other tokenizer
    file does. `config` holds what changes in config.json and `generation` what
    changes in generation_config.json. `report` is the per-token provenance, JSON-able; `notes` what a person should
    know, a line each.
    """

    sources: Mapping[str, Source]
    rows: int
    files: Mapping[str, bytes] = field(default_factory=dict)
    config: Mapping[str, Any] = field(default_factory=dict)
    generation: Mapping[str, Any] = field(default_factory=dict)
    report: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def dress(self, sidecar: Sidecar) -> Sidecar:
        """The files of the donor of the configuration, with tokenizer and settings of the output vocabulary."""
        kept = Sidecar({n: c for n, c in sidecar.files.items() if not is_tokenizer_file(n)})
        return _settle(kept, self.generation).with_config(**self.config).with_files(self.files)


def _settle(sidecar: Sidecar, changes: Mapping[str, Any]) -> Sidecar:
    """With keys of generation_config.json set, where there is one and they differ."""
    name = "generation_config.json"
    if name not in sidecar.files:
        return sidecar
    found = json.loads(sidecar.files[name])
    new = {**found, **changes}
    return sidecar if new == found else sidecar.with_files({name: pretty_json(new)})
