"""The plan of a merge: everything that can be settled, checked and shown before a weight is read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from deltakit.checkpoint.pump import Progress, silent
from deltakit.checkpoint.sidecar import Sidecar
from deltakit.delta.applied import Applied
from deltakit.delta.open import Model
from deltakit.errors import RecipeError
from deltakit.manifest import describe_input, make_manifest
from deltakit.merge.inputs import Inputs, open_inputs
from deltakit.merge.merged import Merged, merge_deltas
from deltakit.merge.recipe import MergeRecipe
from deltakit.merge.vocabulary import Layout, plan_layout
from deltakit.tensors import FLOAT_DTYPES, TensorMap, TensorSpec, dtype_code

__all__ = ["Plan", "plan_merge"]

_CONFIG_DTYPES = {"BF16": "bfloat16", "F16": "float16", "F32": "float32", "F64": "float64"}


@dataclass(frozen=True)
class Plan:
    """A merge that is ready to be pulled. `removed` are the configuration keys that are not carried over."""

    recipe: MergeRecipe
    inputs: Inputs
    layout: Layout
    merged: Merged
    sidecar: Sidecar
    removed: tuple[str, ...]

    @property
    def tensors(self) -> TensorMap:
        """The merged model, lazily."""
        return self.merged.tensors

    @property
    def order(self) -> tuple[str, ...]:
        """The order of pulling: as the base lies on disk."""
        return Applied(self.merged.base, self.merged.delta).order

    def measure(self, progress: Progress = silent) -> None:
        """The passes over the inputs that the method needs (thresholds, majority sign), ahead of the first read."""
        for run in self.merged.measures:
            run(progress)

    def model(self, source: str) -> Model:
        """The merged model as what a MODEL string names."""
        base = self.inputs.checkpoints[0] if self.recipe.base is not None and not self.recipe.dtype else None
        return Model(self.tensors, self.sidecar, source, base, self.merged.delta if base is not None else None)

    def manifest(self) -> dict[str, Any]:
        """All that decides the bytes: inputs by fingerprint, the recipe, the seed."""
        base = describe_input(self.inputs.base_source, self.inputs.fingerprint, role="base")
        models = [
            describe_input(m.source, m.delta.lineage.tuned, role="model", key=m.key, note=dict(m.delta.lineage.note))
            for m in self.inputs.members
        ]
        recipe = self.recipe.model_dump(by_alias=True, exclude_none=True)
        return make_manifest(
            "merge", inputs=[base, *models], recipe=recipe, seed=self.recipe.seed, notes=self.layout.notes
        )

    def actions(self) -> dict[str, dict[str, Any]]:
        """What happens to every tensor."""
        return {n: {"action": self._action(n, s), **_shown(s)} for n, s in self.tensors.specs.items()}

    def _action(self, name: str, spec: TensorSpec) -> str:
        keeper = self.layout.keeper.label if self.layout.keeper else ""
        if name not in self.inputs.base.specs:
            return f"kept from {keeper}"
        action = self.recipe.method if spec.is_float else "copied (must be equal in all)"
        added = spec.rows - self.inputs.base.specs[name].rows
        return f"{action}, {added} added rows kept from {keeper}" if added else action


def _shown(spec: TensorSpec) -> dict[str, Any]:
    return {"shape": list(spec.shape), "dtype": spec.dtype, "bytes": spec.nbytes}


def plan_merge(recipe: MergeRecipe) -> Plan:
    """Open the inputs and settle the merge; only headers and fingerprints are read.

    Raises RecipeError, InputError and MismatchError, each with all problems of its kind.
    """
    dtype = dtype_code(recipe.dtype) if recipe.dtype is not None else None
    if dtype is not None and dtype not in FLOAT_DTYPES:
        raise RecipeError(f"dtype {recipe.dtype!r} holds no weights", remedy="use bfloat16, float16 or float32")
    inputs = open_inputs(recipe)
    layout = plan_layout(inputs, recipe.vocabulary, dtype)
    merged = merge_deltas(inputs, layout, scale=recipe.scale, seed=recipe.seed, dtype=dtype)
    sidecar, removed = Applied(merged.base, merged.delta).sidecar.cleaned()
    return Plan(recipe, inputs, layout, merged, _with_dtype(sidecar, merged.tensors.specs), removed)


def _with_dtype(sidecar: Sidecar, specs: Mapping[str, TensorSpec]) -> Sidecar:
    """The configuration with the dtype of the weights, where they have but one."""
    dtypes = list(dict.fromkeys(s.dtype for s in specs.values() if s.is_float))
    config = sidecar.config
    key = next((k for k in ("torch_dtype", "dtype") if config is not None and k in config), None)
    return sidecar if key is None or len(dtypes) != 1 else sidecar.with_config(**{key: _CONFIG_DTYPES[dtypes[0]]})
