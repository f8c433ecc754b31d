"""The plan of a merge: everything that can be settled, checked and shown before a weight is read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from deltakit.checkpoint.open import Checkpoint
from deltakit.checkpoint.pump import Progress
from deltakit.checkpoint.sidecar import Sidecar
from deltakit.delta.applied import Applied
from deltakit.delta.open import Model
from deltakit.errors import RecipeError
from deltakit.manifest import describe_input, make_manifest
from deltakit.merge.calibration import Calibrator, calibrator_for
from deltakit.merge.checks import settle
from deltakit.merge.inputs import Inputs, open_inputs
from deltakit.merge.merged import Merged, changes, merge_deltas
from deltakit.merge.planned import Planned
from deltakit.merge.recipe import MergeRecipe
from deltakit.merge.vocabulary import Layout
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
    doubts: tuple[str, ...] = ()
    calibrator: Calibrator | None = None

    @property
    def warnings(self) -> tuple[str, ...]:
        return self.doubts

    @property
    def allow_nonfinite(self) -> bool:
        return self.recipe.allow_nonfinite

    @property
    def method(self) -> str:
        return self.recipe.method

    @property
    def tensors(self) -> TensorMap:
        heads = self.inputs.heads
        return heads.result(self.made.tensors, self.made.dtype) if heads else self.made.tensors

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
    def merged(self) -> Merged | None:
        whole = self.inputs.heads is None or self.inputs.heads.own
        return self.made if self.recipe.base is not None and whole else None

    def equals(self) -> str:
        return "" if changes(self.made) else self.inputs.base_source

    def model(self, source: str) -> Model:
        """The merged model as what a MODEL string names."""
        base = self.inputs.checkpoints[0] if self.merged is not None and not self.recipe.dtype else None
        return Model(self.tensors, self.sidecar, source, base, self.made.delta if base is not None else None)

    def manifest(self) -> dict[str, Any]:
        base = describe_input(self.inputs.base_source, self.inputs.fingerprint, role="base")
        models = [
            describe_input(m.source, m.delta.lineage.tuned, role="model", key=m.key, note=dict(m.delta.lineage.note))
            for m in self.inputs.members
        ]
        recipe = self.recipe.model_dump(by_alias=True, exclude_none=True)
        texts = self.calibrator.described() if self.calibrator else []
        inputs = [base, *models, *texts]
        return make_manifest(
            "merge", inputs=inputs, recipe=recipe, seed=self.recipe.seed, notes=(*self.notes, *self.doubts)
        )

    def action(self, name: str, spec: TensorSpec) -> str:
        heads = self.inputs.heads
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

    Raises RecipeError, InputError and MismatchError, each with all problems of its kind.
    """
    dtype = dtype_code(recipe.dtype) if recipe.dtype is not None else None
    if dtype is not None and dtype not in FLOAT_DTYPES:
        raise RecipeError(f"dtype {recipe.dtype!r} holds no weights", remedy="use bfloat16, float16 or float32")
    inputs = open_inputs(recipe)
    layout, doubts = settle(inputs, recipe, dtype)
    calibrator = calibrator_for(recipe, inputs)
    merged = merge_deltas(inputs, layout, scale=recipe.scale, seed=recipe.seed, dtype=dtype, calibrator=calibrator)
    files = Applied(merged.base, merged.delta).sidecar
    sidecar, removed = (inputs.heads.files(files) if inputs.heads else files).cleaned()
    return Plan(recipe, inputs, layout, merged, with_dtype(sidecar, merged.tensors.specs), removed, doubts, calibrator)


def with_dtype(sidecar: Sidecar, specs: Mapping[str, TensorSpec]) -> Sidecar:
    """The configuration with the dtype of the weights, where they have but one."""
    dtypes = list(dict.fromkeys(s.dtype for s in specs.values() if s.is_float))
    config = sidecar.config
    key = next((k for k in ("torch_dtype", "dtype") if config is not None and k in config), None)
    return sidecar if key is None or len(dtypes) != 1 else sidecar.with_config(**{key: _CONFIG_DTYPES[dtypes[0]]})
