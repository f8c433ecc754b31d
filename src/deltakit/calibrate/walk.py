"""A walk through a model layer by layer, on cached states: each layer sees what the layers before it really give.

The model's own forward runs each time, with the layers behind it standing still: so masks, positions and whatever else
a model hands to its layers are right for every architecture, and only one layer's weights are in memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch.overrides import TorchFunctionMode

from deltakit.calibrate.batches import Batches
from deltakit.calibrate.moments import Moments, Recorder, Unshared
from deltakit.calibrate.stages import Stage, beside_embedding, cut, layers_of
from deltakit.delta.measure.threads import one_thread
from deltakit.errors import InputError, RecipeError
from deltakit.runtime.hollow import hollow_model, hollow_out, weights_of
from deltakit.tensors import TensorMap, TensorSpec, to_float32
from deltakit.tensors import read as read_tensor

if TYPE_CHECKING:
    from deltakit.checkpoint import Sidecar

__all__ = ["Layer", "Read", "States", "Walker", "reader", "walk"]

Read: TypeAlias = Callable[[str], NDArray[Any]]  # a checkpoint's tensor by name, in its shape; floats as float32
States: TypeAlias = "tuple[Any, ...]"  # one for each batch: what the last stage gave


class _Stop(Exception):
    """A forward pass has gone as far as it should."""


def reader(tensors: TensorMap) -> Read:
    """Reads a checkpoint's tensors as float32."""

    def read(name: str) -> NDArray[Any]:
        spec = tensors.specs[name]
        if not spec.is_float:
            return read_tensor(tensors, name).numpy()
        return to_float32(tensors.buffer(name), spec.dtype).reshape(spec.shape)

    return read


class Walker:
    """A model without weights, and the text that goes through it. Stages are gone through in their order; the weights
    of each come from whatever model is asked, so several models of one shape walk side by side on one frame.

    Everything is computed in float32 by one thread, so that its bytes do not depend on how many there are. Raises the
    errors of `hollow_model`.
    """

    def __init__(
        self, specs: Mapping[str, TensorSpec], sidecar: Sidecar, batches: Batches, *, device: str = "cpu"
    ) -> None:
        self.batches, self.device = batches, device
        self.model = hollow_model(specs, sidecar, device=device)
        self._weights = weights_of(self.model)
        self._layers = layers_of(self.model)[1]
        self._check()
        self.stages = cut(self.model, frozenset(specs), self._used_first())

    @property
    def entered(self) -> frozenset[str]:
        """The checkpoint's tensors that a product with an input may be seen of: all but tables that are looked up and
        what lies beside the part of the model that takes text."""
        modules = self.model.named_modules(remove_duplicate=False)
        tables = {f"{n}.weight" for n, m in modules if isinstance(m, torch.nn.Embedding)}
        places = {n: place.weight for stage in self.stages for n, place in stage.places.items()}
        beside = set[str]()
        if self.model.config.get_text_config() is not self.model.config:  # it takes pictures too
            own, head = beside_embedding(self.model), self._output(self.stages[-1])
            beside = {w for w, t in self._weights.items() if not w.startswith(own) and t is not head}
        return frozenset(n for n, weight in places.items() if weight not in tables | beside)

    def load(self, stage: Stage, read: Read) -> None:
        """Fill the weights that a stage needs; those of all other stages are let go."""
        hollow_out(self.model, self._weights)
        for name in stage.needs:
            self.replace(stage, {name: read(name)})

    def replace(self, stage: Stage, tensors: Mapping[str, NDArray[Any]]) -> None:
        """Overwrite some of a stage's weights by the checkpoint's names; a later run sees them."""
        for name, values in tensors.items():
            place = stage.needs[name]
            weight = self._weights[place.weight]
            if weight.untyped_storage().nbytes() < weight.numel() * weight.element_size():
                weight.data = torch.empty(weight.shape, dtype=weight.dtype, device=weight.device)
            place.put(weight.data, torch.from_numpy(np.ascontiguousarray(values)).to(weight.device))

    def moments(
        self, stage: Stage, states: States | None, *, gram: bool = True, double: bool = False
    ) -> dict[str, Moments]:
        """What enters each of a stage's tensors, with the weights that are loaded."""
        return self.watch(stage, states, gram=gram, double=double)[0]

    def watch(
        self, stage: Stage, states: States | None, *, gram: bool = True, double: bool = False
    ) -> tuple[dict[str, Moments], States]:
        """The moments, and what the stage gives (of the last stage: nothing), in one pass."""
        try:
            found, given = self._watch(stage, states, gram, double, share=True)
        except Unshared:
            found, given = self._watch(stage, states, gram, double, share=False)
        wrong = [n for n, m in found.items() if not bool(torch.isfinite(m.magnitude).all())]
        if wrong:
            raise InputError(
                f"the inputs of {wrong[0]!r} are not finite on this text", remedy="check the weights of this model"
            )
        return found, given

    def _watch(
        self, stage: Stage, states: States | None, gram: bool, double: bool, share: bool
    ) -> tuple[dict[str, Moments], States]:
        weights = {n: self._weights[n] for n in sorted({p.weight for p in stage.needs.values()})}
        recorder = Recorder(weights, gram=gram, double=double, share=share, until=self._output(stage), stop=_Stop)
        given = []
        with recorder:
            for batch in range(len(self.batches)):
                given.append(self._run(stage, states, batch))
                recorder.forget_inputs()
        return recorder.moments(stage.places), tuple(given)

    def advance(self, stage: Stage, states: States | None) -> States:
        """What the stage gives for each batch, with the weights that are loaded. Behind the last: the model's output
        (logits, or hidden states where it has no head)."""
        return tuple(self._run(stage, states, batch) for batch in range(len(self.batches)))

    def _run(self, stage: Stage, states: States | None, batch: int) -> Any:
        ids = torch.from_numpy(self.batches[batch]).to(self.device)
        before = None if states is None else states[batch]
        with torch.no_grad(), one_thread(), self._cut(stage, before) as caught:
            try:
                found = self.model(input_ids=ids)
            except _Stop:
                return caught[0] if caught else None
        return found.logits if "logits" in found else found.last_hidden_state

    @contextmanager
    def _cut(self, stage: Stage, before: Any) -> Iterator[list[Any]]:
        """Within the block a forward pass does the work of one stage alone."""
        caught: list[Any] = []
        with ExitStack() as stack:
            for i, layer in enumerate(self._layers):
                if i < stage.layer:
                    stack.enter_context(_still(layer, before))
            if len(self._layers) and stage.layer < len(self._layers):
                layer = self._layers[max(0, stage.layer)]
                if stage.layer <= 0:
                    hook = layer.register_forward_pre_hook(_entry(stage.layer, before, caught), with_kwargs=True)
                    stack.callback(hook.remove)
                if stage.layer >= 0:
                    stack.callback(layer.register_forward_hook(_exit(caught)).remove)
            yield caught

    def _used_first(self) -> frozenset[str]:
        """The weights that are used before the layers; found by a run over weights that are not there."""
        if not len(self._layers):
            return frozenset(self._weights)
        probe = {n: torch.zeros(1, dtype=w.dtype, device=self.device) for n, w in self._weights.items()}
        for name, own in probe.items():  # one element of its own for each, so that it is known by its place
            self._weights[name].data = own.reshape(()).expand(self._weights[name].shape)
        recorder = _Touched({w.data_ptr(): n for n, w in self._weights.items()})
        with recorder:
            self._run(Stage("", -1, {}, {}), None, 0)
        tied = {self._weights[n].data_ptr() for n in recorder.found}
        return frozenset(n for n, w in self._weights.items() if w.data_ptr() in tied)

    def _output(self, stage: Stage) -> torch.Tensor | None:
        """The head's weight: no one needs the logits for what enters it."""
        head = self.model.get_output_embeddings()
        return getattr(head, "weight", None) if stage.layer == len(self._layers) else None

    def _check(self) -> None:
        """The text must fit the model: its ids the vocabulary, its length the positions."""
        rows = self.model.get_input_embeddings().weight.shape[0]
        if self.batches.largest >= rows:
            raise InputError(
                f"the text holds the token {self.batches.largest}, the model has {rows}",
                remedy="use the tokenizer that belongs to this model",
            )
        context = getattr(self.model.config.get_text_config(), "max_position_embeddings", None)
        if context is not None and self.batches.length > context:
            raise RecipeError(
                f"samples of {self.batches.length} tokens are longer than this model's {context} positions",
                remedy=f"set the calibration's length to {context} or less",
            )


