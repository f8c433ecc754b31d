"""From a stage of a config and its models' names to a blueprint: every choice made, for every tensor."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from deltakit.errors import RecipeError
from deltakit.merge.mergekit.configuration import configuration
from deltakit.merge.mergekit.layout import Cut, Input, Names, Row, sliced, whole
from deltakit.merge.mergekit.module import split_modules
from deltakit.merge.mergekit.parameters import Parameters
from deltakit.merge.mergekit.reference import Reference
from deltakit.merge.mergekit.repair import repairs
from deltakit.merge.mergekit.schema import Config, Entry, Module, Slice
from deltakit.merge.mergekit.setting import Settings, is_gradient
from deltakit.merge.mergekit.stage import Stage
from deltakit.merge.plan.blueprint import Blueprint, Piece, Read, Use
from deltakit.merge.sources.source import Source

__all__ = ["blueprint", "resolve", "tokenizer_of"]


def blueprint(stage: Stage, sources: Mapping[str, Source], *, dialect: str = "mergekit", seed: int = 42) -> Blueprint:
    """The blueprint of a stage. `sources` are its opened models by label (`stage.references`); only names and
    configurations are looked at. The errors of `resolve`."""
    models = {label: Names(frozenset(s.tensors.specs), s.sidecar.config) for label, s in sources.items()}
    texts = {label: sources[label].text for label in stage.references}
    made = resolve(stage, models, texts, dialect=dialect, seed=seed)
    return replace(made, notes=(*made.notes, *repairs(made, {n: s.tensors.specs for n, s in sources.items()})))


def resolve(
    stage: Stage, models: Mapping[str, Names], texts: Mapping[str, str], *, dialect: str = "mergekit", seed: int = 42
) -> Blueprint:
    """The same from names alone; `texts` are the MODEL strings.

    Raises RecipeError for what the config asks and no method does, MismatchError for models that do not fit it.
    """
    config = stage.config
    made = _Resolver(config, models, dialect, list(stage.notes))
    pieces = made.pieces()
    base = config.base_model.label if config.base_model else None
    donor = base or made.rows[0].cut.reference.label
    if base is None and len({u.read.model for piece in pieces.values() for u in piece.uses}) > 1:
        made.notes.append(f"configuration and tokenizer are taken from {donor}, the first model; mergekit takes any")
    return Blueprint(
        models=texts,
        pieces={name: pieces[name] for name in sorted(pieces)},
        donor=donor,
        base=base,
        dialect=dialect,
        dtype=config.dtype,
        out_dtype=config.out_dtype,
        seed=seed,
        config=configuration(models[donor], made.rows, sliced=made.sliced, notes=made.notes),
        tokenizer=tokenizer_of(config),
        chat_template=config.chat_template,
        notes=tuple(dict.fromkeys(made.notes)),
    )


@dataclass
class _Resolver:
    config: Config
    models: Mapping[str, Names]
    dialect: str
    notes: list[str]
    rows: list[Row] = field(default_factory=list)
    sliced: bool = False

    def pieces(self) -> dict[str, Piece]:
        """Every tensor of the result."""
        parameters = Parameters.of(self.config.merge_method, self.dialect)
        cuts: list[Cut] = []
        for module, names in self._modules():
            found = self._cuts(module)
            cuts += found
            models = {i.label: Names(names[i.label], self.models[i.label].config) for c in found for i in c.inputs}
            self.sliced |= module.slices is not None
            self.rows += sliced(found, models, self.notes) if module.slices else whole(found[0], models, self.notes)
        for cut in cuts:
            self._check_count(cut, parameters)
        pieces = {row.name: self._piece(row, parameters) for row in self.rows}
        parameters.refuse()
        self._tell(cuts, parameters)
        return pieces

    def _modules(self) -> Iterator[tuple[Module, Mapping[str, frozenset[str]]]]:
        """Each module and the names that belong to it, by model."""
        everything = {label: m.names for label, m in self.models.items()}
        if self.config.modules is None:
            yield Module(models=self.config.models, slices=self.config.slices), everything
            return
        modules = list(self.config.modules)
        split = {label: split_modules(modules, names) for label, names in everything.items()}
        for name, module in self.config.modules.items():
            yield module, {label: parts[name] for label, parts in split.items()}

    def _cuts(self, module: Module) -> list[Cut]:
        top = (module.parameters or {}, self.config.parameters or {})
        if module.slices is not None:
            return [self._slice(item, top) for item in module.slices]
        base = self.config.base_model
        inputs = [_input(entry) for entry in module.models or ()]
        if base and base.label not in [i.label for i in inputs] and self._adds_base():
            inputs.insert(0, Input(base.label, {}))
        return [Cut(tuple(inputs), base.label if base else None, top)]

    def _adds_base(self) -> bool:
        """Whether a base that is not listed takes part."""
        return Parameters.of(self.config.merge_method, self.dialect).role.base != "listed"

    def _slice(self, item: Slice, top: Sequence[Settings]) -> Cut:
        inputs = tuple(Input(s.model.label, s.parameters or {}, range(*s.layer_range)) for s in item.sources)
        base = item.base_model or self.config.base_model
        return Cut(inputs, base.label if base else None, (item.parameters or {}, *top))

    def _check_count(self, cut: Cut, parameters: Parameters) -> None:
        role, method = parameters.role, parameters.method
        labels = [i.label for i in cut.inputs]
        twice = sorted({n for n in labels if labels.count(n) > 1})
        if twice:
            raise RecipeError(f"{', '.join(twice)} is named twice in one merge", remedy="list it once, with its weight")
        if role.base == "delta" and cut.base is None:
            raise RecipeError(f"{method} needs a base_model", remedy="name the parent of the models as base_model")
        if cut.base is not None and role.base in ("delta", "option") and cut.base not in labels:
            raise RecipeError(
                f"base_model {cut.base} is not among the sources of a slice ({', '.join(labels)})",
                remedy="list it there with the layers that the deltas are taken from",
            )
        beside = role.base in ("delta", "option") and cut.base in labels
        count = len(labels) - beside
        if count < role.least or (role.most is not None and count > role.most):
            wanted = f"exactly {role.least}" if role.least == role.most else f"at least {role.least}"
            raise RecipeError(
                f"{method} takes {wanted} model(s){' beside its base' if beside else ''}, found {count}",
                remedy="correct the list",
            )

    def _piece(self, row: Row, parameters: Parameters) -> Piece:
        t = row.t if row.t is not None else self._edge(row)
        method_wide, scale = parameters.whole(row.cut.settings, row.name, t)
        base, uses = None, []
        for item, name in zip(row.cut.inputs, row.reads, strict=True):
            if item.label == row.cut.base and parameters.role.base in ("delta", "option"):
                base = Read(item.label, name)
                continue
            weight, own = parameters.own((item.settings, *row.cut.settings), item.label, name, t)
            uses.append(Use(Read(item.label, name), weight, own))
        made = Piece(parameters.method, tuple(uses), base, method_wide, scale)
        return _without_idle(made) if self.dialect == "paper" and parameters.role.base == "delta" else made

    def _edge(self, row: Row) -> float:
        """Where gradients stand outside the layers: mergekit takes their first value on both sides."""
        return 0.0 if self.dialect == "mergekit" or row.before else 1.0

    def _tell(self, cuts: Sequence[Cut], parameters: Parameters) -> None:
        own = [i.settings for c in cuts for i in c.inputs]
        shared = [s for c in cuts for s in c.settings]
        self.notes += parameters.ignored(own, shared)
        gradients = any(is_gradient(v) for level in (*own, *shared) for v in level.values())
        if gradients and any(r.t is None and not r.before for r in self.rows):
            side = "first value, as in mergekit" if self.dialect == "mergekit" else "last value, unlike in mergekit"
            self.notes.append(f"gradients: the final norm and the head take the {side}")
        base = self.config.base_model
        if base and parameters.role.base == "listed" and base.label not in [i.label for c in cuts for i in c.inputs]:
            self.notes.append(
                f"base_model {base.label} gives configuration and tokenizer only: {parameters.method} takes no deltas"
            )


def _without_idle(piece: Piece) -> Piece:
    """The papers know no weight of 0, which gradients end in: such a model has no part in the tensor. Where none has,
    the base is kept."""
    uses = tuple(use for use in piece.uses if use.weight != 0.0)
    if uses:
        return replace(piece, uses=uses)
    return Piece("task_arithmetic", tuple(replace(use, parameters={}) for use in piece.uses), piece.base)


def _input(entry: Entry) -> Input:
    return Input(entry.model.label, entry.parameters or {})


def tokenizer_of(config: Config) -> dict[str, Any] | None:
    """The choice as plain data, models by their labels."""
    if config.tokenizer is None:
        return None if config.tokenizer_source is None else {"source": _plain(config.tokenizer_source)}
    chosen: dict[str, Any] = {"source": _plain(config.tokenizer.source)}
    if config.tokenizer.tokens:
        chosen["tokens"] = {
            token: {"source": _plain(t.source), "force": t.force} for token, t in config.tokenizer.tokens.items()
        }
    if config.tokenizer.pad_to_multiple_of is not None:
        chosen["pad_to_multiple_of"] = config.tokenizer.pad_to_multiple_of
    return chosen


def _plain(source: Any) -> Any:
    if isinstance(source, Reference):
        return source.label
    return {k: _plain(v) for k, v in source.items()} if isinstance(source, dict) else source
