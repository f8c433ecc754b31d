"""How many rows fit in memory, told before anything starts: weights, keys and values, what a step needs besides."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deltakit.errors import ResourceError
from deltakit.runtime.skeleton import model_config
from deltakit.tensors import dtype_code

if TYPE_CHECKING:
    from deltakit.generate.host import Opened

__all__ = ["Forecast", "Shape", "expected", "forecast", "free_memory", "room"]

_SHARE = 0.9  # of the free memory that is planned with: allocators round up and leave gaps
_LOGITS = 1 << 27  # elements of logits that a pass over prompts makes at most
_FLOAT = 4  # bytes of the numbers in which attention and softmax are computed


@dataclass(frozen=True)
class Shape:
    """What of a config decides memory. `windows`: for each layer that keeps keys and values, how many positions it
    looks back (0: all). `scored`: attention of prompts makes a matrix of scores, for a soft cap or sinks."""

    heads: int
    kv_heads: int
    head_size: int
    hidden: int
    inner: int
    vocabulary: int
    windows: tuple[int, ...]
    scored: bool = False

    @classmethod
    def of(cls, config: Any) -> Shape:
        """The shape of a transformers config (its text part); layers of linear attention keep no keys and values."""
        text = config.get_text_config()
        heads = int(text.num_attention_heads)
        inner = getattr(text, "intermediate_size", None) or 4 * text.hidden_size
        return cls(
            heads=heads,
            kv_heads=int(getattr(text, "num_key_value_heads", None) or heads),
            head_size=int(getattr(text, "head_dim", None) or text.hidden_size // heads),
            hidden=int(text.hidden_size),
            inner=int(inner),
            vocabulary=int(text.vocab_size),
            windows=tuple(_windows(text)),
            scored=bool(getattr(text, "attn_logit_softcapping", None)) or text.model_type == "gpt_oss",
        )

    def per_token(self, itemsize: int) -> int:
        """Bytes of keys and values of one position in all layers."""
        return len(self.windows) * self._layer(itemsize)

    def row(self, positions: int, itemsize: int, *, rolling: bool = False) -> int:
        """Bytes of keys and values of a row of that many positions. `rolling`: layers with a window keep no more than
        it, as transformers' own cache does; a slot cache keeps all."""
        kept = [min(positions, window) if window and rolling else positions for window in self.windows]
        return sum(kept) * self._layer(itemsize)

    def chunk(self, tokens: int, positions: int, itemsize: int, rows: int = 1) -> int:
        """Bytes that one forward pass of `tokens` prompt tokens, of which none looks back beyond `positions`, needs at
        its peak where logits of `rows` positions are made: the widest layer, one layer's keys and values in all heads,
        a mask, the scores of one prompt where they are made (`fused.attend_prompt`), the logits in two dtypes."""
        wide = 4 * self.inner + 4 * self.hidden + (self.heads + 2 * self.kv_heads) * self.head_size
        spread = 2 * self.heads * self.head_size * positions * itemsize
        mask = min(tokens, positions) * positions * (1 + itemsize + 3 * self.heads * _FLOAT * self.scored)
        return tokens * wide * itemsize + spread + mask + rows * self.vocabulary * (itemsize + 2 * _FLOAT)

    def step(self, positions: int, itemsize: int) -> int:
        """Bytes a row needs besides in a step of decoding by the plain attention: one layer's keys and values gathered
        and in float32, its scores, its logits. A fused kernel gathers nothing."""
        gathered = self._layer(itemsize) * positions * (1 + _FLOAT / itemsize)
        return int(gathered) + 2 * self.heads * positions * _FLOAT + self.vocabulary * (itemsize + 2 * _FLOAT)

    def _layer(self, itemsize: int) -> int:
        return 2 * self.kv_heads * self.head_size * itemsize


def _windows(text: Any) -> Iterator[int]:
    window = int(getattr(text, "sliding_window", None) or 0)
    if getattr(text, "use_sliding_window", True) is False:
        window = 0
    kinds = getattr(text, "layer_types", None) or ["sliding_attention" if window else ""] * text.num_hidden_layers
    for kind in kinds:
        if kind not in ("linear_attention", "mamba", "conv"):
            yield window if kind in ("sliding_attention", "chunked_attention") else 0


@dataclass(frozen=True)
class Forecast:
    """`free` bytes of the device, of which `weights` are still to be loaded; `rows` of `positions` each fit at once,
    `tokens` positions in all; `bytes` is what all that comes to."""

    free: int
    weights: int
    per_token: int
    positions: int
    rows: int

    @property
    def tokens(self) -> int:
        """Positions of keys and values that fit."""
        return self.rows * self.positions

    @property
    def bytes(self) -> int:
        """Weights, keys and values."""
        return self.weights + self.tokens * self.per_token

    def told(self) -> dict[str, int]:
        """For a dry run and the results."""
        return {
            "free_bytes": self.free, "weight_bytes": self.weights, "kv_bytes_per_token": self.per_token,
            "positions": self.positions, "rows": self.rows,
        }  # fmt: skip


