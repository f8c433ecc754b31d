"""The plan of a merge: everything that can be settled, checked and shown before a weight is read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from deltakit.checkpoint.licence import conflicts
from deltakit.checkpoint.open import Checkpoint
from deltakit.checkpoint.pump import Progress
from deltakit.checkpoint.sidecar import Sidecar
from deltakit.delta.applied import Applied
from deltakit.delta.lora import Wanted
from deltakit.delta.open import Model
from deltakit.errors import RecipeError
from deltakit.manifest import make_manifest
from deltakit.merge.compute.calibration import Calibrator, calibrator_for
from deltakit.merge.compute.merged import Merged, changes, merge_deltas
from deltakit.merge.plan.about import about, licences_in
from deltakit.merge.plan.load import Load
from deltakit.merge.plan.planned import Planned
from deltakit.merge.plan.recipe import MergeRecipe
from deltakit.merge.sources.checks import Settled, settle
from deltakit.merge.sources.inputs import Inputs, open_inputs
from deltakit.merge.sources.vocabulary import Layout
from deltakit.merge.tokens.lint import check_template
from deltakit.merge.tokens.template import template_of
from deltakit.tensors import FLOAT_DTYPES, TensorMap, TensorSpec, dtype_code

__all__ = ["Plan", "plan_merge", "with_dtype"]

_CONFIG_DTYPES = {"BF16": "bfloat16", "F16": "float16", "F32": "float32", "F64": "float64"}


@dataclass(frozen=True)
class Plan(Planned):
    """A merge that treats all tensors alike."""

    recipe: MergeRecipe
    inputs: Inputs
    layout: Layout
    made: Merged
    sidecar: Sidecar
    removed: tuple[str, ...]
    settled: Settled
    calibrator: Calibrator | None = None

    @property
    def warnings(self) -> tuple[str, ...]:
        return (*self.settled.warnings, *conflicts(licences_in(self.inputs_said)))

    @property
    def allow_nonfinite(self) -> bool:
        return self.recipe.allow_nonfinite

    @property
    def method(self) -> str:
        return self.recipe.method

    @property
    def tensors(self) -> TensorMap:
        return self.inputs.whole(self.made.tensors, self.made.dtype)

    @property
    def order(self) -> tuple[str, ...]:
        return getattr(self.tensors, "order", None) or Applied(self.made.base, self.made.delta).order

    @property
    def notes(self) -> tuple[str, ...]:
        return (*self.inputs.notes, *self.layout.notes, *(self.calibrator.notes if self.calibrator else ()))

    @property
    def checkpoints(self) -> tuple[Checkpoint, ...]:
        return self.inputs.checkpoints

    @property
    def named(self) -> tuple[str, ...]:
        return (*([self.recipe.base] if self.recipe.base else []), *(item.model for item in self.recipe.models))

    @property
    def measures(self) -> tuple[Callable[[Progress], None], ...]:
        return self.made.measures

    @property
    def loads(self) -> tuple[Load, ...]:
        members, specs = self.inputs.members, tuple(self.made.delta.specs.values())
        linear = self.made.coefficients is not None
        return (Load(self.recipe.method, "paper", members[0].method, len(members) + 1, specs, linear),)

    @property
    def merged(self) -> Merged | None:
        heads, layout = self.inputs.heads, self.inputs.layout
        own = (heads is None or heads.own) and layout is None
        return self.made if self.recipe.base is not None and own else None

    @property
    def parent(self) -> Model | None:
        if self.recipe.base is None:
            return None
        return Model(self.inputs.reads[0], self.inputs.sidecar, self.inputs.base_source)

    @property
    def lora(self) -> Wanted | None:
        dtype = dtype_code(self.recipe.dtype or "F32")
        return None if self.recipe.lora is None else Wanted(self.recipe.lora, dtype)

    def equals(self) -> str:
        return "" if changes(self.made) else self.inputs.base_source

    def model(self, source: str) -> Model:
        """The merged model as what a MODEL string names."""
        base = self.inputs.checkpoints[0] if self.merged is not None and not self.recipe.dtype else None
        return Model(self.tensors, self.sidecar, source, base, self.made.delta if base is not None else None)

    @cached_property
    def inputs_said(self) -> list[dict[str, Any]]:
        """The base and the models as the manifest names them."""
        near = self.settled.kinships
        base = about(self.inputs.base_source, self.inputs.fingerprint, self.inputs.checkpoints[:1], role="base")
        models = [
            about(
                m.source, m.delta.lineage.tuned, m.reads, near.get(m.label), role="model", key=m.key,
                note=dict(m.delta.lineage.note),
            )
            for m in self.inputs.members
        ]  # fmt: skip
        return [base, *models]

    def manifest(self) -> dict[str, Any]:
        recipe = self.recipe.model_dump(by_alias=True, exclude_none=True)
        texts = self.calibrator.described() if self.calibrator else []
        inputs = [*self.inputs_said, *texts]
        return make_manifest(
            "merge", inputs=inputs, recipe=recipe, seed=self.recipe.seed, notes=(*self.notes, *self.warnings)
        )

    def action(self, name: str, spec: TensorSpec) -> str:
        heads, layout = self.inputs.heads, self.inputs.layout
        if layout and layout.packed(name):
            return f"{self.recipe.method}, expert by expert"
        name = layout.apart(name) if layout else name
        if heads and heads.keeps(name):
            return f"kept from {heads.bearer.label if heads.bearer else 'base'}"
        name = heads.known(name) if heads else name
        keeper = self.layout.keeper.label if self.layout.keeper else ""
        if name not in self.inputs.base.specs:
            return f"kept from {keeper}"
        action = self.recipe.method if spec.is_float else "copied (must be equal in all)"
        added = spec.rows - self.inputs.base.specs[name].rows
        return f"{action}, {added} added rows kept from {keeper}" if added else action


def plan_merge(recipe: MergeRecipe) -> Plan:
    """Open the inputs and settle the merge; only headers, fingerprints and some MB of samples are read.

    Raises RecipeError, InputError and MismatchError, all problems of a kind at once; UnsafeError for a chat template
    that reaches for Python's internals.
    """
    dtype = dtype_code(recipe.dtype) if recipe.dtype is not None else None
    if dtype is not None and dtype not in FLOAT_DTYPES:
        raise RecipeError(f"dtype {recipe.dtype!r} holds no weights", remedy="use bfloat16, float16 or float32")
    inputs = open_inputs(recipe)
    dtype = dtype if recipe.lora is None else None  # an adapter's dtype is that of its factors
    settled = settle(inputs, recipe, dtype)
    layout = settled.layout
    calibrator = calibrator_for(recipe, inputs)
    merged = merge_deltas(
        inputs, layout, scale=recipe.lambda_, seed=recipe.seed, dtype=dtype, calibrator=calibrator,
        allow_nonfinite=recipe.allow_nonfinite,
    )  # fmt: skip
    files = Applied(merged.base, merged.delta).sidecar
    sidecar, removed = (inputs.heads.files(files) if inputs.heads else files).cleaned()
    if template := template_of(sidecar):
        check_template(template, inputs.base_source)
    return Plan(recipe, inputs, layout, merged, with_dtype(sidecar, merged.tensors.specs), removed, settled, calibrator)


def with_dtype(sidecar: Sidecar, specs: Mapping[str, TensorSpec]) -> Sidecar:
    """The configuration with the dtype of the weights, where they have but one."""
    dtypes = list(dict.fromkeys(s.dtype for s in specs.values() if s.is_float))
    config = sidecar.config
    key = next((k for k in ("torch_dtype", "dtype") if config is not None and k in config), None)
    return sidecar if key is None or len(dtypes) != 1 else sidecar.with_config(**{key: _CONFIG_DTYPES[dtypes[0]]})
