"""Tiny models made on the spot: safetensors files written with numpy, folders that transformers can load."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from deltakit.tensors import ITEMSIZE, TensorSpec, from_float32

LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 .,:;+-*/=?!'\"()\n"
SPECIAL = ("<unk>", "<s>", "</s>", "<pad>")


def pack(tensors: Mapping[str, tuple[TensorSpec, bytes]], metadata: Mapping[str, str] | None = None) -> bytes:
    """A safetensors file of raw tensors, in the mapping's order."""
    header: dict[str, Any] = {"__metadata__": dict(metadata)} if metadata else {}
    data = b""
    for name, (spec, raw) in tensors.items():
        assert len(raw) == spec.nbytes, name
        header[name] = {"dtype": spec.dtype, "shape": spec.shape, "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + data


def raw_file(path: Path, header: Any, data: bytes = b"", length: int | None = None) -> Path:
    """A file with any header at all (JSON-able, or bytes), for tests of bad files."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes((len(text) if length is None else length).to_bytes(8, "little") + text + data)
    return path


def random_tensors(
    specs: Mapping[str, TensorSpec], seed: int = 0, scale: float = 1.0
) -> dict[str, tuple[TensorSpec, bytes]]:
    """Normal values for float dtypes, random bytes for the others."""
    rng = np.random.default_rng(seed)
    made = {}
    for name, spec in specs.items():
        values = rng.standard_normal(spec.numel).astype(np.float32) * np.float32(scale)
        if spec.dtype == "F64":
            raw = values.astype(np.float64).tobytes()
        elif spec.is_float:
            raw = from_float32(values, spec.dtype).tobytes()
        else:
            raw = rng.integers(0, 2, spec.numel * ITEMSIZE[spec.dtype], dtype=np.uint8).tobytes()
        made[name] = (spec, raw)
    return made


def save(path: Path, tensors: Mapping[str, tuple[TensorSpec, bytes]]) -> Path:
    """One safetensors file; parents are made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(pack(tensors, {"format": "pt"}))
    return path


def save_sharded(folder: Path, tensors: Mapping[str, tuple[TensorSpec, bytes]], shards: int = 2) -> Path:
    """A sharded folder with its index; tensors are dealt in turn."""
    folder.mkdir(parents=True, exist_ok=True)
    weights = {name: f"model-{i % shards + 1:05}-of-{shards:05}.safetensors" for i, name in enumerate(tensors)}
    for file in sorted(set(weights.values())):
        save(folder / file, {n: t for n, t in tensors.items() if weights[n] == file})
    total = sum(spec.nbytes for spec, _ in tensors.values())
    index = {"metadata": {"total_size": total}, "weight_map": weights}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index, indent=2))
    return folder


def llama_config(
    *, vocab: int = 88, width: int = 32, layers: int = 2, heads: int = 4, kv_heads: int = 2, tied: bool = False,
    dtype: str = "BF16",
) -> dict[str, Any]:  # fmt: skip
    """config.json of a tiny LlamaForCausalLM (context 256)."""
    names = {"BF16": "bfloat16", "F16": "float16", "F32": "float32"}
    return {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "vocab_size": vocab, "hidden_size": width,
        "intermediate_size": 2 * width, "num_hidden_layers": layers, "num_attention_heads": heads,
        "num_key_value_heads": kv_heads, "head_dim": width // heads, "max_position_embeddings": 256,
        "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "hidden_act": "silu", "tie_word_embeddings": tied,
        "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 3, "dtype": names[dtype],
    }  # fmt: skip


def llama_specs(config: Mapping[str, Any], dtype: str = "BF16") -> dict[str, TensorSpec]:
    """Names and shapes of a Llama checkpoint with that config."""
    width, inner, vocab = config["hidden_size"], config["intermediate_size"], config["vocab_size"]
    queries = config["num_attention_heads"] * config["head_dim"]
    keys = config["num_key_value_heads"] * config["head_dim"]
    shapes: dict[str, tuple[int, ...]] = {"model.embed_tokens.weight": (vocab, width), "model.norm.weight": (width,)}
    for i in range(config["num_hidden_layers"]):
        p = f"model.layers.{i}."
        shapes |= {p + f"self_attn.{n}_proj.weight": (queries if n == "q" else keys, width) for n in "qkv"}
        shapes |= {p + "self_attn.o_proj.weight": (width, queries), p + "mlp.down_proj.weight": (width, inner)}
        shapes |= {p + f"mlp.{n}_proj.weight": (inner, width) for n in ("gate", "up")}
        shapes |= {p + f"{n}_layernorm.weight": (width,) for n in ("input", "post_attention")}
    if not config["tie_word_embeddings"]:
        shapes["lm_head.weight"] = (vocab, width)
    return {name: TensorSpec(shapes[name], dtype) for name in sorted(shapes)}


