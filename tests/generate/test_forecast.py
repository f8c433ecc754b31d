from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from deltakit.errors import ResourceError
from deltakit.generate.engine import Engine
from deltakit.generate.forecast import Shape, expected, forecast, free_memory
from deltakit.generate.request import Request
from support.families import made
from support.running import running, sidecar, state, tensor_map

# (class, sizes, bytes of keys and values per token in bfloat16): shapes of published config.json files
SHAPES: dict[str, tuple[str, dict[str, Any], int]] = {
    "Llama-2-7B": (
        "LlamaConfig",
        {"hidden_size": 4096, "num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": 32},
        524_288,
    ),
    "Llama-3-8B": (
        "LlamaConfig",
        {"hidden_size": 4096, "num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": 8},
        131_072,
    ),
    "Llama-3.2-1B": (
        "LlamaConfig",
        {"hidden_size": 2048, "num_hidden_layers": 16, "num_attention_heads": 32, "num_key_value_heads": 8},
        32_768,
    ),
    "Qwen2.5-7B": (
        "Qwen2Config",
        {"hidden_size": 3584, "num_hidden_layers": 28, "num_attention_heads": 28, "num_key_value_heads": 4},
        57_344,
    ),
    "Qwen2.5-0.5B": (
        "Qwen2Config",
        {"hidden_size": 896, "num_hidden_layers": 24, "num_attention_heads": 14, "num_key_value_heads": 2},
        12_288,
    ),
    "Qwen3-0.6B": (
        "Qwen3Config",  # its head size is not hidden_size / heads
        {"hidden_size": 1024, "num_hidden_layers": 28, "num_attention_heads": 16, "num_key_value_heads": 8,
         "head_dim": 128},
        114_688,
    ),
    "GPT-2": ("GPT2Config", {"n_embd": 768, "n_layer": 12, "n_head": 12}, 36_864),
}  # fmt: skip


def config(name: str, **more: Any) -> Any:
    import transformers

    kind, sizes, _ = SHAPES[name]
    return getattr(transformers, kind)(**sizes, **more)


@pytest.mark.parametrize("name", SHAPES)
def test_bytes_of_keys_and_values_per_token(name: str) -> None:
    shape = Shape.of(config(name))
    assert shape.per_token(2) == SHAPES[name][2]
    assert shape.per_token(4) == 2 * SHAPES[name][2]
    assert shape.row(400, 2) == 400 * SHAPES[name][2]


def test_a_window_bounds_a_rolling_cache_only() -> None:
    from transformers import MistralConfig

    sizes = {"hidden_size": 4096, "num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": 8}
    shape = Shape.of(MistralConfig(**sizes, sliding_window=4096))
    assert set(shape.windows) == {4096}
    assert shape.row(10_000, 2) == 10_000 * 131_072
    assert shape.row(10_000, 2, rolling=True) == 4096 * 131_072
    off = Shape.of(config("Qwen2.5-7B", sliding_window=4096, use_sliding_window=False))
    assert set(off.windows) == {0}


def test_layers_differ_and_some_keep_nothing() -> None:
    from transformers import Gemma3TextConfig, Qwen3NextConfig

    mixed = Shape.of(Gemma3TextConfig(num_hidden_layers=6, sliding_window=512))
    assert mixed.windows.count(512) == 5
    assert mixed.windows.count(0) == 1
    hybrid = Shape.of(Qwen3NextConfig(num_hidden_layers=4))
    assert len(hybrid.windows) == 1, "three of four layers are linear attention"


def test_rows_fill_the_memory_and_not_more() -> None:
    """Llama-3-8B in bfloat16 on a GPU with 141 GB, 400 tokens a row."""
    sizes = config("Llama-3-8B", intermediate_size=14_336, vocab_size=128_256)
    free, weights = 140 * 10**9, 16_060_522_496
    found = forecast(sizes, 400, 2, free=free, weights=weights, fused=True, most=10**6)
    assert found.per_token == 131_072
    assert 0.85 * free < found.bytes < 0.9 * free
    assert 750_000 < found.tokens < 950_000
    one_by_torch = forecast(sizes, 400, 2, free=free, weights=weights, most=10**6)
    assert one_by_torch.rows < found.rows, "gathered keys and values need room as well"
    assert forecast(sizes, 400, 2, free=free, weights=weights).rows == 512
    assert found.told() == {
        "free_bytes": free, "weight_bytes": weights, "kv_bytes_per_token": 131_072, "positions": 400,
        "rows": found.rows,
    }  # fmt: skip


def test_not_one_row_is_an_error_before_the_start() -> None:
    with pytest.raises(
        ResourceError, match=r"one row of 400 tokens needs 13\.\d+ GB with the weights, 8\.00 GB"
    ) as told:
        forecast(config("Llama-2-7B"), 400, 2, free=8 * 10**9, weights=13_476_831_232, chunk=400)
    assert "--max-new-tokens" in told.value.remedy


