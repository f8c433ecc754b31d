"""The text that data-aware primitives look at: which it is, and the walks through models on it.

A primitive says by `calibrated: ClassVar[bool] = True` that it needs some; the planner hands it a `Calibrator`.
Planning opens the text and checks that models can run; tokens and activations are made when something is measured.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from pydantic import Field

from deltakit.calibrate.sampling import LENGTH, Sampling, check_runnable, open_walker
from deltakit.calibrate.text import Text, open_text
from deltakit.checkpoint.sidecar import Sidecar
from deltakit.delta.experts import Apart, Together
from deltakit.delta.terms.base import Float32
from deltakit.errors import RecipeError
from deltakit.manifest import describe_input
from deltakit.recipe import Section
from deltakit.sparsify.flow import Flow, Pull
from deltakit.tensors import Mapped, TensorMap, TensorSpec, as_bytes

if TYPE_CHECKING:
    from deltakit.calibrate.batches import Batches
    from deltakit.calibrate.moments import Moments
    from deltakit.calibrate.walk import Read, Walker
    from deltakit.merge.plan.recipe import MergeRecipe
    from deltakit.merge.sources.inputs import Inputs

__all__ = ["Calibration", "Calibrator", "calibrator_for", "calibrator_of", "read_over"]


class Calibration(Section):
    """The text that data-aware methods look at."""

    text: str | None = Field(None, min_length=1, description="A .txt or .jsonl file; default: a neutral text.")
    samples: int = Field(128, ge=1, description="Stretches of text, at most.")
    length: int | None = Field(None, ge=2, description="Tokens of each; default: 512, or what the model can hold.")
    batch: int = Field(8, ge=1, description="Samples that run at once; DAREx-q looks at the first batch alone.")
    device: Literal["cpu", "cuda"] = Field("cpu", description="Where the models run.")


@dataclass(frozen=True)
class Calibrator:
    """Runs models of the base's shape on the text. `texts` are those of single models, by the keys of their flows."""

    settings: Calibration
    base: TensorMap
    sidecar: Sidecar
    text: Text
    texts: Mapping[str, Text] = field(default_factory=dict)
    costs: tuple[str, ...] = ()  # what the reducer says that it takes
    _made: dict[Any, Any] = field(default_factory=dict, repr=False, compare=False)
    _lock: threading.RLock = field(default_factory=threading.RLock, repr=False, compare=False)

    def text_of(self, key: str) -> Text:
        """The text of one model."""
        return self.texts.get(key, self.text)

    def batches(self, text: Text | None = None) -> Batches:
        """The token ids of a text, made once."""
        found: Batches = self.once(("batches", text or self.text), lambda: self._batches(text or self.text))
        return found

    def walker(self, batches: Batches) -> Walker:
        """A frame that models of the base's shape walk through, under the names that they are stored under."""
        return open_walker(self.stored(self.base).specs, self.sidecar, batches, self.settings.device)

    def stored(self, tensors: TensorMap) -> TensorMap:
        """A model whose experts lie apart, as it is stored: packed, where the base has them packed."""
        return Together(tensors, self.base.layout) if isinstance(self.base, Apart) else tensors

    def names(self, stored: str) -> tuple[str, ...]:
        """The merge's names of a stored tensor: those of its experts where the merge sees them apart."""
        if not isinstance(self.base, Apart):
            return (stored,)
        layout = self.base.layout
        pieces = [n for expert in layout.pieces.get(stored, ()) for n in expert]
        return tuple(pieces) or (layout.apart(stored),)

    def moments(self, found: Mapping[str, Moments]) -> dict[str, Moments]:
        """Moments of stored tensors by the merge's names; each expert that lies apart has its own slice."""
        made = {n: m for stored, m in found.items() for n in self.names(stored)}
        if isinstance(self.base, Apart):
            for name, part in self.base.layout.parts.items():
                if name in made:
                    made[name] = _slice(made[name], part.expert, part.transposed)
        return made

    def once(self, key: Any, make: Any) -> Any:
        """What `make` gives, kept under `key`: several primitives may ask for the same walk, from several threads."""
        with self._lock:
            if key not in self._made:
                self._made[key] = make()
            return self._made[key]

    @property
    def notes(self) -> tuple[str, ...]:
        """What the plan says about the text."""
        s = self.settings
        size = f"up to {s.samples} samples of {s.length or f'at most {LENGTH}'} tokens"
        own = [f"calibration text of model {k!r}: {t.name}" for k, t in sorted(self.texts.items())]
        return (f"calibration text: {self.text.name}, {size}", *own, *self.costs)

    def described(self) -> list[dict[str, Any]]:
        """The texts as inputs of the manifest, by digest."""
        texts = [(self.text, ""), *((t, k) for k, t in sorted(self.texts.items()))]
        return [describe_input(t.name, t.digest(), role="text", **({"key": k} if k else {})) for t, k in texts]

    def _batches(self, text: Text) -> Batches:
        s = self.settings
        return Sampling(None, s.samples, s.length, s.batch).of(text, self.sidecar)


