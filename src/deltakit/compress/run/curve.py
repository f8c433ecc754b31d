"""A row of archives of one delta, at several ratios: what bytes buy."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from deltakit.checkpoint.checksum import Checksum
from deltakit.checkpoint.pump import Progress, pump, silent
from deltakit.checkpoint.staging import Staging
from deltakit.compress.numbers import loss
from deltakit.compress.plan.choice import parse_choice
from deltakit.compress.plan.forecast import total_error
from deltakit.compress.plan.planning import Planner
from deltakit.compress.plan.sizes import check_size
from deltakit.compress.run.archive import Compressed, plans_for, prepare, write_job
from deltakit.compress.run.operands import Operands, open_operands
from deltakit.compress.run.request import Request
from deltakit.compress.run.sight import look
from deltakit.delta.file.container import open_delta
from deltakit.errors import RecipeError
from deltakit.manifest import describe_input, make_manifest, pretty_json

__all__ = ["Point", "achieved", "compress_curve", "curve_name", "parse_ratios"]

Finish = Callable[[Path, Sequence["Point"]], None]
_POINTS = "curve.json"


@dataclass(frozen=True)
class Point:
    """One archive. `error` is the squared error of the covered matrices over the energy of their deltas, measured;
    `forecast` what was expected of it (None: nobody looked). `file_ratio` is of the whole model over the whole file.
    `data_free` are the matrices coded without knowing their inputs (None: no text)."""

    ratio: float
    file: str
    nbytes: int
    file_ratio: float
    payload: int
    payload_ratio: float
    bits: float
    error: float
    forecast: float | None
    kinds: Mapping[str, int]
    data_free: Sequence[str] | None = None

    def as_dict(self) -> dict[str, Any]:
        """JSON-able."""
        return asdict(self)


def parse_ratios(text: str) -> tuple[float, ...]:
    """(8.0, 16.0) from "8,16". RecipeError for anything else, and for a ratio named twice."""
    try:
        found = tuple(float(part) for part in text.split(",") if part.strip())
    except ValueError:
        raise RecipeError(f"--curve {text!r} holds no ratios", remedy="write --curve 8,16,32,64") from None
    if not found or len(set(found)) != len(found):
        raise RecipeError(f"--curve {text!r}: name each ratio once", remedy="write --curve 8,16,32,64")
    return tuple(sorted(found))


def curve_name(ratio: float) -> str:
    """The archive of a ratio."""
    return f"ratio-{ratio:g}.archive"


def compress_curve(
    request: Request, ratios: Sequence[float], finish: Finish | None = None, progress: Progress = silent
) -> list[Point]:
    """An archive per ratio in the folder `request.out`, with `curve.json` beside them. What `auto` measures and what is
    known of the inputs serves all points. `finish(folder, points)` may add to the folder before it appears, whole; a
    killed run resumes. Errors: those of `compress`; a ratio that cannot be had is found before anything is coded."""
    choice = parse_choice(request.codec)
    for ratio in ratios:
        check_size(choice, ratio, request.nbytes)
    operands = open_operands(request.base, request.tuned, request.against)
    plan = {"action": "curve", "mark": operands.mark, "codec": choice.text, "ratios": list(ratios), **_about(request)}
    line = operands.delta.lineage
    with Staging(request.out, plan | {"of": [line.base, line.tuned]}, request.overwrite, inputs=operands.paths) as made:
        plans = plans_for(operands, replace(request, ratio=ratios[0]), look(operands, request, progress), progress)
        for ratio in ratios:
            plans.plan(ratio=ratio)
        points = [_point(operands, request, made, plans, ratio, progress) for ratio in ratios]
        (made.folder / _POINTS).write_bytes(pretty_json({"schema_version": 1, **described(choice.text, points)}))
        if finish is not None:
            finish(made.folder, points)
        made.commit(make_manifest("curve", inputs=_inputs(operands), recipe={"codec": choice.text}))
    return points


def described(codec: str, points: Sequence[Point]) -> dict[str, Any]:
    """A curve, JSON-able."""
    return {"codec": codec, "points": [point.as_dict() for point in points]}


def achieved(operands: Operands, archive: Path, names: Sequence[str], threads: int = 0) -> float:
    """The squared error of an archive over the energy of the delta, summed over the tensors `names`."""
    stored, delta = open_delta(archive).bind(operands.base), operands.delta

    def work(name: str) -> tuple[float, float]:
        return loss(delta.entries[name], stored.entries[name])

    found = [pair for _, pair in pump(names, work, threads=threads)]
    energy = sum(pair[1] for pair in found)
    return sum(pair[0] for pair in found) / energy if energy else 0.0


def _point(
    operands: Operands, request: Request, staging: Staging, plans: Planner, ratio: float, progress: Progress
) -> Point:
    """The point of a ratio: what an earlier run finished, or made now."""
    name = curve_name(ratio)
    record = staging.journal.get(name)
    if record is not None:
        return Point(**record.extra["point"])
    out = staging.folder / name
    asked = replace(request, out=out, ratio=ratio, nbytes=None, overwrite=True)
    made = write_job(prepare(operands, asked, progress, plans=plans), progress)
    point = _described(operands, made, ratio, request.threads)
    staging.journal.add(name, name, 0, made.nbytes, _checksum(out), {"point": point.as_dict()})
    return point


def _described(operands: Operands, made: Compressed, ratio: float, threads: int) -> Point:
    covered = [row.name for row in made.plan.covered]
    kinds = [made.kinds[name] for name in covered]
    return Point(
        ratio=ratio, file=made.path.name, nbytes=made.nbytes, file_ratio=made.file_ratio, payload=made.payload,
        payload_ratio=made.ratio, bits=made.bits,
        error=achieved(operands, made.path, covered, threads) if made.error is None else made.error,
        forecast=total_error(made.plan.forecasts) if len(made.plan.forecasts) == len(covered) else None,
        kinds={kind: kinds.count(kind) for kind in sorted(set(kinds))},
        data_free=None if made.data_free is None else list(made.data_free),
    )  # fmt: skip


def _about(request: Request) -> dict[str, Any]:
    """What else decides the bytes."""
    sampling = None if request.sampling is None else asdict(request.sampling)
    return {"sampling": sampling, "hessians": str(request.hessians or ""), "against": request.against}


def _inputs(operands: Operands) -> list[dict[str, Any]]:
    line = operands.delta.lineage
    return [describe_input("base", line.base), describe_input("tuned", line.tuned)]


def _checksum(path: Path) -> str:
    state = Checksum()
    with path.open("rb") as file:
        while chunk := file.read(1 << 24):
            state.update(chunk)
    return state.text
