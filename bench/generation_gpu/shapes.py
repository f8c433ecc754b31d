"""Random weights of true shapes, seeded requests, and what the machine could do at best."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

# (class of transformers, config): sizes of the published config.json files
SHAPES: dict[str, tuple[str, dict[str, Any]]] = {
    "tiny": ("Llama", {
        "hidden_size": 64, "intermediate_size": 160, "num_hidden_layers": 2, "num_attention_heads": 4,
        "num_key_value_heads": 2, "vocab_size": 320, "tie_word_embeddings": True,
    }),
    "0.5B (Qwen2.5)": ("Qwen2", {
        "hidden_size": 896, "intermediate_size": 4864, "num_hidden_layers": 24, "num_attention_heads": 14,
        "num_key_value_heads": 2, "vocab_size": 151_936, "tie_word_embeddings": True,
    }),
    "1B (Llama 3.2)": ("Llama", {
        "hidden_size": 2048, "intermediate_size": 8192, "num_hidden_layers": 16, "num_attention_heads": 32,
        "num_key_value_heads": 8, "vocab_size": 128_256, "tie_word_embeddings": True,
    }),
    "7B, one key head a head (Llama 2)": ("Llama", {
        "hidden_size": 4096, "intermediate_size": 11_008, "num_hidden_layers": 32, "num_attention_heads": 32,
        "num_key_value_heads": 32, "vocab_size": 32_000,
    }),
    "7B (Qwen2.5)": ("Qwen2", {
        "hidden_size": 3584, "intermediate_size": 18_944, "num_hidden_layers": 28, "num_attention_heads": 28,
        "num_key_value_heads": 4, "vocab_size": 152_064,
    }),
    "8B (Llama 3)": ("Llama", {
        "hidden_size": 4096, "intermediate_size": 14_336, "num_hidden_layers": 32, "num_attention_heads": 32,
        "num_key_value_heads": 8, "vocab_size": 128_256,
    }),
}  # fmt: skip


def build(name: str, device: str, dtype: torch.dtype) -> Any:
    """A model of that shape with random weights, made on the device."""
    import transformers

    kind, sizes = SHAPES[name]
    config = getattr(transformers, f"{kind}Config")(**sizes, max_position_embeddings=8192)
    torch.manual_seed(0)
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        with torch.device(device):
            model = getattr(transformers, f"{kind}ForCausalLM")(config)
    finally:
        torch.set_default_dtype(before)
    return model.eval().requires_grad_(False)


def tokenizer() -> Any:
    """Byte-level, without merges: a stop string costs what it costs, and nothing has to be downloaded."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    marks = ["<pad>", "<s>", "</s>"]
    letters = {c: i for i, c in enumerate([*marks, *sorted(pre_tokenizers.ByteLevel.alphabet())])}
    made = Tokenizer(models.BPE(vocab=letters, merges=[]))
    made.pre_tokenizer, made.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    return PreTrainedTokenizerFast(tokenizer_object=made, pad_token="<pad>", bos_token="<s>", eos_token="</s>")


@dataclass(frozen=True)
class Asked:
    """One prompt as text and as ids, and how many tokens its answer has."""

    text: str
    ids: tuple[int, ...]
    tokens: int


def workload(count: int, median: int, seed: int = 0) -> list[Asked]:
    """Prompts of 60 to 200 bytes, and answers of log-normal length (sigma 0.5) about `median`, as of GSM8K."""
    random, known = np.random.default_rng(seed), tokenizer()
    out = []
    for i in range(count):
        text = f"{i:05d} " + "".join(random.choice(list("0123456789 +-="), int(random.integers(54, 194))))
        tokens = int(np.clip(random.lognormal(math.log(median), 0.5), 2, 8 * median))
        out.append(Asked(text, tuple(known(text)["input_ids"]), tokens))
    return out


def seconds(run: Callable[[], Any], device: str, times: int = 1) -> float:
    """The mean time of a call, the device's work included."""
    run()
    _wait(device)
    start = time.perf_counter()
    for _ in range(times):
        run()
    _wait(device)
    return (time.perf_counter() - start) / times


def _wait(device: str) -> None:
    if device.startswith("cuda"):
        torch.cuda.synchronize()


def limits(device: str, dtype: torch.dtype) -> dict[str, float]:
    """Bytes a second of a copy (read and write), and operations a second of a large product, measured here."""
    cuda = device.startswith("cuda")
    source = torch.zeros((1 << 31) if cuda else (1 << 26), dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    copy = seconds(lambda: target.copy_(source), device, 10)
    side = 8192 if cuda else 512
    square = torch.ones(side, side, dtype=dtype, device=device)
    product = seconds(lambda: square @ square, device, 10)
    return {"bytes per second": 2 * source.numel() / copy, "operations per second": 2 * side**3 / product}


def roofline(model: Any, rows: int, positions: int, machine: dict[str, float]) -> dict[str, float]:
    """Tokens a second of decoding at best: a step reads all weights or multiplies by them, whichever takes longer, and
    reads the keys and values of every row."""
    from deltakit.generate.forecast import Shape

    itemsize = torch.empty((), dtype=model.dtype).element_size()
    weights = sum(p.numel() for p in model.parameters())
    lookups = model.get_input_embeddings().weight.numel() * (not model.config.tie_word_embeddings)
    read = (weights - lookups) * itemsize / machine["bytes per second"]
    product = 2 * (weights - lookups) * rows / machine["operations per second"]
    cached = rows * Shape.of(model.config).row(positions, itemsize) / machine["bytes per second"]
    step = max(read, product) + cached
    return {"rows": rows, "step ms": 1e3 * step, "tokens per second": rows / step}
