"""Tiny models with real tokenizers, made on the spot: byte-level BPE trained on a few lines, tokens added to it."""

from __future__ import annotations

import functools
import json
import struct
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from deltakit.merge.sources.source import Source, open_source
from deltakit.tensors import to_float32
from support.models import llama_config, llama_tensors, save

ENGLISH = ("the quick brown fox jumps over the lazy dog", "hello world this is a test of words", "running and singing")
CODE = ("def foo(x): return x + 1", "import numpy as np", "for i in range(10): print(i)", "running the tests")
SPECIAL = ("<unk>", "<s>", "</s>")
TABLES = ("model.embed_tokens.weight", "lm_head.weight")


@functools.cache
def bpe(texts: tuple[str, ...] = ENGLISH, size: int = 290) -> str:
    """The tokenizer.json of a byte-level BPE; its first ids are SPECIAL."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=size, special_tokens=list(SPECIAL), initial_alphabet=alphabet, show_progress=False
    )
    made.train_from_iterator(texts * 3, trainer)
    return str(made.to_str())


def added(tokenizer: str, tokens: Mapping[str, int] | Iterable[str], special: bool = True) -> str:
    """The same with tokens added, behind the others or at given ids (which only the vocabulary can hold)."""
    parsed = json.loads(tokenizer)
    after = 1 + max([*parsed["model"]["vocab"].values(), *(e["id"] for e in parsed["added_tokens"])])
    ids = dict(tokens) if isinstance(tokens, Mapping) else {t: after + i for i, t in enumerate(tokens)}
    if isinstance(tokens, Mapping):
        parsed["model"]["vocab"] |= ids
    flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
    parsed["added_tokens"] += [{"id": i, "content": t, **flags, "special": special} for t, i in ids.items()]
    return json.dumps(parsed)


def vocabulary(tokenizer: str) -> dict[str, int]:
    """Token to id, by the real library."""
    from tokenizers import Tokenizer

    return dict(Tokenizer.from_str(tokenizer).get_vocab())


def model(
    folder: Path, tokenizer: str, *, seed: int = 0, rows: int | None = None, tied: bool = False, dtype: str = "F32",
    template: str | None = None, files: Mapping[str, bytes] | None = None, width: int = 16, **config: Any,
) -> Source:  # fmt: skip
    """An opened Llama of one layer whose embedding has a row for each token, or `rows` rows. Its label is the folder's
    name."""
    ids = vocabulary(tokenizer).values()
    rows = rows or max(ids) + 1
    made = llama_config(vocab=rows, width=width, layers=1, tied=tied, dtype=dtype) | {"pad_token_id": None} | config
    save(folder / "model.safetensors", llama_tensors(made, seed, dtype))
    (folder / "config.json").write_text(json.dumps(made))
    (folder / "tokenizer.json").write_text(tokenizer)
    names = dict(zip(("unk_token", "bos_token", "eos_token"), SPECIAL, strict=True))
    settings = {"tokenizer_class": "PreTrainedTokenizerFast", **names}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    if template is not None:
        (folder / "chat_template.jinja").write_text(template)
    for name, content in (files or {}).items():
        (folder / name).write_bytes(content)
    return open_source(folder.name, str(folder))


def table(source: Source, name: str = TABLES[0]) -> np.ndarray[Any, np.dtype[np.float32]]:
    """A whole tensor as float32."""
    spec = source.tensors.specs[name]
    return to_float32(source.tensors.buffer(name), spec.dtype).reshape(spec.shape)


def by_label(*sources: Source) -> dict[str, Source]:
    return {s.label: s for s in sources}


def varint(value: int) -> bytes:
    out = b""
    while value > 0x7F:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


def message(field: int, raw: bytes) -> bytes:
    return varint(field << 3 | 2) + varint(len(raw)) + raw


def piece(text: str, score: float = -1.0, kind: int = 1) -> bytes:
    inner = message(1, text.encode()) + bytes([2 << 3 | 5]) + struct.pack("<f", score) + bytes([3 << 3, kind])
    return message(1, inner)


def spm(texts: list[str]) -> bytes:
    """A file with pieces, a trainer's section and fixed-width fields of later versions."""
    trailer = message(2, message(1, b"corpus")) + bytes([7 << 3 | 1]) + bytes(8) + varint(300 << 3) + varint(1 << 40)
    return b"".join(map(piece, texts)) + trailer
