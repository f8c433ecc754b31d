"""The model card as text: YAML front matter for the hub, then what was done, from what, with which digests."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from deltakit.manifest import pretty_json

__all__ = ["RELATIONS", "model_card"]

RELATIONS = ("merge", "finetune", "adapter", "quantized")  # what the hub knows as base_model_relation
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
_MARKS = re.compile(r"([\\`*_{}\[\]()#+!|<>~-])")


def model_card(
    manifest: Mapping[str, Any],
    *,
    title: str,
    relation: str = "merge",
    base_models: Sequence[str] = (),
    tags: Sequence[str] = (),
    license: str | None = None,
    summary: str = "",
) -> str:
    """README.md of an output: the same manifest gives the same text, without times or local paths.

    `base_models` are hub ids (others are left out of the front matter, where the hub would refuse
    them); default: the manifest's inputs. Text from outside is escaped, so a name cannot inject markup.
    """
    inputs = [dict(entry) for entry in manifest.get("inputs", ())]
    named = list(base_models) or [str(entry["name"]) for entry in inputs]
    front: dict[str, Any] = {"base_model": _unique([n for n in named if _HUB_ID.fullmatch(n)])}
    if front["base_model"]:
        front["base_model_relation"] = relation
    front |= {"library_name": "transformers", "tags": _unique(["deltakit", relation, *tags])}
    if license:
        front["license"] = license
    parts = [
        f"---\n{yaml.safe_dump(front, sort_keys=False, allow_unicode=True)}---",
        f"# {_escaped(title)}",
        _escaped(summary) if summary else f"Made by deltakit: {_escaped(str(manifest.get('action', relation)))}.",
        _inputs(inputs),
        _recipe(manifest),
        _notes(manifest),
        _output(manifest.get("output", {})),
        _versions(manifest),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _inputs(inputs: Sequence[Mapping[str, Any]]) -> str:
    if not inputs:
        return ""
    rows = [
        [entry["name"], entry.get("revision") or "", entry.get("licence") or "unknown", entry["fingerprint"]]
        for entry in inputs
    ]
    made = "## Made from\n\n" + _table(["model", "revision", "licence", "fingerprint"], rows)
    return made + _deltas(inputs)


def _deltas(inputs: Sequence[Mapping[str, Any]]) -> str:
    """How far each model lies from its base, as far as a sample of its weights tells."""
    rows = [
        [entry["name"], f"{k['ratio']:.4g}", f"{k['cosine']:.4f}", f"{k['delta']:.2g}"]
        for entry in inputs
        if (k := entry.get("kinship"))
    ]
    if not rows:
        return ""
    head = ["model", "norm of the delta / norm of the base", "cosine with the base", "median size of a change"]
    return "\n\nDeltas, by a sample of the matrices (medians):\n\n" + _table(head, rows)


def _notes(manifest: Mapping[str, Any]) -> str:
    notes = manifest.get("notes", ())
    return "## Notes\n\n" + "\n".join(f"- {_escaped(str(note))}" for note in notes) if notes else ""


def _recipe(manifest: Mapping[str, Any]) -> str:
    if "recipe" not in manifest:
        return ""
    seed = f"\n\nSeed: {manifest['seed']}" if "seed" in manifest else ""
    return f"## Recipe\n\n{_fenced(yaml.safe_dump(json.loads(pretty_json(manifest['recipe'])), sort_keys=False))}{seed}"


def _output(output: Mapping[str, Any]) -> str:
    if not output:
        return ""
    rows = [[name, f"{size:,}"] for name, size in sorted(output.get("files", {}).items())]
    mark = f"\n\nFingerprint: `{output['fingerprint']}`" if "fingerprint" in output else ""
    return "## Files\n\n" + _table(["file", "bytes"], rows) + mark


def _versions(manifest: Mapping[str, Any]) -> str:
    found = manifest.get("versions", {})
    return "Versions: " + ", ".join(f"{_escaped(n)} {_escaped(found[n])}" for n in sorted(found)) if found else ""


def _table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    lines = [head, ["---"] * len(head), *([_escaped(str(cell)) for cell in row] for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _fenced(text: str) -> str:
    """A code block whose fence is longer than any run of backticks inside."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}yaml\n{text}{fence}"


def _escaped(text: str) -> str:
    """Markdown and HTML shown as typed, on one line."""
    return (
        _MARKS.sub(r"\\\1", " ".join(text.split())).replace("&", "&amp;").replace("\\<", "&lt;").replace("\\>", "&gt;")
    )


def _unique(names: Sequence[str]) -> list[str]:
    return list(dict.fromkeys(names))
