"""The vocabulary that the files beside a model describe, read without a tokenizer library."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from deltakit.checkpoint.sidecar import Sidecar
from deltakit.checkpoint.strict_json import parse_json
from deltakit.errors import CheckpointError, InputError
from deltakit.merge.tokens.sentencepiece import pieces

__all__ = ["TOKENIZER_FILES", "Vocabulary", "is_tokenizer_file", "read_vocabulary"]

TOKENIZER_FILES = (
    "tokenizer.json", "tokenizer_config.json", "tokenizer.model", "vocab.json", "vocab.txt", "merges.txt",
    "special_tokens_map.json", "added_tokens.json", "spiece.model", "chat_template.jinja", "chat_template.json",
)  # fmt: skip
# Tokenizers whose ids are the places of the pieces; others shift them (XLM-R, mBART) or add unlisted ones (T5).
_BY_PLACE = ("", "Llama", "CodeLlama", "Gemma", "Mistral", "PreTrained", "Baichuan", "InternLM")
_SAVE = "save a tokenizer.json: transformers' AutoTokenizer.from_pretrained(FOLDER).save_pretrained(FOLDER)"


def is_tokenizer_file(name: str) -> bool:
    """Whether a file beside the weights belongs to the tokenizer."""
    return name in TOKENIZER_FILES or (name.startswith("tokenizer") and name.endswith(".json"))


@dataclass(frozen=True)
class Vocabulary:
    """`ids` maps tokens, as the files spell them, to ids, in the order of ids. `added` holds the entries of those that
    were added to the model's own pieces ({"content": ..., "special": ...}). `kind` is the model of tokenizer.json (BPE,
    WordPiece, Unigram, WordLevel), "" without one."""

    ids: Mapping[str, int]
    added: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    kind: str = ""

    @property
    def size(self) -> int:
        """One more than the highest id."""
        return max(self.ids.values(), default=-1) + 1

    @cached_property
    def tokens(self) -> Mapping[int, str]:
        """Id to token; of two with one id the added one, as tokenizers decode it."""
        plain = {i: t for t, i in self.ids.items()}
        return plain | {self.ids[t]: t for t in self.added}

    @property
    def shared(self) -> tuple[str, ...]:
        """The ids that two tokens have, a line each."""
        seen: dict[int, list[str]] = {}
        for token, i in self.ids.items():
            seen.setdefault(i, []).append(token)
        return tuple(f"id {i} is {' and '.join(map(repr, ts))}" for i, ts in seen.items() if len(ts) > 1)


def read_vocabulary(sidecar: Sidecar, label: str) -> Vocabulary:
    """Tokens and ids from tokenizer.json, else vocab.json, vocab.txt or a SentencePiece model, with what
    added_tokens.json and tokenizer_config.json add.

    Raises InputError where there is no tokenizer, CheckpointError (a line naming `label`) for files that contradict
    themselves or give ids that are no whole numbers.
    """
    ids, added, kind = _main(sidecar, label)
    listed = {e["content"]: e for e in added}
    for entry in _more(sidecar, label):
        if entry["content"] not in listed and entry["content"] not in ids:
            listed[entry["content"]] = entry
    problems = [
        f"{t!r} has id {ids[t]} in the vocabulary and {e['id']} as an added token"
        for t, e in listed.items()
        if t in ids and ids[t] != e["id"]
    ]
    ids = {**{t: e["id"] for t, e in listed.items()}, **ids}
    problems += [f"{t!r} has id {i!r}" for t, i in ids.items() if type(i) is not int or i < 0]
    if problems:
        raise CheckpointError(f"{label}: the tokenizer contradicts itself", details=problems, remedy=_SAVE)
    ordered = {t: ids[t] for t in sorted(ids, key=lambda t: (ids[t], t))}
    return Vocabulary(ordered, {t: listed[t] for t in sorted(listed, key=lambda t: ids[t])}, kind)


def _main(sidecar: Sidecar, label: str) -> tuple[dict[str, Any], list[dict[str, Any]], str]:
    files = sidecar.files
    if "tokenizer.json" in files:
        return _fast(_object(sidecar, "tokenizer.json", label), label)
    if "vocab.json" in files:
        return _object(sidecar, "vocab.json", label), [], "BPE"
    if "vocab.txt" in files:
        lines = files["vocab.txt"].decode("utf-8", "replace").splitlines()
        return {t: i for i, t in enumerate(lines)}, [], "WordPiece"
    name = next((n for n in ("tokenizer.model", "spiece.model") if n in files), None)
    if name is None:
        raise InputError(f"{label} has no tokenizer to take a vocabulary from", remedy="put its tokenizer.json there")
    declared = str(_config(sidecar, label).get("tokenizer_class") or "")
    if not any(declared.startswith(c) if c else not declared for c in _BY_PLACE):
        raise InputError(f"{label}: {declared} gives the pieces of {name} other ids than the file", remedy=_SAVE)
    return {t: i for i, t in enumerate(pieces(files[name], f"{label}: {name}"))}, [], "Unigram"


def _fast(parsed: Mapping[str, Any], label: str) -> tuple[dict[str, Any], list[dict[str, Any]], str]:
    """The model's vocabulary and the added tokens of a tokenizer.json."""
    model = parsed.get("model")
    vocab = model.get("vocab") if isinstance(model, dict) else None
    added = parsed.get("added_tokens") or []
    if isinstance(vocab, list):  # Unigram: [piece, score]
        vocab = {row[0]: i for i, row in enumerate(vocab) if isinstance(row, list) and row}
    entries = isinstance(added, list) and all(isinstance(e, dict) and {"id", "content"} <= e.keys() for e in added)
    if not isinstance(model, dict) or not isinstance(vocab, dict) or not entries:
        raise CheckpointError(f"{label}: tokenizer.json has no vocabulary that is known here", remedy=_SAVE)
    kind = str(model.get("type") or ("Unigram" if isinstance(model["vocab"], list) else "BPE"))
    return dict(vocab), [dict(e) for e in added], kind


def _more(sidecar: Sidecar, label: str) -> list[dict[str, Any]]:
    """Tokens that added_tokens.json and tokenizer_config.json add."""
    found = []
    if "added_tokens.json" in sidecar.files:
        listed = _object(sidecar, "added_tokens.json", label)
        found = [entry_of(token, i) for token, i in listed.items()]
    decoder = _config(sidecar, label).get("added_tokens_decoder") or {}
    for i, entry in decoder.items() if isinstance(decoder, dict) else ():
        if isinstance(entry, dict) and "content" in entry and str(i).isdecimal():
            found.append({**entry_of(entry["content"], int(i)), **entry, "id": int(i)})
    return found


def entry_of(token: str, i: int, *, special: bool = False) -> dict[str, Any]:
    """An entry of `added_tokens` that matches the text as it is."""
    flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
    return {"id": i, "content": token, **flags, "special": special}


def _config(sidecar: Sidecar, label: str) -> dict[str, Any]:
    name = "tokenizer_config.json"
    return _object(sidecar, name, label) if name in sidecar.files else {}


def _object(sidecar: Sidecar, name: str, label: str) -> dict[str, Any]:
    parsed = parse_json(sidecar.files[name], f"{label}: {name}")
    if not isinstance(parsed, dict):
        raise CheckpointError(f"{label}: {name}: expected a JSON object, found {type(parsed).__name__}")
    return parsed
