"""What came of a compression, or would: as JSON, and in words."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from deltakit_cli.output import console, table

if TYPE_CHECKING:
    from deltakit.compress.run.archive import Compressed

__all__ = ["Show", "archive_facts", "each", "show_archive", "show_curve", "show_plan", "show_plans"]

Show = Callable[[Mapping[str, Any]], None]
_FIRST = 4  # names that a line holds


def archive_facts(made: Compressed) -> dict[str, Any]:
    """A written archive, JSON-able."""
    from deltakit.compress.plan.forecast import described

    return {
        "output": str(made.path), "codec": made.plan.codec, "bytes": made.nbytes, "file_ratio": made.file_ratio,
        "payload": made.payload, "payload_ratio": made.ratio, "bits_per_parameter": made.bits,
        "relative_error": made.error, "matrices": len(made.plan.covered), "lossy": dict(made.lossy),
        "kinds": dict(made.kinds), "forecast": described(made.plan.forecasts), "resumed": made.resumed,
        "data_free": None if made.data_free is None else list(made.data_free),
    }  # fmt: skip


def show_plan(plan: Mapping[str, Any]) -> None:
    """A dry run."""
    out, looked = console(), plan["forecast"].get("tensors", {})
    rows = [
        [r["name"], "x".join(map(str, r["shape"])), r["codec"] or r["action"], r["budget"] or "-"]
        + ([f"{looked[r['name']]['relative_error']:.4f}" if r["name"] in looked else "-"] if looked else [])
        for r in plan["rows"]
    ]
    out.print(table(["tensor", "shape", "codec", "bytes at most"] + (["error"] if looked else []), rows))
    _forecast(plan["forecast"])
    out.print(
        f"would write {plan['output']} with {plan['codec']}: {plan['matrices']} matrices in {plan['payload']:,} bytes "
        f"(ratio {plan['payload_ratio']:.2f}), {plan['exact']} tensors exact, {plan['unchanged']} unchanged"
    )
    _data_free(plan["data_free"], "are coded without their inputs, whatever the text")


def _forecast(forecast: Mapping[str, Any]) -> None:
    """What auto chose, by codec, and the error to expect: squared, over the energy of the delta."""
    if not forecast:
        return
    out = console()
    rows = [
        [c["codec"], c["matrices"], c["bytes"], f"{100 * c['energy']:.1f}", f"{c['relative_error']:.4f}"]
        for c in forecast["codecs"]
    ]
    out.print(table(["chosen", "matrices", "bytes", "% of the delta's energy", "error to expect"], rows))
    out.print(f"relative squared error to expect in all: {forecast['relative_error']:.4f}")


def show_archive(result: Mapping[str, Any]) -> None:
    """A written archive."""
    out = console()
    _forecast(result["forecast"])
    out.print(f"wrote {result['output']}: {result['bytes']:,} bytes, 1/{result['file_ratio']:.2f} of the fine-tune")
    if not result["matrices"]:
        out.print("every tensor is exact: base and archive give back the fine-tune bit for bit")
        return
    out.print(
        f"{result['matrices']} matrices by {result['codec']}: {result['payload']:,} bytes, ratio "
        f"{result['payload_ratio']:.2f}, {result['bits_per_parameter']:.3f} bits per parameter, everything counted"
    )
    _lossy(result)
    _data_free(result["data_free"], "were coded without their inputs, which the text did not show")
    if result["relative_error"] is not None:
        out.print(f"relative squared error of their weights: {result['relative_error']:.4f}")
    if "healed" in result:
        found = result["healed"]
        words = "KL divergence from the fine-tune on text that was not trained on"
        out.print(
            f"healed in {found['steps']} steps: {words} {found['before']:.4f} -> {found['after']:.4f} nats per token"
        )
        if not found["kept"]:
            out.print("healing did no good, or had no room: the archive is as it was compressed")


def _lossy(result: Mapping[str, Any]) -> None:
    """Where some of the matrices are bit for bit: the ratio of the others, which `inspect` shows."""
    lossy = result["lossy"]
    if lossy.get("matrices", 0) >= result["matrices"]:
        return
    others = "none of the others differs"
    if lossy:
        others = f"the other {lossy['matrices']} are at ratio {lossy['ratio']:.2f}, which `deltakit inspect` shows"
    console().print(f"{result['matrices'] - lossy.get('matrices', 0)} of them are unchanged or bit for bit; {others}")


def _data_free(names: Sequence[str] | None, said: str) -> None:
    """Which matrices a text did nothing for; nothing where there are none, or no text."""
    if names:
        more = f" and {len(names) - _FIRST} more (--format json names all)" if len(names) > _FIRST else ""
        console().print(f"{len(names)} matrices {said}: {', '.join(names[:_FIRST])}{more}")


def each(show: Show) -> Show:
    """The same for several archives."""

    def several(found: Mapping[str, Any]) -> None:
        for one in found["archives"]:
            show(one)

    return several


def show_plans(found: Mapping[str, Any]) -> None:
    """A dry run of a curve."""
    for plan in found["archives"]:
        _forecast(plan["forecast"])
        console().print(f"ratio {plan['ratio']:g}: {plan['matrices']} matrices in {plan['payload']:,} bytes")
        _data_free(plan["data_free"], "are coded without their inputs, whatever the text")
    console().print(f"would write {len(found['archives'])} archives into {found['output']}")


def show_curve(found: Mapping[str, Any]) -> None:
    """A curve that was drawn."""
    out = console()
    for section in found["sections"]:
        out.print(table(section["columns"], section["rows"], title=section["title"]))
    for point in found["points"]:
        _data_free(point["data_free"], f"of {point['file']} were coded without their inputs")
    out.print(f"wrote {found['output']}: {len(found['points'])} archives, curve.html, curve.md, curve.json")
