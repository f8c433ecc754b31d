"""Models with different vocabularies, brought to one: what `tokenizer:` and `chat_template:` of a recipe do."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from deltakit.checkpoint.sidecar import Sidecar
from deltakit.errors import DeltakitError, InputError, RecipeError
from deltakit.manifest import pretty_json
from deltakit.merge.sources.source import Source
from deltakit.merge.tokens.aligned import Aligned
from deltakit.merge.tokens.assign import Assignment, Known, assign, check_known
from deltakit.merge.tokens.choice import FromToken, TokenChoice, TokenizerChoice
from deltakit.merge.tokens.gather import Gathered
from deltakit.merge.tokens.heads import Heads, settle_heads
from deltakit.merge.tokens.lint import check_template
from deltakit.merge.tokens.read import Vocabulary, is_tokenizer_file, read_vocabulary
from deltakit.merge.tokens.report import REPORT_NAME, provenance, summary
from deltakit.merge.tokens.settings import generation_of, settings_of
from deltakit.merge.tokens.tables import tables_of, vocabulary_rows
from deltakit.merge.tokens.template import choose_template, template_of, unknown_markers, with_template
from deltakit.merge.tokens.write import tokenizer_files
from deltakit.registry import did_you_mean

__all__ = ["align"]


def align(
    sources: Mapping[str, Source],
    choice: TokenizerChoice | None,
    *,
    donor: str,
    base: str | None = None,
    chat_template: str | None = None,
) -> Aligned:
    """Every model as it looks in the output vocabulary, and the files of that vocabulary. Only headers, tokenizer files
    and some rows are read.

    `sources` are the opened models by label (the base among them), in the order of the recipe; `donor` is the one whose
    config.json the result takes, `base` the one whose rows stand in for missing ones. Without a `choice` vocabularies
    are left alone, and only heads (tied in one model, untied in another) and the chat template are settled.

    Rules for rows: `deltakit.merge.tokens.assign.assign`. Raises RecipeError for a choice that names what is not there,
    InputError for models without a readable tokenizer, MismatchError for embeddings that do not fit together,
    UnsafeError for a chat template that reaches for Python's internals.
    """
    heads = settle_heads(sources)
    if choice is None:
        own = {n: c for n, c in sources[donor].sidecar.files.items() if is_tokenizer_file(n)}
        config = {} if heads.tied is None else {"tie_word_embeddings": heads.tied}
        files, notes = _templated(sources, own, donor, chat_template)
        return Aligned(heads.sources, _rows(heads.sources[donor]), files, config, notes=(*heads.notes, *notes))
    choice = _labelled(choice, sources)
    anchor = choice.source if choice.source in sources else (base or donor)
    return _align(heads, choice, anchor, base, donor, chat_template)


def _align(
    heads: Heads, choice: TokenizerChoice, anchor: str, base: str | None, donor: str, chat_template: str | None
) -> Aligned:
    sources = heads.sources
    tables = tables_of(sources)
    known, guessed = _known(sources, anchor)
    odd = check_known(known)
    assignment = assign(known, choice, anchor=anchor, base=base)
    written = tokenizer_files(sources, known, anchor, assignment)
    files, notes = _templated(sources, written.files, anchor, chat_template)
    report = provenance(assignment, source=choice.source, anchor=anchor, base=base, unreachable=written.unreachable)
    config, lost = settings_of(sources, known, assignment, donor=donor, anchor=anchor, tied=heads.tied)
    return Aligned(
        sources=_views(sources, tuple(tables), assignment),
        rows=assignment.rows,
        files={**files, REPORT_NAME: pretty_json(report)},
        config=config,
        generation=generation_of(sources, known, assignment, donor=donor, anchor=anchor),
        report=report,
        notes=(*heads.notes, *guessed, *odd, *written.notes, *notes, *lost, *summary(report)),
    )


def _rows(source: Source) -> int:
    """The rows of a model that may have no embedding at all."""
    try:
        return vocabulary_rows(source)
    except InputError:
        return 0


def _labelled(choice: TokenizerChoice, sources: Mapping[str, Source]) -> TokenizerChoice:
    """The choice with models named by their labels, where it names them by what they were opened from."""
    texts = {s.text: label for label, s in reversed(list(sources.items()))}

    def label(name: str) -> str:
        return name if name in sources else texts.get(name, name)

    source = choice.source if choice.source in ("union", "base") else label(choice.source)
    if source not in sources and source not in ("union", "base"):
        raise RecipeError(
            f"tokenizer: {source!r} is neither union nor base nor a model of the merge",
            remedy=did_you_mean(source, ["union", "base", *sources]) or f"choose union, base, {', '.join(sources)}",
        )
    tokens = {t: _relabelled(c, label) for t, c in (choice.tokens or {}).items()}
    return choice.model_copy(update={"source": source, "tokens": tokens})


def _relabelled(wanted: TokenChoice, label: Callable[[str], str]) -> TokenChoice:
    if isinstance(wanted.source, str):
        return wanted.model_copy(update={"source": label(wanted.source)})
    if isinstance(wanted.source, FromToken):
        return wanted.model_copy(
            update={"source": wanted.source.model_copy(update={"model": label(wanted.source.model)})}
        )
    return wanted


def _known(sources: Mapping[str, Source], anchor: str) -> tuple[dict[str, Known], tuple[str, ...]]:
    """Each model's vocabulary. A model without tokenizer files and as many rows as the anchor has its vocabulary, which
    is said; every model whose files cannot be read is in one error."""
    read: dict[tuple[bytes, ...], Vocabulary] = {}
    found: dict[str, Known] = {}
    problems: list[DeltakitError] = []
    notes: list[str] = []
    for label in [anchor, *(la for la in sources if la != anchor)]:
        rows = vocabulary_rows(sources[label])
        key = tuple(c for n, c in sources[label].sidecar.files.items() if is_tokenizer_file(n))
        try:
            if not _has_tokenizer(sources[label].sidecar) and anchor in found and found[anchor].rows == rows:
                read[key] = found[anchor].vocabulary
                notes.append(f"{label}: has no tokenizer, and is taken to have that of {anchor}")
            elif key not in read:
                read[key] = read_vocabulary(sources[label].sidecar, label)
            found[label] = Known(read[key], rows)
        except InputError as wrong:
            problems.append(wrong)
    if len(problems) == 1:
        raise problems[0]
    if problems:
        details = [line for p in problems for line in (p.message, *p.details)]
        raise InputError("the models' tokenizers cannot be read", details=details, remedy=problems[0].remedy)
    return {label: found[label] for label in sources}, tuple(notes)


def _has_tokenizer(sidecar: Sidecar) -> bool:
    return any(
        n in sidecar.files for n in ("tokenizer.json", "vocab.json", "vocab.txt", "tokenizer.model", "spiece.model")
    )


def _views(sources: Mapping[str, Source], tables: tuple[str, ...], assignment: Assignment) -> dict[str, Source]:
    """Each model in the output vocabulary; one that looks there as it is stays what it is."""
    maps = {label: s.tensors for label, s in sources.items()}
    made: dict[str, Source] = {}
    for label, source in sources.items():
        seen = Gathered(label, maps, tables, assignment)
        made[label] = source if seen.unchanged else replace(source, tensors=seen)
    return made


def _templated(
    sources: Mapping[str, Source], files: Mapping[str, bytes], anchor: str, wanted: str | None
) -> tuple[dict[str, bytes], tuple[str, ...]]:
    """Tokenizer files with the template that was asked for, else with their own, which must be safe to copy, too."""
    template = choose_template(sources, wanted) if wanted is not None else None
    if template is None:
        own = template_of(Sidecar(files))
        if own is not None:
            check_template(own, anchor)
        return dict(files), () if wanted is None else ("chat_template: none of the models has one",)
    unknown = ", ".join(unknown_markers(files, template))
    note = f"chat_template: {unknown} is no token of the result, and is split like any text"
    return with_template(files, template), (note,) if unknown and wanted != "auto" else ()
