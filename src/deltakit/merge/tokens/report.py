"""Where the row of every token comes from: counts for each model, and every token whose row is not the base's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from deltakit.manifest import portable
from deltakit.merge.tokens.assign import AVERAGE, MEAN, ZERO, Assignment

__all__ = ["REPORT_NAME", "provenance", "summary"]

REPORT_NAME = "deltakit_tokens.json"
_SHOWN = 8


def provenance(
    assignment: Assignment, *, source: str, anchor: str, base: str | None, unreachable: Sequence[str] = ()
) -> dict[str, Any]:
    """The report, JSON-able, without paths: `elsewhere` lists the tokens that the base (without one the model whose ids
    are kept) has no row for, or is made to take another; `from` says what stands there in the models `in`."""
    names = _names(assignment.labels)
    main = base or anchor
    tokens = {i: t for t, i in assignment.ids.items()}
    moved = np.flatnonzero((assignment.own[main] < 0) | assignment.forced)
    elsewhere = [
        {
            "id": i,
            "token": tokens[i],
            "from": _from(assignment, names, i),
            "in": _in(assignment, names, i),
        }
        for i in moved.tolist()
        if i in tokens
    ]
    return {
        "schema_version": 1,
        "source": names.get(source, source),
        "ids_of": names[anchor],
        "tokens": len(assignment.ids),
        "rows": assignment.rows,
        "rows_without_a_token": assignment.rows - len(set(assignment.ids.values())),
        "models": [{"model": names[label], **_counts(assignment, names, label)} for label in assignment.labels],
        "elsewhere": elsewhere,
        "unreachable": list(unreachable),
    }


def _names(labels: Sequence[str]) -> dict[str, str]:
    """Labels as they may be written down: local paths cut, and told apart."""
    cut = [str(portable(label)) for label in labels]
    return {
        label: name if cut.count(name) == 1 else f"{name} ({i + 1})"
        for i, (label, name) in enumerate(zip(labels, cut, strict=True))
    }


def _from(a: Assignment, names: Mapping[str, str], i: int) -> str:
    pick = int(a.pick[i])
    if i in a.named:
        label, _, token = a.named[i].partition(":") if a.named[i] not in names else (a.named[i], "", "")
        label = a.labels[pick] if pick >= 0 else label
        return f"{names.get(label, label)}, its {token!r}" if token else names.get(label, label)
    if pick >= 0:
        return names[a.labels[pick]]
    if pick == MEAN:
        return f"mean of {', '.join(names[la] for la in a.labels if a.own[la][i] >= 0)}"
    return "zero" if pick == ZERO else "mean of the model's own rows"


def _in(a: Assignment, names: Mapping[str, str], i: int) -> list[str]:
    return [names[label] for label in a.labels if a.forced[i] or a.own[label][i] < 0]


def _counts(a: Assignment, names: Mapping[str, str], label: str) -> dict[str, Any]:
    """How many rows are the model's own, another's, means or zeros."""
    borrowed = (a.own[label] < 0) | a.forced
    pick = a.pick[borrowed]
    others = {names[la]: int((pick == k).sum()) for k, la in enumerate(a.labels) if (pick == k).any()}
    kinds = {"mean_of_models": MEAN, "zero": ZERO, "mean_of_own_rows": AVERAGE}
    made = {kind: int((pick == code).sum()) for kind, code in kinds.items() if (pick == code).any()}
    return {"own": int((~borrowed).sum()), "from_others": others, **made}


def summary(report: Mapping[str, Any]) -> tuple[str, ...]:
    """The report for people, a few lines."""
    lines = [
        f"vocabulary: {report['source']}, ids of {report['ids_of']}: {report['tokens']} tokens, {report['rows']} rows, "
        f"{report['rows_without_a_token']} of them without a token"
    ]
    for model in report["models"]:
        parts = [f"{n} from {other}" for other, n in model["from_others"].items()]
        parts += [
            f"{model[k]} {k.replace('_', ' ')}" for k in ("mean_of_models", "zero", "mean_of_own_rows") if k in model
        ]
        if parts:
            lines.append(f"vocabulary: {model['model']}: {model['own']} rows of its own, {', '.join(parts)}")
    shown = [f"{e['token']!r} ({e['from']})" for e in report["elsewhere"][:_SHOWN]]
    more = len(report["elsewhere"]) - len(shown)
    if shown:
        lines.append(f"vocabulary: rows not from the base: {', '.join(shown)}{f' and {more} more' if more else ''}")
    return tuple(lines)
