"""deltakit diff: two models tensor by tensor."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from deltakit_cli.options import example, format_option, output_option, overwrite_option
from deltakit_cli.output import console, emit, table
from deltakit_cli.progress import progress


@click.command(
    epilog=example(
        "deltakit diff models/base models/math\n"
        "deltakit diff models/math models/chat --against models/base --spectra 4 -o diff.html"
    )
)
@click.argument("first")
@click.argument("second")
@click.argument("more", nargs=-1)
@click.option("--against", metavar="BASE", help="Compare the task vectors of all models over this base.")
@click.option("--spectra", "count", type=click.IntRange(min=0), default=0, show_default=True,
              help="Also the singular values of this many matrices, those that changed most.")  # fmt: skip
@click.option("--top", type=click.IntRange(min=0), default=20, show_default=True, help="Tensors that the table shows.")
@output_option(required=False, help="Draw a page: .html is one file with everything inside, .md is tables and links.")
@overwrite_option
@format_option
def command(
    first: str, second: str, more: tuple[str, ...], against: str | None, count: int, top: int, output: Path | None,
    overwrite: bool, fmt: str,
) -> None:  # fmt: skip
    """Compare two models (paths, hub ids or expressions): relative norm, changed share, largest change of every tensor.

    With --against BASE, also the cosines of the task vectors of all models named, and how often their signs agree.
    """
    from deltakit.delta.difference import difference
    from deltakit.delta.measure.spectra import spectra
    from deltakit.delta.measure.statistics import apart, delta_statistics, summary
    from deltakit.delta.measure.vectors import task_vectors, vectors_as_dict
    from deltakit.delta.open import open_model
    from deltakit.errors import RecipeError

    if more and not against:
        raise RecipeError("more than two models are compared over a base", remedy="name it with --against BASE")
    models = [open_model(text).tensors for text in (first, second, *more)]
    bar = progress(fmt)
    delta = difference(models[0], models[1])
    rows = delta_statistics(models[0], delta, bar)
    result: dict[str, Any] = {"first": first, "second": second, "summary": summary(rows), "top": top}
    result["apart"] = apart(models[0], models[1]).as_dict()
    if against:
        base = open_model(against).tensors
        found = task_vectors(base, [difference(base, m) for m in models], bar)
        result |= {"against": against, "vectors": vectors_as_dict((first, second, *more), found)}
    if count:
        result["spectra"] = [s.as_dict() for s in spectra(delta, rows, count, bar)]
    result["tensors"] = [r.as_dict() for r in rows]
    if output:
        result["page"] = _draw(result, output, overwrite)
    emit(result, _show, fmt)


def _draw(result: Mapping[str, Any], output: Path, overwrite: bool) -> str:
    from deltakit.report import build_page, write_report
    from deltakit.report.sources import read_diffs
    from deltakit.report.write import check_output_name

    check_output_name(output)
    page = build_page(read_diffs([(result, "this comparison")]), title="deltakit diff")
    return str(write_report(page, output, overwrite=overwrite).path)


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
    for pair in found.get("vectors", {}).get("whole", {}).get("pairs", ()):
        cosine = "undefined" if pair["cosine"] is None else f"{pair['cosine']:.4f}"
        signs = "undefined" if pair["sign_agreement"] is None else f"{pair['sign_agreement']:.2%}"
        names = " and ".join(pair["pair"])
        out.print(f"task vectors of {names}: cosine {cosine}, equal signs {signs} where both change", markup=False)
    if found.get("spectra"):
        ranks = [[s["name"], len(s["values"]), s["effective_rank"], s["rank_at_90"]] for s in found["spectra"]]
        out.print(table(["matrix", "full rank", "effective rank", "rank at 90 %"], ranks))
    if "page" in found:
        out.print(f"wrote {found['page']}", markup=False)
