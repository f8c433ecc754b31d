"""The decode step as CUDA graphs: one for each of a few row counts, replayed without Python or launches in between.

Never run on a GPU where this was written: its buffers, padding and choice of size are tested on the CPU with a plain
call in place of the replay.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeAlias

import torch

from deltakit.generate.continuous.attention import attend
from deltakit.generate.continuous.slots import SlotCache
from deltakit.generate.continuous.step import Steps
from deltakit.generate.voices import Names, Voices
from deltakit.runtime.memory import ran_out

__all__ = ["SIZES", "Graphed", "captured", "steps_on"]

_LOG = logging.getLogger("deltakit")
SIZES = (1, 2, 4, 8, *range(16, 65, 16), *range(96, 513, 32))
_FIRST = 4  # steps of a size before it is worth capturing: that costs about as many

Body: TypeAlias = Callable[[], torch.Tensor]
Record: TypeAlias = Callable[[Body], tuple[Callable[[], Any], torch.Tensor]]


def captured(body: Body, pool: Any = None) -> tuple[Callable[[], Any], torch.Tensor]:
    """A CUDA graph of `body`: what replays it, and the tensor that it writes each time. Graphs of one `pool` share the
    memory of what they make on the way."""
    side = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        body()  # kernels are compiled and libraries make their workspaces outside of the graph
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, pool=pool):
        out = body()
    return graph.replay, out


@dataclass
class Graphed(Steps):
    """`Steps` whose decode step is replayed for the model itself, rows padded to the next of `sizes`; tenants' rows,
    more rows than any size, and sizes that were hardly used yet take the plain step.

    The cache's last slot belongs to the padding: no row may hold it.
    """

    record: Record = captured
    sizes: Sequence[int] = SIZES
    _static: dict[int, _Static] = field(default_factory=dict)
    _used: Counter[int] = field(default_factory=Counter)

    def decode(
        self, tokens: torch.Tensor, slots: torch.Tensor, lengths: torch.Tensor, names: Names, width: int
    ) -> torch.Tensor:
        """As `Steps.decode`; the logits are overwritten by the next step."""
        size = next((known for known in self.sizes if known >= len(tokens)), 0)
        if size and all(name is None for name in names) and self._ready(size):
            return self._static[size](tokens, slots, lengths)
        return super().decode(tokens, slots, lengths, names, width)

    def _ready(self, size: int) -> bool:
        """Whether this size has its graph, made now if it was used often enough."""
        if size in self._static:
            return True
        self._used[size] += 1
        if self._used[size] <= _FIRST:
            return False
        try:
            self._static[size] = _Static(self, size)
        except RuntimeError as error:
            if ran_out(error):
                raise
            _LOG.warning("no CUDA graph of the decode step: %s; it runs without", str(error).split("\n")[0])
            self.sizes = ()
            return False
        return True


class _Static:
    """One row count: inputs at fixed places, the recorded step, logits at a fixed place."""

    def __init__(self, steps: Graphed, size: int) -> None:
        device, cache = steps.model.device, steps.cache
        self._spare = cache.slots - 1
        self._tokens = torch.zeros(size, dtype=torch.long, device=device)
        self._slots = torch.full((size,), self._spare, dtype=torch.int32, device=device)
        self._lengths = torch.ones(size, dtype=torch.int32, device=device)
        names = [None] * size

        def body() -> torch.Tensor:
            return Steps.decode(steps, self._tokens, self._slots, self._lengths, names, cache.positions)

        self._replay, self._logits = steps.record(body)

    @torch.inference_mode()
    def __call__(self, tokens: torch.Tensor, slots: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """Logits (rows, vocabulary); rows of padding write to the spare slot, at its first position."""
        rows = len(tokens)
        self._tokens[:rows] = tokens
        self._slots[:rows] = slots
        self._slots[rows:] = self._spare
        self._lengths[:rows] = lengths
        self._lengths[rows:] = 1
        self._replay()
        return self._logits[:rows]


def steps_on(
    model: Any, voices: Voices, slots: int, positions: int, attend: Callable[..., torch.Tensor] = attend
) -> Steps:
    """Steps over a new cache that decode by `attend`: on CUDA with graphs (and a slot more), else the plain ones."""
    if model.device.type != "cuda":
        return Steps(model, voices, SlotCache.of(model, slots, positions), attend)
    record = partial(captured, pool=torch.cuda.graph_pool_handle())  # one graph runs at a time
    return Graphed(model, voices, SlotCache.of(model, slots + 1, positions), attend, record)
