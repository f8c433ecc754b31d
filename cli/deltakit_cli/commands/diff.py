"""deltakit diff: two models tensor by tensor."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from deltakit_cli.options import example, format_option
from deltakit_cli.output import console, emit, table
from deltakit_cli.progress import progress


@click.command(
    epilog=example("deltakit diff models/base models/math\ndeltakit diff models/math models/chat --against models/base")
)
@click.argument("first")
@click.argument("second")
@click.option("--against", metavar="BASE", help="Also compare the two task vectors over this base.")
@click.option("--top", type=click.IntRange(min=0), default=20, show_default=True, help="Tensors that the table shows.")
@format_option
def command(first: str, second: str, against: str | None, top: int, fmt: str) -> None:
    """Compare two models (paths, hub ids or expressions): relative norm, changed share, largest change of every tensor.

    With --against BASE, also the cosine of the two task vectors and how often their signs agree.
    """
    from deltakit.delta.difference import difference
    from deltakit.delta.open import open_model
    from deltakit.delta.statistics import agreement, apart, delta_statistics, summary

    a, b = open_model(first).tensors, open_model(second).tensors
    bar = progress(fmt)
    rows = delta_statistics(a, difference(a, b), bar)
    result: dict[str, Any] = {"first": first, "second": second, "summary": summary(rows), "top": top}
    result["apart"] = apart(a, b).as_dict()
    if against:
        base = open_model(against).tensors
        result["agreement"] = agreement(difference(base, a), difference(base, b), bar)
    emit({**result, "tensors": [r.as_dict() for r in rows]}, _show, fmt)


_APART = {
    "only_first": "only in the first", "only_second": "only in the second",
    "integers": "integer tensors that differ", "fewer_rows": "fewer rows in the second",
}  # fmt: skip


def _show(found: Mapping[str, Any]) -> None:
    out, total = console(), found["summary"]
    largest = sorted(found["tensors"], key=lambda r: -r["relative"])[: found["top"]]
    rows = [[r["name"], r["relative"], r["changed"], r["largest"], r["added_rows"]] for r in largest]
    out.print(table(["tensor", "relative norm", "changed", "largest", "added rows"], rows))
    out.print(
        f"{total['tensors']} tensors, {total['parameters']:,} parameters: relative norm {total['relative']:.4g}, "
        f"changed {total['changed']:.2%}, largest {total['largest']:.4g}, added rows {total['added_rows']}"
    )
    if total["nonfinite"]:
        names = ", ".join(f"{r['name']} ({r['nonfinite']:,})" for r in found["tensors"] if r["nonfinite"])
        out.print(f"non-finite differences: {names}", markup=False)
    for key, names in found["apart"].items():
        if names:
            out.print(f"{_APART[key]}: {', '.join(names)}", markup=False)
    if "agreement" in found:
        a = found["agreement"]
        cosine = "undefined" if a["cosine"] is None else f"{a['cosine']:.4f}"
        signs = "undefined" if a["sign_agreement"] is None else f"{a['sign_agreement']:.2%}"
        out.print(f"task vectors: cosine {cosine}, equal signs {signs} where both change")
