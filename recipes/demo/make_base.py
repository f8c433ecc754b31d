"""Makes the demo's base model: a tokenizer and a 1.4 million parameter Llama, pre-trained on the toy world's documents.

    python recipes/demo/make_base.py -o recipes/demo/base

Ten to twenty minutes on one core with bf16 units. The folder in the repository was made by this command; the demo
does not run it again. The base holds the skills (arithmetic of word problems, word tasks) but has never seen an
instruction: it scores nothing on the demo's tasks until it is fine-tuned, DARE's setting (arXiv 2311.03099) in small.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from pathlib import Path

import torch
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast, get_cosine_schedule_with_warmup

from deltakit.data.synthetic import chat_records, documents, math_records

PAD, BOS, EOS = "<pad>", "<s>", "</s>"
# Each digit is its own token; a leading space belongs to the token after it.
PIECES = Regex(r" ?[0-9]| ?[A-Za-z]+| ?[^\sA-Za-z0-9]+|\s")
PROMPT = (
    "Below is an instruction that describes a task. Write a response that appropriately completes the request.\n\n"
    "### Instruction:\n{}\n\n### Response:{}"
)


def train_tokenizer(vocab: int) -> PreTrainedTokenizerFast:
    """Byte-level BPE with single digits. Its corpus, not the model's, holds instructions too: prompts become short."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(PIECES, "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    corpus = list(documents(3000, seed=1))
    corpus += [PROMPT.format(r["query"], r["response"]) for r in math_records("train", 400, seed=1)]
    corpus += [PROMPT.format(r["instruction"], r["output"]) for r in chat_records("train", 400, seed=1)]
    trainer = trainers.BpeTrainer(
        vocab_size=vocab,
        special_tokens=[PAD, BOS, EOS],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(corpus, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=PAD,
        bos_token=BOS,
        eos_token=EOS,
        model_max_length=512,
        clean_up_tokenization_spaces=False,
    )


def new_model(vocab: int, seed: int) -> LlamaForCausalLM:
    """An untrained Llama of four layers, width 160, with a head of its own."""
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=vocab,
        hidden_size=160,
        num_hidden_layers=4,
        num_attention_heads=5,
        num_key_value_heads=5,
        intermediate_size=448,
        max_position_embeddings=512,
        rms_norm_eps=1e-5,
        tie_word_embeddings=False,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
        dtype="float32",
    )
    model = LlamaForCausalLM(config)
    model.set_attn_implementation("eager")  # on the CPU 1.7 times as fast a step as sdpa at this length
    return model


def blocks(
    tokenizer: PreTrainedTokenizerFast, batch: int, length: int, steps: int, seed: int
) -> Iterator[torch.Tensor]:
    """Batches of token ids (batch, length): documents end to end, each closed by EOS."""
    need = batch * length
    ids: list[int] = []
    texts = documents(10**9, seed)
    for _ in range(steps):
        while len(ids) < need:
            for piece in tokenizer([next(texts) for _ in range(256)])["input_ids"]:
                ids += [*piece, 2]
        yield torch.tensor(ids[:need]).view(batch, length)
        ids = ids[need:]


def train(model: LlamaForCausalLM, batches: Iterator[torch.Tensor], steps: int, rate: float) -> None:
    optimizer = torch.optim.AdamW(model.parameters(), lr=rate, betas=(0.9, 0.95), weight_decay=0.0, fused=True)
    schedule = get_cosine_schedule_with_warmup(optimizer, steps // 20, steps)
    started, total = time.monotonic(), 0.0
    for step, ids in enumerate(batches, 1):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            loss = model(input_ids=ids, labels=ids, use_cache=False).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        total += loss.item()
        if step % 50 == 0:
            print(f"step {step} loss {total / 50:.4f} {time.monotonic() - started:.0f} s", flush=True)
            total = 0.0


def main() -> None:
    parser = argparse.ArgumentParser(description="Make the demo's base model.")
    parser.add_argument("-o", "--out", type=Path, required=True)
    parser.add_argument("--vocab", type=int, default=640)
    parser.add_argument("--steps", type=int, default=3500)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--length", type=int, default=128)
    parser.add_argument("--rate", type=float, default=2e-3)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    tokenizer = train_tokenizer(given.vocab)
    model = new_model(len(tokenizer), given.seed)
    print(f"{sum(p.numel() for p in model.parameters())} parameters", flush=True)
    train(model, blocks(tokenizer, given.batch, given.length, given.steps, given.seed), given.steps, given.rate)
    model.to(torch.bfloat16).save_pretrained(given.out)
    tokenizer.save_pretrained(given.out)


if __name__ == "__main__":
    main()
