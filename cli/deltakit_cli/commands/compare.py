"""deltakit compare: models on the same items, with paired tests and the items that changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from deltakit_cli.options import dry_run_option, example, format_option, overwrite_option
from deltakit_cli.output import console, emit
from deltakit_cli.paired import show_compared

if TYPE_CHECKING:
    from deltakit.report.paired import Compared

_EXAMPLE = """deltakit compare results.json --against base
deltakit compare old.json new.json#ties --show 3 -o compare.html -o compare.md
deltakit compare lm-eval-output/ results.json#merged --tasks gsm8k --assert-not-worse"""


@click.command(epilog=example(_EXAMPLE))
@click.argument("results", nargs=-1, required=True, metavar="RESULT...")
@click.option("--against", metavar="NAME", help="The reference: the first model unless said.")
@click.option("--tasks", multiple=True, help="Only these, with commas between.")
@click.option(
    "--metric", metavar="METRIC,FILTER", help="Instead of each task's headline, e.g. exact_match,last_number."
)
@click.option("--show", type=click.IntRange(min=0), metavar="N",
              help="Items lost and gained, N each, to read: 0 here and in Markdown, 20 in HTML.")  # fmt: skip
@click.option("-o", "--output", "outputs", multiple=True, type=click.Path(path_type=Path),
              help="Write .json (all items), .html (one file) or .md (for a model card); repeatable.")  # fmt: skip
@click.option("--plots", type=click.Path(path_type=Path), help="Also save every picture here, as SVG and PNG.")
@click.option("--line", "lines", multiple=True, metavar="NAME", help="Draw this model, too, as a line.")
@click.option("--title", default="deltakit compare", show_default=True, help="Heading of the page.")
@click.option("--assert-not-worse", "strict", is_flag=True, help="Exit 6 if a model is significantly worse (Holm).")
@click.option("--margin", type=click.FloatRange(min=0), metavar="POINTS",
              help="With it: exit 6 unless the interval rules out being worse by more than this.")  # fmt: skip
@click.option("--seed", default=0, show_default=True, type=click.IntRange(min=0), help="Of the bootstrap.")
@click.option("--draws", default=10_000, show_default=True, type=click.IntRange(min=100), help="Of the bootstrap.")
@dry_run_option
@overwrite_option
@format_option
def command(
    results: Sequence[str], against: str | None, tasks: Sequence[str], metric: str | None, show: int | None,
    outputs: Sequence[Path], plots: Path | None, lines: Sequence[str], title: str, strict: bool, margin: float | None,
    seed: int, draws: int, dry_run: bool, overwrite: bool, fmt: str,
) -> None:  # fmt: skip
    """Compare models item by item with a reference: accuracy with 95 % intervals, paired tests (McNemar, bootstrap,
    sign flips), what each model lost and gained, corrected for the number of comparisons.

    RESULT is a file of `deltakit eval -o`, FILE#MODEL for one model of it, or a folder that lm-eval wrote with
    --log_samples. Statistics alone never make it fail: see --assert-not-worse.
    """
    from deltakit.errors import RecipeError
    from deltakit.report.paired import compare, read_runs
    from deltakit.report.paired.record import record

    if margin is not None and not strict:
        raise RecipeError("--margin without --assert-not-worse", remedy="give both, or neither")
    _check_outputs(outputs, plots)
    named = [name.strip() for text in tasks for name in text.split(",") if name.strip()]
    found = compare(read_runs(results), against=against, tasks=named, metric=metric, seed=seed, draws=draws)
    for line in lines:
        _check_line(line, found)
    written = {} if dry_run else _write(found, outputs, plots, lines, title, show, overwrite)
    told = {"output": [str(o) for o in outputs], "written": written, "dry_run": dry_run}
    whole = {**record(found, items=False), **told}
    emit(whole, lambda _: _human(found, show or 0, told), fmt)
    if strict:
        _assert(found, margin)


def _check_outputs(outputs: Sequence[Path], plots: Path | None) -> None:
    from deltakit.errors import RecipeError
    from deltakit.report.write import check_output_name

    for out in outputs:
        check_output_name(out, ".json")
    if plots and not any(out.suffix.lower() != ".json" for out in outputs):
        raise RecipeError("--plots without a page", remedy="give -o compare.html or -o compare.md too")


def _check_line(line: str, found: Compared) -> None:
    from deltakit.errors import RecipeError
    from deltakit.registry import did_you_mean

    names = [run.name for run in found.runs]
    if line not in names:
        raise RecipeError(f"no model {line!r} in the results to draw as a line", remedy=did_you_mean(line, names))


def _write(
    found: Compared, outputs: Sequence[Path], plots: Path | None, lines: Sequence[str], title: str, show: int | None,
    overwrite: bool,
) -> dict[str, int]:  # fmt: skip
    """Bytes of each output; pictures are saved with the first page."""
    from deltakit.manifest import pretty_json
    from deltakit.report.paired.page import compared_page
    from deltakit.report.paired.record import record
    from deltakit.report.write import write_one, write_report

    sizes = {}
    for out in outputs:
        if out.suffix.lower() == ".json":
            raw = pretty_json({"schema_version": 1, **record(found)})
            write_one(raw, out, overwrite)
            sizes[str(out)] = len(raw)
            continue
        many = show if show is not None else 0 if out.suffix.lower() == ".md" else 20
        page = compared_page(found, title=title, lines=lines, show=many)
        sizes[str(out)] = write_report(page, out, plots=plots, overwrite=overwrite).nbytes
        plots = None
    return sizes


def _human(found: Compared, show: int, told: Mapping[str, Any]) -> None:
    show_compared(found, show)
    for path in told["output"]:
        done = f"would write {path}" if told["dry_run"] else f"wrote {path}: {told['written'][path]:,} bytes"
        console().print(done)


def _assert(found: Compared, margin: float | None) -> None:
    from deltakit.errors import VerificationError

    if worse := found.worse(margin):
        how = "significantly worse" if margin is None else f"not shown to be within {margin:g} points"
        problem = f"{len(worse)} of {len(found.pairs)} comparisons: {how} than {found.reference.name}"
        raise VerificationError(problem, details=worse, remedy="--show 5 prints the items that were lost")
