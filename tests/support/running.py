"""A tiny Llama that runs: its tensors as a TensorMap, its sidecar, its tokenizer; no file on disk unless asked."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from deltakit.checkpoint.sidecar import Sidecar
from deltakit.tensors import Mapped, TensorSpec, dtype_code

CONFIG = {
    "architectures": ["LlamaForCausalLM"], "model_type": "llama", "vocab_size": 320, "hidden_size": 48,
    "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
    "max_position_embeddings": 768, "tie_word_embeddings": True, "bos_token_id": 1, "eos_token_id": 2,
    "rms_norm_eps": 1e-5, "hidden_act": "silu",
}  # fmt: skip
TEXT = ["Question: What is 3 + 4?\n\nThe answer is: 7", "How many apples does Tom have? #### 12", "Stop. Stop here."]


@functools.cache
def tokenizer_files() -> dict[str, bytes]:
    """A byte-level BPE of 320 entries: <pad> 0, <s> 1, </s> 2."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=320,
        special_tokens=["<pad>", "<s>", "</s>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(TEXT * 3, trainer)
    marks = {"bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>"}
    settings = {"tokenizer_class": "PreTrainedTokenizerFast", "clean_up_tokenization_spaces": False, **marks}
    return {"tokenizer.json": tokenizer.to_str().encode(), "tokenizer_config.json": json.dumps(settings).encode()}


def sidecar(**changes: Any) -> Sidecar:
    config = {**CONFIG, **changes}
    return Sidecar({"config.json": json.dumps(config).encode(), **tokenizer_files()})


def state(seed: int = 0, spread: float = 0.4, **changes: Any) -> dict[str, torch.Tensor]:
    """Random weights (float32) of the tiny model, large enough that greedy answers differ between prompts."""
    from transformers import LlamaConfig, LlamaForCausalLM

    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = LlamaForCausalLM(LlamaConfig(**{**CONFIG, **changes}, initializer_range=spread))
    found = {name: t.detach().clone() for name, t in model.state_dict().items()}
    if {**CONFIG, **changes}["tie_word_embeddings"]:
        del found["lm_head.weight"]
    return found


def tensor_map(tensors: Mapping[str, torch.Tensor]) -> Mapped:
    """The TensorMap of torch tensors."""
    specs = {n: TensorSpec(tuple(tensors[n].shape), dtype_code(str(tensors[n].dtype))) for n in sorted(tensors)}

    def pull(name: str, lo: int, hi: int) -> bytes:
        rows = tensors[name][lo:hi] if tensors[name].ndim else tensors[name]
        return rows.contiguous().view(-1).view(torch.uint8).numpy().tobytes()

    return Mapped(specs, pull)


def running(seed: int = 0, **changes: Any) -> tuple[Any, Any]:
    """(model, tokenizer), float32 on the CPU."""
    from deltakit.runtime import load_model, load_tokenizer

    beside = sidecar(**changes)
    return load_model(tensor_map(state(seed, **changes)), beside), load_tokenizer(beside)


def write_folder(folder: Path, seed: int = 0, dtype: torch.dtype = torch.float32, **changes: Any) -> Path:
    """The tiny model as a Hugging Face folder."""
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    save_file(
        {n: t.to(dtype) for n, t in state(seed, **changes).items()}, folder / "model.safetensors", {"format": "pt"}
    )
    for name, content in sidecar(**changes).files.items():
        (folder / name).write_bytes(content)
    return folder
