"""Budgets for the coded matrices: codecs of fixed size take theirs, those that follow share the rest."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

from deltakit.compress.codec import Codec, parse_codec
from deltakit.compress.plan.allocate import allocate, hand_on
from deltakit.compress.plan.choice import Choice, spell
from deltakit.compress.plan.forecast import Forecast
from deltakit.compress.plan.hull import Ladder, share_out
from deltakit.compress.plan.plan import Row
from deltakit.errors import RecipeError, ResourceError

__all__ = ["check_reach", "check_size", "least_payload", "size_rows"]

_NEAR = 0.05  # codecs of fixed size may miss the ratio that was asked for by so much


def check_size(choice: Choice, ratio: float | None, nbytes: int | None) -> None:
    """A size is asked for once, by one of the three."""
    if ratio is not None and nbytes is not None:
        raise RecipeError("both a ratio and a number of bytes were given", remedy="give --ratio or --bytes")
    if ratio is not None and not (math.isfinite(ratio) and ratio > 1):
        raise RecipeError(f"ratio {ratio} is not above 1", remedy="16 means a sixteenth of the bytes")
    if nbytes is not None and nbytes < 1:
        raise RecipeError(f"{nbytes} bytes are no size", remedy="give the size of the whole file in bytes")
    following = [coding for coding in choice.codings if not coding.fixed]
    if ratio is None and nbytes is None and following:
        name = following[0].name
        raise RecipeError(f"{name} needs a size", remedy=f"give --ratio or --bytes; see `deltakit explain {name}`")


def check_reach(rows: Sequence[Row], ratio: float) -> None:
    """Codecs of fixed size alone must reach the ratio by themselves."""
    coded = [row for row in rows if row.action == "codec"]
    codecs = {row.codec: parse_codec(row.codec) for row in coded}
    if not all(codec.fixed for codec in codecs.values()):
        return
    if not coded:
        raise RecipeError(
            "exact follows no ratio", remedy="leave --ratio out, or choose a codec for some of the matrices"
        )
    reached = sum(row.spec.nbytes for row in coded) / sum(codecs[r.codec].nbytes(r.spec, None) for r in coded)
    if abs(reached / ratio - 1) > _NEAR:
        raise RecipeError(
            f"{', '.join(sorted(codecs))} stores these matrices at a ratio of {reached:.2f}, whatever is asked for",
            remedy=f"leave --ratio out, or choose a codec that can reach {ratio:g}: lowrank or svd_mixed",
        )


def least_payload(rows: Sequence[Row], ladders: Mapping[str, Ladder]) -> int:
    """The fewest bytes that all coded rows can take."""
    return sum(_least(row, ladders) for row in rows if row.action == "codec")


def size_rows(
    rows: Sequence[Row], total: int, ladders: Mapping[str, Ladder], *, tight: bool
) -> tuple[tuple[Row, ...], dict[str, Forecast]]:
    """The rows with budgets of `total` payload bytes in all, and forecasts of those that have a ladder.

    Every matrix has a claim in proportion to its bytes. What a codec of fixed size takes more or less than that is
    shared by the others; those with a ladder pool their claims. `tight`: what a step of one rank leaves goes to the
    next matrix.
    """
    coded = [row for row in rows if row.action == "codec"]
    fixed = {r.name: _least(r, ladders) for r in coded if r.name not in ladders and parse_codec(r.codec).fixed}
    others = [row for row in coded if row.name not in fixed]
    least = [_least(row, ladders) for row in others]
    room = total - sum(fixed.values())
    if not others:
        return tuple(replace(r, budget=fixed[r.name]) if r.name in fixed else r for r in rows), {}
    if sum(least) > room:
        need = sum(least) + sum(fixed.values())
        raise ResourceError(
            f"{total:,} bytes are too few for {len(coded)} matrices: the least is {need:,}",
            remedy=f"allow {need - total:,} bytes more, or a smaller ratio",
        )
    claims = dict(zip((r.name for r in others), allocate(room, [r.spec.nbytes for r in others], least), strict=True))
    following = [row for row in others if row.name not in ladders]
    budgets = [claims[row.name] for row in following]
    chosen, forecasts = _choose(others, ladders, room - sum(budgets))
    if tight:
        codecs = {row.codec: parse_codec(row.codec) for row in following}
        spare = room - sum(budgets) - sum(f.nbytes for f in forecasts.values())
        budgets = hand_on(budgets, lambda i, b: codecs[following[i].codec].nbytes(following[i].spec, b), spare)
    sized = fixed | dict(zip((row.name for row in following), budgets, strict=True))

    def settled(row: Row) -> Row:
        return replace(row, budget=sized[row.name]) if row.name in sized else chosen.get(row.name, row)

    return tuple(settled(row) for row in rows), forecasts


def _choose(
    rows: Sequence[Row], ladders: Mapping[str, Ladder], total: int
) -> tuple[dict[str, Row], dict[str, Forecast]]:
    """The rows that have a ladder, each with the offer that it takes."""
    mine = [row for row in rows if row.name in ladders]
    offers = share_out([ladders[row.name] for row in mine], total) if mine else []
    chosen, forecasts = {}, {}
    for row, offer in zip(mine, offers, strict=True):
        budget = offer.nbytes if offer.budget is None else offer.budget
        kept = offer.codec.name == "kept"
        codec = "" if kept else spell(offer.codec)
        chosen[row.name] = replace(row, action="kept" if kept else "codec", codec=codec, budget=budget)
        forecasts[row.name] = Forecast(offer.codec.name, offer.nbytes, offer.error, ladders[row.name].energy)
    return chosen, forecasts


def _least(row: Row, ladders: Mapping[str, Ladder]) -> int:
    if row.name in ladders:
        return ladders[row.name].least
    codec: Codec = parse_codec(row.codec)
    return codec.least(row.spec)
