"""The tokenizer files of the result: a model's own, byte for byte, or its tokenizer.json with tokens added."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from deltakit.errors import InputError
from deltakit.merge.sources.source import Source
from deltakit.merge.tokens.assign import Assignment, Known
from deltakit.merge.tokens.read import entry_of, is_tokenizer_file
from deltakit.merge.tokens.template import json_bytes

__all__ = ["Written", "tokenizer_files"]

_MAIN, _CONFIG = "tokenizer.json", "tokenizer_config.json"


@dataclass(frozen=True)
class Written:
    """Files by plain name, what a person should know about them, and the pieces that no text is encoded to."""

    files: Mapping[str, bytes]
    notes: tuple[str, ...] = ()
    unreachable: tuple[str, ...] = ()


def tokenizer_files(
    sources: Mapping[str, Source], known: Mapping[str, Known], anchor: str, assignment: Assignment
) -> Written:
    """The files of the anchor's tokenizer, with the tokens of the assignment that it lacks.

    A token that some model added becomes an added token with that model's flags. An ordinary piece of another
    vocabulary is held by the model of the tokenizer where that can hold it; merges of two BPE vocabularies cannot be
    unified, so such a piece has an id and a row, but no text is encoded to it (unless one model's merges go on from
    the anchor's: then they are taken). InputError where tokens are to be added and there is no tokenizer.json.
    """
    own = {n: c for n, c in sources[anchor].sidecar.files.items() if is_tokenizer_file(n)}
    new = [t for t in assignment.ids if t not in known[anchor].vocabulary.ids]
    if not new:
        return Written(own)
    if _MAIN not in own:
        raise InputError(
            f"{anchor}: tokens are to be added to its tokenizer, and there is no tokenizer.json",
            remedy="save one: AutoTokenizer.from_pretrained(FOLDER).save_pretrained(FOLDER); or tokenizer_source: base",
            details=[f"{len(new)} tokens, {', '.join(map(repr, new[:5]))}"],
        )
    parsed = json.loads(own[_MAIN])
    entries, ordinary = _split(known, new, assignment.ids)
    held, notes, unreachable = _hold(parsed["model"], ordinary, assignment.ids, sources)
    for token in ordinary if not held else ():
        entries[token] = {**entry_of(token, assignment.ids[token]), "single_word": True}
    added = [*parsed.get("added_tokens", []), *entries.values()]
    parsed["added_tokens"] = sorted(added, key=lambda e: int(e["id"]))
    if isinstance(parsed["model"]["vocab"], dict):
        # Libraries count added tokens anew behind the vocabulary, whatever id the file gives, unless it holds them.
        parsed["model"]["vocab"].update({e["content"]: e["id"] for e in parsed["added_tokens"]})
    files = {**own, _MAIN: json_bytes(parsed), **_beside(own, entries)}
    return Written({n: files[n] for n in sorted(files)}, notes, unreachable)


def _split(
    known: Mapping[str, Known], new: Sequence[str], ids: Mapping[str, int]
) -> tuple[dict[str, dict[str, Any]], list[str]]:
    """Entries of added tokens with their new ids, and the ordinary pieces."""
    entries: dict[str, dict[str, Any]] = {}
    ordinary = []
    for token in new:
        having = [k.vocabulary for k in known.values() if token in k.vocabulary.ids]
        entry = next((v.added[token] for v in having if token in v.added), None)
        if having and entry is None:
            ordinary.append(token)
        else:
            entries[token] = {**(entry or entry_of(token, 0)), "id": ids[token]}
    return entries, ordinary


def _hold(
    model: dict[str, Any], ordinary: Sequence[str], ids: Mapping[str, int], sources: Mapping[str, Source]
) -> tuple[bool, tuple[str, ...], tuple[str, ...]]:
    """Put ordinary pieces into the model of a tokenizer.json: (whether it holds them, notes, the unreachable)."""
    if not ordinary:
        return True, (), ()
    vocab = model["vocab"]
    if not isinstance(vocab, dict):
        note = f"{len(ordinary)} pieces of other vocabularies become added tokens, matched as whole words"
        return False, (note,), ()
    vocab.update({t: ids[t] for t in ordinary})
    if "merges" not in model:
        return True, (f"{len(ordinary)} pieces of other vocabularies are added: texts may be split otherwise",), ()
    longer = _extension(model["merges"], sources)
    if longer is not None:
        label, merges = longer
        before = _made(model["merges"])
        model["merges"] = merges
        left = tuple(t for t in ordinary if t not in _made(merges) - before)
        return True, (f"the merges of {label} go on from the base's, and are taken", *_said(left)), left
    left = tuple(ordinary)
    whole = " (but whole words among them: this tokenizer ignores merges there)" if model.get("ignore_merges") else ""
    return True, tuple(line + whole for line in _said(left)), left


def _said(left: Sequence[str]) -> tuple[str, ...]:
    if not left:
        return ()
    return (
        f"merges of two BPE vocabularies cannot be unified: {len(left)} pieces that the base's tokenizer lacks have an "
        "id and a row, but no text is encoded to them",
    )


def _pair(merge: Any) -> tuple[str, str]:
    """A merge as two pieces; files spell it "a b" or ["a", "b"]."""
    first, second = merge.split(" ", 1) if isinstance(merge, str) else merge
    return first, second


def _made(merges: Sequence[Any]) -> set[str]:
    return {"".join(_pair(m)) for m in merges}


def _extension(merges: Sequence[Any], sources: Mapping[str, Source]) -> tuple[str, list[Any]] | None:
    """The model with the longest merges that begin with these, if any goes on."""
    own = [_pair(m) for m in merges]
    best: tuple[str, list[Any]] | None = None
    for label, source in sources.items():
        if _MAIN not in source.sidecar.files:
            continue
        found = json.loads(source.sidecar.files[_MAIN]).get("model", {}).get("merges") or []
        goes_on = len(found) > len(best[1] if best else own) and [_pair(m) for m in found[: len(own)]] == own
        best = (label, found) if goes_on else best
    return best


def _beside(own: Mapping[str, bytes], entries: Mapping[str, Mapping[str, Any]]) -> dict[str, bytes]:
    """Added tokens where other files list them, too."""
    files: dict[str, bytes] = {}
    if "added_tokens.json" in own:
        listed = json.loads(own["added_tokens.json"])
        files["added_tokens.json"] = json_bytes({**listed, **{t: e["id"] for t, e in entries.items()}})
    config = json.loads(own.get(_CONFIG, b"{}"))
    if isinstance(config.get("added_tokens_decoder"), dict):
        decoder = {str(e["id"]): {k: v for k, v in e.items() if k != "id"} for e in entries.values()}
        files[_CONFIG] = json_bytes({**config, "added_tokens_decoder": {**config["added_tokens_decoder"], **decoder}})
    return files
