"""Small Llama models with tokenizers of their own, for running configs through two tools."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

WIDTH, INNER, HEADS, KV_HEADS, LAYERS = 128, 256, 4, 2, 4
SPECIAL = ["<unk>", "<s>", "</s>"]
STORIES = "the cat and the dog went to the river and saw a boat with seven sails in the wind of the morning"
SUMS = "2 + 3 = 5 and 12 * 4 = 48 so x = 48 / 6 = 8 while y = 9 - 8 = 1 thus the answer is x + y = 9"
# One for all that have any: without a base_model mergekit copies the tokenizer of any model.
TEMPLATE = "{% for m in messages %}<{{ m['role'] }}> {{ m['content'] }}\n{% endfor %}<assistant>"

ROWS = ("model.embed_tokens.weight", "lm_head.weight")  # one row a token

Tensors = dict[str, torch.Tensor]


def shapes(vocabulary: int, layers: int = LAYERS, tied: bool = False) -> dict[str, tuple[int, ...]]:
    """The tensors of a Llama."""
    key = WIDTH // HEADS * KV_HEADS
    block = {
        "self_attn.q_proj": (WIDTH, WIDTH), "self_attn.k_proj": (key, WIDTH), "self_attn.v_proj": (key, WIDTH),
        "self_attn.o_proj": (WIDTH, WIDTH), "mlp.gate_proj": (INNER, WIDTH), "mlp.up_proj": (INNER, WIDTH),
        "mlp.down_proj": (WIDTH, INNER), "input_layernorm": (WIDTH,), "post_attention_layernorm": (WIDTH,),
    }  # fmt: skip
    found: dict[str, tuple[int, ...]] = {
        "model.embed_tokens.weight": (vocabulary, WIDTH),
        "model.norm.weight": (WIDTH,),
    }
    if not tied:
        found["lm_head.weight"] = (vocabulary, WIDTH)
    for i in range(layers):
        found |= {f"model.layers.{i}.{name}.weight": shape for name, shape in block.items()}
    return found


def drawn(seed: int, vocabulary: int, **more: Any) -> Tensors:
    """Random weights in bf16; norms lie around one."""
    made = torch.Generator().manual_seed(seed)
    weights = {}
    for name, shape in shapes(vocabulary, **more).items():
        values = torch.randn(shape, generator=made)
        weights[name] = (1 + 0.1 * values if len(shape) == 1 else 0.05 * values).bfloat16()
    return weights


def tuned(base: Tensors, seed: int, size: float = 0.005) -> Tensors:
    """A fine-tune: every tensor moved a little, a tenth of its elements left as they were."""
    made = torch.Generator().manual_seed(seed)
    moved = {}
    for name, values in base.items():
        step = size * torch.randn(values.shape, generator=made) * (torch.rand(values.shape, generator=made) < 0.9)
        moved[name] = (values.float() + step).bfloat16()
    return moved


def distinct(base: Tensors, seed: int) -> Tensors:
    """A float32 fine-tune whose deltas are exact and differ in magnitude: with ties, which elements a tool keeps is its
    own affair. The base lies on multiples of 2**-9, a delta is a multiple of 2**-24."""
    made = torch.Generator().manual_seed(seed)
    moved = {}
    for name, values in base.items():
        order = torch.randperm(values.numel(), generator=made)
        sizes = (torch.randn(values.numel(), generator=made).abs() * 2**17).long().sort().values
        steps = sizes - torch.arange(values.numel())
        sizes = torch.cummax(steps, 0).values + torch.arange(values.numel()) + 1  # each at least one more
        signs = torch.randint(0, 2, (values.numel(),), generator=made) * 2 - 1
        moved[name] = values + (signs * sizes[order]).view(values.shape).float() * 2.0**-24
    return moved


def grown(weights: Tensors, rows: int, seed: int) -> Tensors:
    """With rows for more tokens."""
    made, out = torch.Generator().manual_seed(seed), dict(weights)
    for name in ROWS:
        more = 0.05 * torch.randn((rows, WIDTH), generator=made)
        out[name] = torch.cat([weights[name], more.to(weights[name].dtype)])
    return out


def tokenizer(text: str, size: int) -> Tokenizer:
    """Byte-level BPE trained on a text."""
    made = Tokenizer(models.BPE(unk_token="<unk>"))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=size, special_tokens=SPECIAL, initial_alphabet=alphabet, show_progress=False
    )
    made.train_from_iterator([text] * 4, trainer)
    return made


def write(folder: Path, weights: Tensors, words: Tokenizer, template: str = "", **config: Any) -> None:
    """A model folder as transformers writes it."""
    folder.mkdir(parents=True, exist_ok=True)
    save_file({n: t.contiguous() for n, t in weights.items()}, folder / "model.safetensors", metadata={"format": "pt"})
    rows = weights["model.embed_tokens.weight"].shape[0]
    layers = len({n.split(".")[2] for n in weights if ".layers." in n})
    dtype = {torch.bfloat16: "bfloat16", torch.float32: "float32"}[weights["model.norm.weight"].dtype]
    settings = {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": WIDTH, "intermediate_size": INNER,
        "num_attention_heads": HEADS, "num_key_value_heads": KV_HEADS, "num_hidden_layers": layers, "vocab_size": rows,
        "max_position_embeddings": 256, "rms_norm_eps": 1e-5, "hidden_act": "silu", "torch_dtype": dtype,
        "tie_word_embeddings": "lm_head.weight" not in weights, "bos_token_id": 1, "eos_token_id": 2, **config,
    }  # fmt: skip
    _json(folder / "config.json", settings)
    words.save(str(folder / "tokenizer.json"))
    names = {
        "tokenizer_class": "PreTrainedTokenizerFast", "bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>",
        "model_max_length": 256, "clean_up_tokenization_spaces": False,
    }  # fmt: skip
    _json(folder / "tokenizer_config.json", names | ({"chat_template": template} if template else {}))
    _json(folder / "special_tokens_map.json", {k: v for k, v in names.items() if k.endswith("_token")})


def adapter(folder: Path, seed: int, rank: int = 4) -> None:
    """A LoRA adapter over the base, as peft writes it."""
    folder.mkdir(parents=True, exist_ok=True)
    made, weights = torch.Generator().manual_seed(seed), {}
    for name, shape in shapes(8).items():
        if "q_proj" in name or "down_proj" in name:
            stem = f"base_model.model.{name.removesuffix('.weight')}"
            weights[f"{stem}.lora_A.weight"] = 0.1 * torch.randn((rank, shape[1]), generator=made)
            weights[f"{stem}.lora_B.weight"] = 0.1 * torch.randn((shape[0], rank), generator=made)
    save_file(weights, folder / "adapter_model.safetensors", metadata={"format": "pt"})
    settings = {
        "peft_type": "LORA", "task_type": "CAUSAL_LM", "r": rank, "lora_alpha": 8, "lora_dropout": 0.0, "bias": "none",
        "target_modules": ["q_proj", "down_proj"], "base_model_name_or_path": "models/base", "fan_in_fan_out": False,
        "inference_mode": True,
    }  # fmt: skip
    _json(folder / "adapter_config.json", settings)


def make_family(folder: Path) -> None:
    """The models that the configs name, under folder/models."""
    put: Callable[[str], Path] = lambda name: folder / "models" / name  # noqa: E731
    words = tokenizer(STORIES, 300)
    size = words.get_vocab_size()
    base = drawn(0, size)
    write(put("base"), base, words)
    write(put("math"), tuned(base, 1), words, TEMPLATE)
    write(put("chat"), tuned(base, 2), words, TEMPLATE)
    write(put("code"), tuned(base, 3), words, TEMPLATE)
    coarse = {n: (t.float() * 2**9).round() * 2**-9 for n, t in base.items()}
    write(put("base32"), coarse, words)
    for seed, name in enumerate(("math32", "chat32", "code32"), 13):
        write(put(name), distinct(coarse, seed), words, TEMPLATE)
    wide = {
        n: t.float() + 1e-4 * torch.randn(t.shape, generator=torch.Generator().manual_seed(9)) for n, t in base.items()
    }
    write(put("wide"), wide, words)
    write(put("deep"), drawn(5, size, layers=6), words)
    more = Tokenizer.from_str(words.to_str())
    more.add_special_tokens(["<pad>", "<user>", "<assistant>"])
    write(put("added"), grown(tuned(base, 6), 3, 7), more, TEMPLATE, pad_token_id=size)
    other = tokenizer(SUMS, 310)
    rows = drawn(8, other.get_vocab_size())
    write(put("other"), {n: rows[n] if n in ROWS else t for n, t in tuned(base, 8).items()}, other)
    tied = drawn(10, size, tied=True)
    write(put("tied"), tied, words)
    write(put("tied_math"), tuned(tied, 11), words)
    adapter(put("lora"), 12)


def _json(path: Path, data: Any) -> None:
    path.write_text(json.dumps(data, indent=2) + "\n")