@dataclass(frozen=True)
class Layer:
    """A stage on a walk, open to change."""

    stage: Stage
    walker: Walker

    def replace(self, tensors: Mapping[str, NDArray[Any]]) -> None:
        """New values for some of its tensors, by the checkpoint's names: the layers behind see what they give."""
        self.walker.replace(self.stage, tensors)


def walk(
    walker: Walker, read: Read, *, gram: bool = True, double: bool = False
) -> Iterator[tuple[Layer, dict[str, Moments]]]:
    """Each stage of one model with the moments of what enters its tensors, in true sequence: what is replaced while a
    stage is held is what the next ones see. Memory is one stage's weights and moments, and the states of the text."""
    states: States | None = None
    for stage in walker.stages:
        walker.load(stage, read)
        yield Layer(stage, walker), walker.moments(stage, states, gram=gram, double=double)
        if stage is not walker.stages[-1]:
            states = walker.advance(stage, states)


class _Touched(TorchFunctionMode):
    """Which weights, known by their addresses, any operation takes."""

    def __init__(self, names: Mapping[int, str]) -> None:
        super().__init__()
        self._names = names
        self.found: set[str] = set()

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        given = dict(kwargs or {})
        if func not in _QUIET:
            tensors = [v for v in (*args, *given.values()) if isinstance(v, torch.Tensor)]
            self.found |= {self._names[t.data_ptr()] for t in tensors if t.data_ptr() in self._names}
        return func(*args, **given)


_QUIET = (torch.Tensor.data_ptr,)


@contextmanager
def _still(layer: Any, output: Any) -> Iterator[None]:
    """The layer gives what it is told, without a look at its input."""
    layer.forward = lambda *args, **kwargs: output
    try:
        yield
    finally:
        del layer.forward


def _entry(number: int, before: Any, caught: list[Any]) -> Callable[..., Any]:
    """Before the first layer: the states that enter it are caught, or those that were caught are put in."""

    def hook(module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if number < 0:
            caught.append(args[0] if args else kwargs["hidden_states"])
            raise _Stop
        return ((before, *args[1:]), kwargs) if args else (args, {**kwargs, "hidden_states": before})

    return hook


def _exit(caught: list[Any]) -> Callable[..., None]:
    def hook(module: Any, args: tuple[Any, ...], output: Any) -> None:
        caught.append(output)
        raise _Stop

    return hook
