"""deltakit compress: a delta's matrices through lossy codecs, into one archive of honest size, or a row of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from deltakit_cli.archives import Show, archive_facts, each, show_archive, show_curve, show_plan, show_plans
from deltakit_cli.calibration import calibration_options, sampling_of
from deltakit_cli.options import dry_run_option, example, format_option, output_option, overwrite_option
from deltakit_cli.output import emit
from deltakit_cli.progress import progress

if TYPE_CHECKING:
    from deltakit.checkpoint.pump import Progress
    from deltakit.checkpoint.ranks import Ranks
    from deltakit.compress.run.request import Request

F = TypeVar("F", bound=Callable[..., Any])
_CURVE = ("curve", "tasks", "limit", "data", "max_new_tokens")

EXAMPLE = """deltakit compress models/base models/math --codec svd_mixed --ratio 16 -o math.archive
deltakit compress models/base models/math --codec auto --ratio 16 --dry-run -o math.archive
deltakit compress models/base models/math --codec svd_mixed --codec "*embed_tokens*=group_quant(bits=4)" \\
    --bytes 200000 -o math.archive
deltakit compress models/base math.delta --codec lowrank --bytes sign.archive -o math.archive
deltakit compress models/base models/math --calibrate builtin --ratio 16 -o math.archive
deltakit compress models/base models/math --calibrate builtin --heal 200 --ratio 32 -o math.archive
deltakit compress models/base models/math models/chat --hessians base.hessians --ratio 16 -o archives/
deltakit compress models/base models/math --codec auto --curve 8,16,32,64 --tasks gsm8k -o curve"""


def _size_options(function: F) -> F:
    """--codec, --ratio, --bytes."""
    function = click.option(
        "--bytes", "size", metavar="N|FILE",
        help="Size of the whole file, or a file to be no larger than; it ends just under.",
    )(function)  # fmt: skip
    function = click.option(
        "--ratio", type=float, help="Bytes of the coded matrices in the fine-tune over their bytes here."
    )(function)
    return click.option(
        "--codec", "codecs", multiple=True, metavar="[PATTERN=]CODEC",
        help="auto, a name, or name(key=value); see `deltakit ls codecs`. Again with PATTERN=, for the matrices whose "
        "names it matches.  [default: svd_mixed]",
    )(function)  # fmt: skip


def _served_options(function: F) -> F:
    """--against, --device."""
    function = click.option("--device", default="cpu", show_default=True, help="Of linear algebra: cpu or cuda.")(
        function
    )
    return click.option(
        "--against", default="", metavar="SERVED",
        help="Take the delta against this checkpoint, as it is served in the base's place (FP8, 4-bit).",
    )(function)  # fmt: skip


def _heal_options(function: F) -> F:
    """--heal, --heal-rate."""
    function = click.option(
        "--heal-rate", type=click.FloatRange(0, min_open=True),
        help="By how much of itself a number may move in a step.  [default: 0.003]",
    )(function)  # fmt: skip
    return click.option(
        "--heal", type=click.IntRange(1), metavar="N",
        help="Then distil scales and one-dimensional tensors from the fine-tune, N steps on the calibration's text.",
    )(function)  # fmt: skip


def _curve_options(function: F) -> F:
    """--curve, --tasks, --limit, --data, --max-new-tokens."""
    function = click.option("--max-new-tokens", type=click.IntRange(1), help="Instead of each task's own.")(function)
    function = click.option("--data", metavar="PATH", help="Local data of the tasks.")(function)
    function = click.option("--limit", type=click.IntRange(1), help="Only so many items of each task.")(function)
    function = click.option("--tasks", help="Evaluate every point on these, with base and fine-tune beside.")(function)
    return click.option(
        "--curve", metavar="R,R,...", help="An archive per ratio in the folder OUTPUT: error against bytes, as a page."
    )(function)


@click.command(epilog=example(EXAMPLE))
@click.argument("base")
@click.argument("tuned", nargs=-1, required=True, metavar="TUNED...")
@_size_options
@calibration_options
@_heal_options
@_served_options
@_curve_options
@output_option(help="The archive to write; with --curve or several TUNED, the folder.")
@click.option("--threads", type=click.IntRange(0), default=0, help="Matrices at a time [default: one per core].")
@dry_run_option
@overwrite_option
@format_option
def command(
    base: str, tuned: tuple[str, ...], codecs: tuple[str, ...], ratio: float | None, size: str | None, output: Path,
    against: str, device: str, hessians: Path | None, threads: int, dry_run: bool, overwrite: bool, fmt: str,
    **more: Any,
) -> None:  # fmt: skip
    """Compress the delta TUNED - BASE, or the delta file TUNED, into one archive; several TUNED into a folder of them.

    Float matrices, embeddings and the head go through codecs; norms, biases and rows that the base lacks stay exact.
    The archive is a delta file: `deltakit apply BASE ARCHIVE -o MODEL` restores a model, and "BASE + ARCHIVE" names one
    wherever a model is named. A dry run reads weights too where a plan needs them: with --bytes, and with auto. Under
    torchrun the matrices are shared out over the processes.
    """
    from deltakit.checkpoint.ranks import ranks
    from deltakit.compress.run.request import Request

    request = Request(
        base, tuned[0], output, "; ".join(codecs) or "svd_mixed", ratio, None if size is None else _bytes(size),
        sampling_of(more), hessians, against, device, threads, overwrite,
    )  # fmt: skip
    crew = ranks()
    bar = progress(fmt if crew.leads else "quiet")
    if more["heal"] is not None and not dry_run:
        _check_healable(tuned, more, crew)
        emit(_healed(request, more["heal"], more["heal_rate"], bar), show_archive, fmt)
        return
    made, show = _work(request, tuned, dry_run, {key: more[key] for key in _CURVE}, bar, crew)
    if crew.leads:
        emit(made, show, fmt)


def _check_healable(tuned: tuple[str, ...], more: Mapping[str, Any], crew: Ranks) -> None:
    from deltakit.errors import RecipeError

    if len(tuned) > 1 or crew.world > 1 or any(more[key] is not None for key in _CURVE):
        raise RecipeError(
            "--heal is for one fine-tune, at one size, in one process",
            remedy="compress first, each with --heal by itself",
        )


def _healed(request: Request, count: int, rate: float | None, bar: Progress) -> dict[str, Any]:
    """Compressed, then distilled."""
    from deltakit.train.distil import Steps
    from deltakit.train.healing import compress_and_heal

    made = compress_and_heal(request, Steps(count) if rate is None else Steps(count, rate), bar)
    found = made.healed.distilled
    healed = {
        "steps": count, "before": found.before, "after": found.after, "numbers": found.numbers, "kept": found.kept,
        "one_dimensional": made.healed.vectors,
    }  # fmt: skip
    return {**archive_facts(made.compressed), "healed": healed}


def _work(
    request: Request, tuned: tuple[str, ...], dry_run: bool, curve: Mapping[str, Any], bar: Progress, crew: Ranks
) -> tuple[dict[str, Any], Show]:
    """One archive, several of one base, or several sizes of one: what came of it, and how it is shown."""
    from deltakit.compress.run.files import compress_files, plan_files
    from deltakit.compress.run.fleet import compress_fleet, fleet_requests
    from deltakit.errors import RecipeError

    if any(value is not None for value in curve.values()):
        if len(tuned) > 1 or crew.world > 1:
            raise RecipeError("--curve is for one fine-tune in one process", remedy="name one TUNED, without torchrun")
        return _curve(request, dry_run, bar, **curve)
    if len(tuned) > 1 and dry_run:
        return {"archives": [plan_files(one, bar) for one in fleet_requests(request, tuned)]}, each(show_plan)
    if len(tuned) > 1:
        made = compress_fleet(request, tuned, bar, crew)
        return {"archives": [archive_facts(one) for one in made.values()]}, each(show_archive)
    if dry_run:
        return plan_files(request, bar), show_plan
    return archive_facts(compress_files(request, bar, crew)), show_archive


def _curve(
    request: Request, dry_run: bool, bar: Progress, curve: str | None, **work: Any
) -> tuple[dict[str, Any], Show]:
    """Several ratios at once."""
    from deltakit.compress.run.curve import parse_ratios
    from deltakit.compress.run.files import plan_files
    from deltakit.errors import RecipeError
    from deltakit_cli.curves import draw_curve

    if curve is None or request.ratio is not None or request.nbytes is not None:
        problem = "--tasks and what belongs to them are for a curve" if curve is None else "--curve is a size by itself"
        raise RecipeError(problem, remedy="give --curve 8,16,32 without --ratio and --bytes")
    ratios = parse_ratios(curve)
    if dry_run:
        plans = [plan_files(replace(request, ratio=ratio), bar) for ratio in ratios]
        return {"output": str(request.out), "archives": plans}, show_plans
    return draw_curve(request, ratios, bar, **work), show_curve


def _bytes(text: str) -> int:
    """A number of bytes, or the size of the file that is named."""
    from deltakit.errors import RecipeError

    if text.isdecimal():
        return int(text)
    if not Path(text).is_file():
        raise RecipeError(
            f"--bytes {text!r} is neither a number nor a file", remedy="give --bytes 200000, or a file's name"
        )
    return Path(text).stat().st_size
