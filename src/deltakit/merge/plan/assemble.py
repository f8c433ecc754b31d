"""A blueprint and its opened models as one lazy model: each block is merged by itself, and all are read as one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from deltakit.checkpoint.dequantised import Dequantised
from deltakit.checkpoint.licence import conflicts
from deltakit.checkpoint.open import Checkpoint
from deltakit.checkpoint.pump import Progress
from deltakit.checkpoint.sidecar import Sidecar
from deltakit.delta.experts import Apart, Layout, Together
from deltakit.delta.open import Model
from deltakit.manifest import make_manifest
from deltakit.merge.compute.arithmetic import Arithmetic
from deltakit.merge.compute.merged import Merged, merge_deltas
from deltakit.merge.plan.about import about, licences_in
from deltakit.merge.plan.block import Block, blocks_of
from deltakit.merge.plan.blueprint import Blueprint, Use
from deltakit.merge.plan.load import Load
from deltakit.merge.plan.plan import with_dtype
from deltakit.merge.plan.planned import Planned
from deltakit.merge.sources.allowances import Allowances
from deltakit.merge.sources.kin import Kin, check_kin
from deltakit.merge.sources.source import Source
from deltakit.merge.sources.vocabulary import plan_layout
from deltakit.merge.tokens.aligned import Aligned
from deltakit.tensors import TensorMap, TensorSpec, cast, prefetch, same

__all__ = ["Assembly", "assemble"]


@dataclass(frozen=True)
class _Made:
    """A block, merged."""

    block: Block
    merged: Merged
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Joined:
    """The tensors of several maps as one."""

    parts: Mapping[str, TensorMap]  # name to the map that has it, sorted

    @cached_property
    def specs(self) -> Mapping[str, TensorSpec]:
        """Sorted by name."""
        return {n: part.specs[n] for n, part in self.parts.items()}

    def prefetch(self, name: str) -> None:
        """Pass the hint on."""
        prefetch(self.parts[name], name)

    def buffer(self, name: str, lo: int = 0, hi: int | None = None) -> memoryview:
        """Rows of the map that has the tensor."""
        return self.parts[name].buffer(name, lo, hi)


@dataclass(frozen=True)
class Assembly(Planned):
    """A merge by a blueprint. `document` is the recipe as it was read, for the manifest."""

    blueprint: Blueprint
    sources: Mapping[str, Source]
    made: tuple[_Made, ...]
    sidecar: Sidecar
    removed: tuple[str, ...]
    document: Mapping[str, Any]
    allow: Allowances
    kin: Kin
    said: tuple[str, ...] = ()

    @property
    def method(self) -> str:
        return ", ".join(dict.fromkeys(m.block.method for m in self.made))

    @cached_property
    def tensors(self) -> TensorMap:
        parts = {name: m.merged.tensors for m in self.made for name in m.block.names}
        joined = Joined({n: parts[n] for n in sorted(parts)})
        made = cast(joined, self.blueprint.out_dtype) if self.blueprint.out_dtype else joined
        return Together(made, self.packed) if self.packed else made

    @cached_property
    def packed(self) -> Layout | None:
        """The layout of the result's packed experts, which are merged apart; None where there are none."""
        donor = self.sources[self.blueprint.donor].tensors
        return donor.layout.over(self.blueprint.pieces) if isinstance(donor, Apart) else None

    @cached_property
    def order(self) -> tuple[str, ...]:
        """Block by block would read the inputs several times over: by the first input's place on disk."""
        place: dict[str, tuple[int, int]] = {}
        labels = list(self.sources)
        disk = {
            s.label: {n: i for i, n in enumerate(getattr(s.tensors, "order", s.tensors.specs))}
            for s in self.sources.values()
        }
        for name, piece in self.blueprint.pieces.items():
            read = piece.base or piece.uses[0].read
            place[name] = (labels.index(read.model), disk[read.model].get(read.name, 0))
        found = sorted(place, key=lambda n: (place[n], n))
        return tuple(dict.fromkeys(self.packed.together(n) for n in found) if self.packed else found)

    @property
    def warnings(self) -> tuple[str, ...]:
        left_out = (n for m in self.made for n in m.notes)
        return (*dict.fromkeys(left_out), *self.kin.warnings, *conflicts(licences_in(self.inputs_said)))

    @property
    def allow_nonfinite(self) -> bool:
        return self.allow.nonfinite

    @property
    def notes(self) -> tuple[str, ...]:
        read = (c.said for c in self.checkpoints if isinstance(c, Dequantised))
        return tuple(dict.fromkeys((*self.blueprint.notes, *self.said, *read)))

    @property
    def checkpoints(self) -> tuple[Checkpoint, ...]:
        return tuple({id(c): c for s in self.sources.values() for c in s.reads}.values())

    @property
    def named(self) -> tuple[str, ...]:
        return tuple(s.text for s in self.sources.values())

    @property
    def measures(self) -> tuple[Callable[[Progress], None], ...]:
        return tuple(run for m in self.made for run in m.merged.measures)

    @property
    def loads(self) -> tuple[Load, ...]:
        dialect = self.blueprint.dialect
        return tuple(
            Load(
                m.block.method, dialect, m.block.inputs.members[0].method, len(m.block.inputs.members) + 1,
                tuple(m.merged.delta.specs.values()), m.merged.coefficients is not None,
            )
            for m in self.made
        )  # fmt: skip

    @property
    def merged(self) -> Merged | None:
        """One block over a named base is a delta like any other."""
        alone = len(self.made) == 1 and self.blueprint.base is not None and not self.blueprint.out_dtype
        return self.made[0].merged if alone and self.packed is None else None

    @property
    def parent(self) -> Model | None:
        return self.sources[self.blueprint.base].opened if self.blueprint.base is not None else None

    def equals(self) -> str:
        if self.blueprint.base is None:
            return ""  # a config without a base may ask for a plain copy
        parent = self.sources[self.blueprint.base]
        made = Apart(self.tensors, self.packed) if self.packed else self.tensors
        return parent.text if same(made, parent.tensors) else ""

    @cached_property
    def inputs_said(self) -> list[dict[str, Any]]:
        """The models as the manifest names them."""
        base, near = self.blueprint.base, self.kin.kinships
        return [
            about(
                s.text, s.fingerprint, s.reads, near.get(s.label), role="base" if s.label == base else "model",
                key=s.label,
            )
            for s in self.sources.values()
        ]  # fmt: skip

    def manifest(self) -> dict[str, Any]:
        recipe = {**self.document, "dialect": self.blueprint.dialect}
        return make_manifest(
            "merge",
            inputs=self.inputs_said,
            recipe=recipe,
            seed=self.blueprint.seed,
            notes=(*self.notes, *self.warnings),
        )

    def action(self, name: str, spec: TensorSpec) -> str:
        if self.packed and self.packed.packed(name):
            part = self.packed.pieces[name][0][0]
            return f"{self.action(part, spec)}, and so on, expert by expert"
        piece = self.blueprint.pieces[self.packed.apart(name) if self.packed else name]
        if not spec.is_float:
            return "copied (must be equal in all)"
        given = {**piece.parameters, **({"lambda": piece.scale} if piece.scale != 1.0 else {})}
        how = (
            f"({', '.join(f'{k}={v:g}' if isinstance(v, float) else f'{k}={v}' for k, v in given.items())})"
            if given
            else ""
        )
        over = f" over {piece.base.model}" if piece.base else ""
        return f"{piece.method}{how} of {', '.join(_part(u, name) for u in piece.uses)}{over}"


