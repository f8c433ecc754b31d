"""What has to be known of a GPU before one believes in a table: kernels alone, graphs, swapping weights in place."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from shapes import seconds

from deltakit.generate.continuous import attention
from deltakit.generate.continuous.slots import SlotCache

Row = dict[str, Any]


def measurements(model: Any, tokenizer: Any, machine: dict[str, float], tiny: bool) -> Iterator[tuple[str, list[Row]]]:
    """(title, rows) of each; what fails says so in its place."""
    device = str(model.device)
    todo: dict[str, Callable[[], list[Row]]] = {
        "Attention of decoding, alone": lambda: decode_attention(device, model.dtype, machine, tiny),
        "Grouped products with empty groups": lambda: grouped(device, model.dtype, tiny),
        "Capturing graphs, and a step": lambda: graphs(model, tokenizer, tiny),
        "Weights swapped in place": lambda: swap(model, tokenizer),
    }
    for title, run in todo.items():
        try:
            yield title, run()
        except Exception as error:  # a measurement that fails is a result, and the others are still wanted
            yield title, [{"failed": f"{type(error).__name__}: {error}".split("\n")[0]}]


def decode_attention(device: str, dtype: torch.dtype, machine: dict[str, float], tiny: bool) -> list[Row]:
    """The kernel, the plain form, and torch's operation over gathered slots: time, share of the measured bandwidth, and
    the largest relative error against the plain form in float32."""
    from deltakit.generate.continuous.fused import decoding_on

    rows, positions, layers = (4, 64, 1) if tiny else (256, 400, 1)
    out = []
    for name, heads, kv in [("7B, one key head a head", 32, 32), ("8B, four heads a key head", 32, 8), ("0.5B", 14, 2)]:
        size = 64 if heads == 14 else 128
        cache = SlotCache(layers, rows, kv, 2 * positions, size, dtype, device)
        for held in (*cache.keys, *cache.values):
            held.normal_()
        query = torch.randn(rows, heads, 1, size, dtype=dtype, device=device)
        slots = torch.arange(rows, dtype=torch.int32, device=device).flip(0)
        lengths = torch.full((rows,), positions, dtype=torch.int32, device=device)
        given = (query, cache, 0, slots, lengths, size**-0.5)
        right = attention.attend(*given, width=positions).float()
        read = rows * 2 * kv * positions * size * query.element_size()
        forms = {"plain": attention.attend, "torch, gathered": gathered}
        if device.startswith("cuda"):
            forms["kernel"] = decoding_on("cuda")
        for form, attend in forms.items():
            found = attend(*given, width=positions).float()
            took = seconds(
                lambda attend=attend, given=given: attend(*given, width=positions), device, 2 if tiny else 50
            )
            out.append({
                "shape": name, "form": form, "µs": round(1e6 * took, 1), "GB/s": round(read / took / 1e9, 1),
                "of bandwidth": round(read / took / machine["bytes per second"], 3),
                "relative error": f"{float((found - right).norm() / right.norm()):.1e}",
            })  # fmt: skip
    return out


def gathered(query: torch.Tensor, cache: SlotCache, layer: int, slots: torch.Tensor, lengths: torch.Tensor,
             scale: float, *, width: int = 0) -> torch.Tensor:  # fmt: skip
    """torch's scaled_dot_product_attention over a copy of the rows' slots, with a mask."""
    keys, values = (held[layer][slots.long(), :, :width] for held in (cache.keys, cache.values))
    seen = (torch.arange(width, device=query.device) < lengths[:, None])[:, None, None]
    found = torch.nn.functional.scaled_dot_product_attention(query, keys, values, seen, scale=scale, enable_gqa=True)
    return found.transpose(1, 2)


def grouped(device: str, dtype: torch.dtype, tiny: bool) -> list[Row]:
    """F.grouped_mm against a loop over its groups, half of which are empty."""
    from torch.nn.functional import grouped_mm

    width, groups, each = (64, 4, 8) if tiny else (4096, 16, 32)
    x = torch.randn(groups // 2 * each, width, dtype=torch.bfloat16, device=device)
    w = torch.randn(groups, width, width, dtype=torch.bfloat16, device=device)
    ends = [(i // 2 + 1) * each for i in range(groups)]
    offsets = torch.tensor(ends, dtype=torch.int32, device=device)

    def loop() -> torch.Tensor:
        starts = [0, *ends[:-1]]
        return torch.cat([x[lo:hi] @ w[i] for i, (lo, hi) in enumerate(zip(starts, ends, strict=True))])

    found, right = grouped_mm(x, w, offs=offsets), loop()
    times = 2 if tiny else 50
    return [{
        "groups": groups,
        "grouped_mm µs": round(1e6 * seconds(lambda: grouped_mm(x, w, offs=offsets), device, times), 1),
        "loop µs": round(1e6 * seconds(loop, device, times), 1),
        "relative error": f"{float((found - right).float().norm() / right.float().norm()):.1e}",
    }]  # fmt: skip


def _decoding(model: Any, tokenizer: Any, rows: int) -> tuple[Any, Callable[[], torch.Tensor]]:
    """Steps over a cache, and one step of `rows` rows at 100 positions; to be called within `hooked`."""
    from deltakit.generate.continuous.fused import decoding_on
    from deltakit.generate.continuous.graphs import steps_on
    from deltakit.generate.stops import Stops
    from deltakit.generate.voices import Voices

    voices = Voices({None: Stops(tokenizer, frozenset())})
    steps = steps_on(model, voices, rows, 128, decoding_on(model.device.type))
    tokens = torch.arange(rows, device=model.device) % 300
    slots = torch.arange(rows, dtype=torch.int32, device=model.device)
    lengths = torch.full((rows,), 100, dtype=torch.int32, device=model.device)
    return steps, lambda: steps.decode(tokens, slots, lengths, [None] * rows, 100)


def graphs(model: Any, tokenizer: Any, tiny: bool) -> list[Row]:
    """Per row count: seconds to capture, and a step with and without its graph."""
    import time

    from deltakit.generate.continuous.graphs import Graphed
    from deltakit.generate.continuous.hook import hooked
    from deltakit.generate.continuous.step import Steps

    out: list[Row] = []
    for rows in (1, 4) if tiny else (1, 2, 4, 8, 16, 32, 64, 128, 256, 512):
        with hooked(model):
            steps, step = _decoding(model, tokenizer, rows)
            row: Row = {"rows": rows}
            if isinstance(steps, Graphed):
                steps.sizes = ()
                row["eager ms"] = round(1e3 * seconds(step, str(model.device), 10), 3)
                steps.sizes = (rows,)
                start = time.perf_counter()
                while rows not in steps._static and steps.sizes:
                    step()
                torch.cuda.synchronize()
                row["captured after s"] = round(time.perf_counter() - start, 3)
                row["replayed ms"] = round(1e3 * seconds(step, str(model.device), 50), 3)
            else:
                assert isinstance(steps, Steps)
                row["eager ms"] = round(1e3 * seconds(step, str(model.device), 3), 3)
            out.append(row)
    return out


def swap(model: Any, tokenizer: Any) -> list[Row]:
    """All weights overwritten in place: the time, and whether a step, replayed where there are graphs, sees it."""
    from deltakit.generate.continuous.hook import hooked

    spare = {name: p.detach().clone() for name, p in model.named_parameters()}
    with hooked(model), torch.inference_mode():
        _, step = _decoding(model, tokenizer, 4)
        for _ in range(8):
            before = step().clone()

        def write(scale: float) -> None:
            for name, p in model.named_parameters():
                torch.mul(spare[name], scale, out=p)

        took = seconds(lambda: write(1.25), str(model.device))
        after = step().clone()
        write(1.0)
        back = step().clone()
    return [{
        "seconds": round(took, 4), "GB": round(sum(t.numel() * t.element_size() for t in spare.values()) / 1e9, 2),
        "a step sees it": not torch.equal(before, after), "and sees it undone": torch.allclose(before, back),
    }]  # fmt: skip