def test_a_dry_run_tells_weights_and_tokens_that_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    opened = SimpleNamespace(tensors=tensor_map(state()), sidecar=sidecar())
    count = sum(t.numel() for t in state().values())
    each = 2 * 2 * 2 * 12  # keys and values, layers, key heads, head size
    monkeypatch.setattr("deltakit.generate.forecast.free_memory", lambda device: 10 * count)
    found = expected(opened, "bfloat16", "cpu")
    tokens = (9 * count - 2 * count) // (2 * each)
    assert found == {
        "free_bytes": 10 * count, "weight_bytes": 2 * count, "kv_bytes_per_token": 2 * each, "tokens": tokens,
    }  # fmt: skip
    monkeypatch.setattr("deltakit.generate.forecast.free_memory", lambda device: count)
    assert expected(opened, "float32", "cpu")["tokens"] == 0


@pytest.mark.parametrize("kind", ["llama", "qwen2, some layers sliding", "gemma2", "gpt2"])
def test_what_a_chunk_is_said_to_need_covers_what_it_makes(kind: str) -> None:
    """Every tensor that a pass over packed prompts makes, by torch's own count of allocations, is in the forecast."""
    from torch.profiler import ProfilerActivity, profile

    from deltakit.generate.continuous.hook import Piece, hooked
    from deltakit.generate.continuous.slots import SlotCache
    from deltakit.generate.continuous.step import Steps
    from deltakit.generate.voices import Voices

    model = made(kind)
    with hooked(model):
        steps = Steps(model, Voices({}), SlotCache.of(model, 4, 120))
        pieces = [(Piece(slot, 0, [5] * 120), 119) for slot in range(4)]
        with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as seen:
            steps.prompts(pieces, None)
    held = most = 0
    for event in seen.profiler.kineto_results.events():  # type: ignore[union-attr]  # torch types it as optional
        if event.name() == "[memory]":
            held += event.nbytes()
            most = max(most, held)
    said = Shape.of(model.config).chunk(4 * 120, 120, 4, 4)
    assert 0.2 * said < most < said


def test_an_engine_takes_no_more_rows_than_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    from deltakit.generate import forecast as module
    from deltakit.generate.continuous.scheduler import Scheduler

    model, tokenizer = running()
    asked = [Request((5, 6, 7), 60) for _ in range(8)]
    whole = Engine(model, tokenizer, frozenset()).generate(asked)
    shape = Shape.of(model.config)
    each = shape.row(63, 4) + shape.step(63, 4)
    free = int((shape.chunk(8 * 63, 63, 4, 8) + 2.5 * each) / 0.9)
    monkeypatch.setattr(module, "free_memory", lambda device: free)
    laid: list[int] = []
    real = Scheduler.lay_out
    monkeypatch.setattr(Scheduler, "lay_out", lambda self: (laid.append(real(self)[0]), real(self))[1])
    assert Engine(model, tokenizer, frozenset()).generate(asked) == whole
    assert laid == [2]
    monkeypatch.setattr(module, "free_memory", lambda device: free // 8)
    for run in (lambda e: e.generate(asked), lambda e: e.score([((5,) * 60, (6,))])):
        with pytest.raises(ResourceError, match="one row of"):
            run(Engine(model, tokenizer, frozenset()))
    assert Engine(model, tokenizer, frozenset()).generate([]) == []


def tree(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


MEMINFO = {"proc/meminfo": "MemTotal:       16000 kB\nMemAvailable:   9000 kB\n"}


def test_available_memory_without_limits(tmp_path: Path) -> None:
    assert free_memory("cpu", tree(tmp_path, MEMINFO)) == 9000 * 1024


def test_the_tightest_group_above_counts(tmp_path: Path) -> None:
    group = "sys/fs/cgroup"
    files = {
        **MEMINFO,
        "proc/self/cgroup": "0::/jobs/one\n",
        f"{group}/jobs/memory.max": "5000000",
        f"{group}/jobs/memory.current": "4000000",
        f"{group}/jobs/memory.stat": "anon 1\ninactive_file 300000\n",
        f"{group}/jobs/one/memory.max": "max",
        f"{group}/jobs/one/memory.current": "1000",
    }
    assert free_memory("cpu", tree(tmp_path, files)) == 1_300_000


def test_groups_of_the_old_kind(tmp_path: Path) -> None:
    files = {
        **MEMINFO,
        "proc/self/cgroup": "5:cpu,cpuacct:/x\n4:memory:/x\n",
        "sys/fs/cgroup/memory/memory.limit_in_bytes": "2000000",
        "sys/fs/cgroup/memory/memory.usage_in_bytes": "500000",
    }
    assert free_memory("cpu", tree(tmp_path, files)) == 1_500_000


def test_a_system_that_tells_nothing_is_planned_with_half(tmp_path: Path) -> None:
    assert free_memory("cpu", tmp_path) > 0
    assert free_memory("cpu") > 0


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_free_memory_of_a_gpu() -> None:
    before = free_memory("cuda")
    held = torch.zeros(1 << 28, dtype=torch.uint8, device="cuda")
    assert before - free_memory("cuda") == pytest.approx(1 << 28, abs=1 << 26)
    del held