def _part(use: Use, name: str) -> str:
    """A model's part in a tensor: its weight and parameters, and the tensor where it has another name there."""
    own = {**({"weight": use.weight} if use.weight != 1.0 else {}), **use.parameters}
    said = ", ".join(f"{k} {v:g}" if isinstance(v, float) else f"{k} {v}" for k, v in own.items())
    return use.read.model + (f":{use.read.name}" if use.read.name != name else "") + (f" ({said})" if said else "")


def assemble(
    blueprint: Blueprint, aligned: Aligned, document: Mapping[str, Any], allow: Allowances | None = None
) -> Assembly:
    """The merge of a blueprint, settled; only headers and some MB of samples are read. `aligned` are the opened models
    by label in the vocabulary of the result, `document` the recipe as it was read. Raises MismatchError and
    RecipeError."""
    allow, sources = allow or Allowances(), aligned.sources
    kin = check_kin(blueprint, sources, allow)
    seen = _in_dtype(blueprint, sources)
    made = tuple(_merge(blueprint, block, allow) for block in blocks_of(blueprint, seen))
    sidecar = aligned.dress(sources[blueprint.donor].sidecar).with_config(**blueprint.config)
    cleaned, removed = sidecar.cleaned()
    specs = {n: s for m in made for n, s in m.merged.tensors.specs.items()}
    if blueprint.out_dtype:
        specs = {n: TensorSpec(s.shape, blueprint.out_dtype) if s.is_float else s for n, s in specs.items()}
    files = with_dtype(cleaned, specs)
    return Assembly(blueprint, sources, made, files, removed, document, allow, kin, aligned.notes)


def _in_dtype(blueprint: Blueprint, sources: Mapping[str, Source]) -> Mapping[str, Source]:
    """In a tool's dialect all tensors are cast to the merge's dtype before anything is done with them."""
    dtype = blueprint.dtype
    if dtype is None or blueprint.dialect == "paper":
        return sources
    return {label: s.view(lambda t: cast(t, dtype)) for label, s in sources.items()}


def _merge(blueprint: Blueprint, block: Block, allow: Allowances) -> _Made:
    paper = blueprint.dialect == "paper"
    out = (blueprint.out_dtype or blueprint.dtype) if paper else None
    # As the tool does, the base's rows are the result's; unlike there, what is left out is said.
    layout = plan_layout(block.inputs, block.inputs.stand_in or "base", out or block.dtype or None)
    arithmetic = None if paper else Arithmetic(block.dtype or "F32")
    merged = merge_deltas(
        block.inputs, layout, scale=block.scale, seed=blueprint.seed, dtype=out, arithmetic=arithmetic,
        allow_nonfinite=allow.nonfinite,
    )  # fmt: skip
    return _Made(block, merged, layout.notes)