def open_calibrator(
    settings: Calibration | None, base: TensorMap, sidecar: Sidecar, texts: Mapping[str, str]
) -> Calibrator:
    """Open the texts and check, before a weight is read, that models can run here.

    Raises InputError for texts (see `open_text`), a base without configuration or tokenizer, RecipeError without
    transformers.
    """
    settings = settings or Calibration.model_validate({})
    check_runnable(sidecar, "this method", "the base")
    opened = {key: open_text(text) for key, text in texts.items()}
    return Calibrator(settings, base, sidecar, open_text(settings.text), opened)


def calibrator_for(recipe: MergeRecipe, inputs: Inputs) -> Calibrator | None:
    """What the primitives of a recipe that look at text are handed; None where none of them does.

    RecipeError for a text that nothing looks at, and a post primitive that measures the base where none is named.
    """
    methods = [m.method for m in inputs.members]
    used = any(m.calibrated for m in methods)
    own = {i.name or i.model: i.text for i in recipe.models if i.text}
    if not used and (recipe.calibration or own):
        raise RecipeError(
            f"method {recipe.method!r} looks at no text, and the recipe gives one",
            remedy="leave calibration: out, or use regmean, regmean_pp, darex or post: aim",
        )
    if own and not replace(methods[0], each=(), post=()).calibrated:
        raise RecipeError(
            f"text: of model {sorted(own)[0]!r}: only regmean and regmean_pp look at a text for each model",
            remedy="give one text under calibration:",
        )
    if recipe.base is None and any(getattr(s, "calibrated", False) for s in methods[0].post):
        raise RecipeError("post: measures the base on text, and the recipe names none", remedy="name the base")
    if not used:
        return None
    texts = {m.key: own[m.label] for m in inputs.members if m.label in own}
    made = open_calibrator(recipe.calibration, inputs.base, inputs.sidecar, texts)
    cost = getattr(methods[0].reduce, "cost", None)
    return replace(made, costs=cost(made.stored(inputs.base).specs)) if cost else made


def _slice(moments: Moments, expert: int, turned: bool) -> Moments:
    """Those of one expert's matrix; `turned` where it is seen with its axes exchanged."""
    axis = moments.axis - 1
    gram = None if moments.gram is None else moments.gram[expert : expert + 1]
    return replace(
        moments, axis=1 - axis if turned else axis, gram=gram,
        magnitude=moments.magnitude[expert : expert + 1], rows=(moments.rows[expert],),
    )  # fmt: skip


def calibrator_of(holder: Any) -> Calibrator:
    """The calibrator of a flow or a group. RecipeError where the way here brings none."""
    found = holder.calibrator
    if not isinstance(found, Calibrator):
        raise RecipeError("this primitive looks at text and works in merge recipes only", remedy="use it in a recipe")
    return found


def read_over(calibrator: Calibrator, flow: Flow, pull: Pull) -> Read:
    """Tensors of a model by the names that it is stored under: `pull` where the flow knows them, else the base's."""
    from deltakit.calibrate.walk import reader

    base = calibrator.base
    specs = {n: TensorSpec(s.shape, "F32") if n in flow.specs else s for n, s in base.specs.items()}

    def rows(name: str, lo: int, hi: int) -> memoryview:
        return as_bytes(pull(name, lo, hi)) if name in flow.specs else base.buffer(name, lo, hi)

    return reader(calibrator.stored(Mapped(specs, rows)))


def whole_rows(flow: Flow, pull: Pull, name: str) -> Float32:
    """All rows of a tensor, in its shape."""
    return np.ascontiguousarray(pull(name, 0, flow.specs[name].rows)).reshape(flow.specs[name].shape)