def forecast(
    config: Any, positions: int, itemsize: int, *, free: int, weights: int = 0, chunk: int = 8192, fused: bool = False,
    most: int = 512,
) -> Forecast:  # fmt: skip
    """How many rows of `positions` (prompt and answer) fit in `free` bytes beside `weights` bytes that are not loaded
    yet and the forward pass of `chunk` prompt tokens; at most `most`.

    `itemsize`: bytes of a weight and of a key. `fused`: attention of decoding by a kernel that makes no copies.
    Raises ResourceError where not even one row fits.
    """
    shape = Shape.of(config)
    once = shape.chunk(chunk, positions, itemsize, min(most, chunk, max(1, _LOGITS // shape.vocabulary)))
    beside = shape.vocabulary * (itemsize + 2 * _FLOAT) if fused else shape.step(positions, itemsize)
    room = free * _SHARE - weights - once
    rows = min(most, int(room // (shape.row(positions, itemsize) + beside)))
    if rows < 1:
        need = weights + once + shape.row(positions, itemsize) + beside
        raise ResourceError(
            f"one row of {positions} tokens needs {need / 1e9:.2f} GB with the weights, {free / 1e9:.2f} GB are free",
            remedy="lower --max-new-tokens, use --dtype bfloat16, or a device with more memory",
        )
    return Forecast(free, weights, shape.per_token(itemsize), positions, rows)


def room(model: Any, lengths: Sequence[int], rows: int, chunk: int) -> int:
    """Positions of a slot cache that fit now on the device of a running model, for requests of these lengths (prompt
    and answer), `rows` of them at once at most. ResourceError where not even one does."""
    device = str(model.device)
    found = forecast(
        model.config, max(lengths), model.dtype.itemsize, free=free_memory(device), chunk=min(chunk, sum(lengths)),
        fused=device.startswith("cuda"), most=min(rows, len(lengths)),
    )  # fmt: skip
    return found.tokens


def expected(opened: Opened, dtype: str, device: str) -> dict[str, int]:
    """For a dry run: what a model's weights will take in `dtype` ("bfloat16"), what a token of its cache takes, and how
    many tokens of all rows fit beside the weights in what is free on `device` now (0: not even the weights)."""
    itemsize = {"F64": 8, "F32": 4}.get(dtype_code(dtype), 2)
    weights = sum(spec.numel for spec in opened.tensors.specs.values()) * itemsize
    each = Shape.of(model_config(opened.sidecar)).per_token(itemsize)
    free = free_memory(device)
    tokens = max(0, int((free * _SHARE - weights) // each)) if each else 0
    return {"free_bytes": free, "weight_bytes": weights, "kv_bytes_per_token": each, "tokens": tokens}


def free_memory(device: str, root: Path = Path("/")) -> int:
    """Bytes that may still be taken on a device: of a CUDA device what its driver says and what torch keeps unused; of
    the machine what Linux calls available, within the limits of the control groups that the process is in."""
    if device.startswith("cuda"):
        import torch

        kept = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return int(torch.cuda.mem_get_info(device)[0]) + kept
    known = [*_available(root), *_within_groups(root)]
    if not known:
        import os

        known = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2]  # not Linux: half of all there is
    return max(0, min(known))


def _available(root: Path) -> Iterator[int]:
    for line in _text(root / "proc/meminfo").splitlines():
        if line.startswith("MemAvailable:"):
            yield int(line.split()[1]) * 1024


def _within_groups(root: Path) -> Iterator[int]:
    """What each control group above the process leaves: its limit less what it uses and could not give back."""
    for line in _text(root / "proc/self/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        old = "memory" in controllers.split(",")
        if controllers and not old:
            continue
        top = root / ("sys/fs/cgroup/memory" if old else "sys/fs/cgroup")
        names = ("memory.limit_in_bytes", "memory.usage_in_bytes") if old else ("memory.max", "memory.current")
        own = Path(path.lstrip("/"))
        for folder in (top / own, *(top / parent for parent in own.parents)):
            limit, used = (_text(folder / name).strip() for name in names)
            if limit.isdigit() and used.isdigit():
                yield int(limit) - int(used) + _reclaimable(_text(folder / "memory.stat"))


def _reclaimable(stat: str) -> int:
    """Bytes of files in the page cache that nobody used of late."""
    return sum(int(line.split()[1]) for line in stat.splitlines() if line.startswith("inactive_file "))


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
