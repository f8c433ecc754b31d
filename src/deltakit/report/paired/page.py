"""A comparison as a page: warnings first, then differences, accuracy against bytes, and the items that changed."""

from __future__ import annotations

from collections.abc import Sequence

from deltakit.grade.interval import Z
from deltakit.report import knobs, pareto
from deltakit.report.page import Fold, Page, Picture, Section
from deltakit.report.paired.changes import draw, panels
from deltakit.report.paired.compared import Compared, Pair
from deltakit.report.paired.flips import Flip
from deltakit.report.paired.item import Run
from deltakit.report.paired.words import Unit, columns, legend, rows, unit_of
from deltakit.report.results import LOSS, Row, Score

__all__ = ["compared_page", "differences", "folds", "levels"]


def compared_page(
    compared: Compared, *, title: str = "deltakit compare", lines: Sequence[str] = (), show: int = 20
) -> Page:
    """Everything there is to show; `show` changed items each way for each model and task. `lines` names models drawn
    as lines in accuracy against bytes (the reference always is). RecipeError for a name that is not there."""
    sections = [_warnings(compared)] if compared.warnings else []
    sections += differences(compared)
    measured = levels(compared)
    drawn = list(dict.fromkeys([compared.reference.name, *lines]))
    sections += pareto.sections(measured, drawn)
    sections += knobs.sections(measured, drawn)
    sections += [_items(compared, task, show) for task in compared.labels if show]
    return Page(title, tuple(sections))


def differences(compared: Compared) -> list[Section]:
    """A section a task; the picture stands where its first task stands."""
    pictures = {}
    for number, (heading, pairs) in enumerate(panels(compared), 1):
        alt = f"Scores and differences from {compared.reference.name} on {heading}"
        pictures[pairs[0].task] = Picture(f"differences-{number}", alt, draw(compared, pairs))
    return [
        Section(f"Differences from {compared.reference.name}: {label}", legend(compared),
                columns(compared.of_task(task)), rows(compared, task), (), pictures.get(task))
        for task, label in compared.labels.items()
    ]  # fmt: skip


def levels(compared: Compared) -> list[Row]:
    """The models as rows of the other reports, with the scores compared here."""
    scores: dict[str, dict[str, Score]] = {}
    for p in compared.pairs:
        name = LOSS if p.found.kind == "loss" else p.label
        scores.setdefault(p.model, {})[name] = _score(p.found.after, p.found.after_interval, p.found.n)
        before = _score(p.found.before, p.found.before_interval, p.found.n)
        scores.setdefault(compared.reference.name, {}).setdefault(name, before)
    return [_row(run, scores[run.name]) for run in compared.runs if run.name in scores]


def _row(run: Run, scores: dict[str, Score]) -> Row:
    return Row(run.name, run.source, run.nbytes, run.model_bytes, scores)


def _score(value: float, ends: tuple[float, float], n: int) -> Score:
    """With the standard error that its sort of interval has."""
    share = (value * (1 - value) / (n - 1)) ** 0.5 if n > 1 and 0 <= value <= 1 else None
    half = (ends[1] - ends[0]) / 2 / Z
    symmetric = abs((ends[0] + ends[1]) / 2 - value) < 1e-9
    return Score(value, half if symmetric and share != half else share, n)


def _warnings(compared: Compared) -> Section:
    text = "These runs are not the same in all that scores may depend on, or not all of them could be compared."
    return Section("Read this first", text, ("warning",), tuple((line,) for line in compared.warnings))


def _items(compared: Compared, task: str, show: int) -> Section:
    found = tuple(fold for p in compared.of_task(task) for fold in folds(p, compared.reference.name, show))
    text = "What each model lost and gained; questions without what all prompts share." if found else "None."
    return Section(f"Items that changed: {compared.labels[task]}", text, (), (), folds=found)


def folds(p: Pair, reference: str, show: int) -> list[Fold]:
    """Items the model lost and gained, at most `show` of each; the rest is counted."""
    unit, found = unit_of([p]), []
    for way, is_lost in (("lost", True), ("gained", False)):
        kept = [flip for flip in p.flips if ((flip.change > 0) == p.lower) == is_lost]
        if kept:
            more = f", {show} shown" if len(kept) > show else ""
            items = tuple(_item(flip, p, reference, unit) for flip in kept[:show])
            found.append(Fold(f"{p.label}: {p.model} {way} {len(kept)} of {p.found.n}{more}", items))
    return found


def _item(flip: Flip, p: Pair, reference: str, unit: Unit) -> tuple[tuple[str, str], ...]:
    parts = [("document", str(flip.doc_id)), ("question", flip.question), ("gold answer", flip.target)]
    if p.found.kind == "loss":
        sides_of_loss = zip((reference, p.model), (flip.before, flip.after), strict=True)
        return (parts[0], *((name, f"{nats:.3f} nats") for name, nats in sides_of_loss))
    sides = zip((reference, p.model), (flip.before, flip.after), flip.answers, flip.responses, strict=True)
    for name, value, answer, responses in sides:
        score = {1.0: "right", 0.0: "wrong"}.get(value, "") if p.found.kind == "share" else unit.text(value)
        parts.append((f"{name}: {score}", answer))
        parts += [(f"{name} wrote", response) for response in responses if response.strip() != answer.strip()]
    return tuple((label, said) for label, said in parts if said)