def llama_tensors(config: Mapping[str, Any], seed: int, dtype: str) -> dict[str, tuple[TensorSpec, bytes]]:
    """Small random weights, norms of about one: the model's logits are finite."""
    specs = llama_specs(config, dtype)
    tensors = random_tensors(specs, seed, scale=0.05)
    ones = {n: from_float32(np.ones(s.numel, np.float32), dtype).tobytes() for n, s in specs.items() if "norm" in n}
    return {n: (spec, ones.get(n, raw)) for n, (spec, raw) in tensors.items()}


def tokenizer_json(vocab: int) -> dict[str, Any]:
    """A character-level tokenizer (no merges) with the special tokens first, padded with <extra_i> to `vocab`."""
    tokens = [*SPECIAL, *LETTERS]
    tokens += [f"<extra_{i}>" for i in range(vocab - len(tokens))]
    assert len(tokens) == vocab, f"vocab must be at least {len(SPECIAL) + len(LETTERS)}"
    plain = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    added = [{"id": i, "content": token, **plain} for i, token in enumerate(SPECIAL)]
    return {
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": added, "normalizer": None,
        "pre_tokenizer": {"type": "Split", "pattern": {"Regex": ""}, "behavior": "Isolated", "invert": False},
        "post_processor": None, "decoder": {"type": "Fuse"},
        "model": {"type": "WordLevel", "vocab": {t: i for i, t in enumerate(tokens)}, "unk_token": "<unk>"},
    }  # fmt: skip


def save_tokenizer(folder: Path, vocab: int = 88) -> None:
    """tokenizer.json and tokenizer_config.json, offline, loadable by AutoTokenizer."""
    names = dict(zip(("unk_token", "bos_token", "eos_token", "pad_token"), SPECIAL, strict=True))
    config = {"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": 256, **names}
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer_json(vocab)))
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=2))


def tiny_llama(
    path: Path, seed: int = 0, dtype: str = "BF16", *, vocab: int = 88, width: int = 32, layers: int = 2,
    tied: bool = False, shards: int = 1,
) -> Path:  # fmt: skip
    """A Hugging Face folder that transformers loads: 2 layers, width 32, character tokenizer; about 60 kB in bf16."""
    config = llama_config(vocab=vocab, width=width, layers=layers, tied=tied, dtype=dtype)
    tensors = llama_tensors(config, seed, dtype)
    save_sharded(path, tensors, shards) if shards > 1 else save(path / "model.safetensors", tensors)
    (path / "config.json").write_text(json.dumps(config, indent=2))
    save_tokenizer(path, vocab)
    return path


def tiny_tuned(base: Path, path: Path, seed: int = 1, *, size: float = 0.01, extra_rows: int = 0) -> Path:
    """A fine-tune of a `tiny_llama` folder: every weight moved a little; `extra_rows` more vocabulary rows."""
    config = json.loads((base / "config.json").read_text())
    dtype = {"bfloat16": "BF16", "float16": "F16", "float32": "F32"}[config["dtype"]]
    vocab = config["vocab_size"] + extra_rows
    tuned = tiny_llama(path, seed, dtype, vocab=vocab, width=config["hidden_size"],
                       layers=config["num_hidden_layers"], tied=config["tie_word_embeddings"])  # fmt: skip
    from deltakit.checkpoint import open_checkpoint
    from deltakit.tensors import to_float32

    source, noise = open_checkpoint(base), open_checkpoint(tuned)
    rng = np.random.default_rng(seed)
    tensors = {}
    for name, spec in noise.specs.items():
        values = to_float32(noise.buffer(name), dtype).copy()
        old = to_float32(source.buffer(name), dtype)
        values[: old.size] = old + size * 0.05 * rng.standard_normal(old.size).astype(np.float32)
        tensors[name] = (spec, from_float32(values, dtype).tobytes())
    save(path / "model.safetensors", tensors)
    return tuned
