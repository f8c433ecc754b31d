"""A curve of archives with its page: compression, evaluation and report in one output folder."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from deltakit.checkpoint.pump import Progress
    from deltakit.compress.run.curve import Point
    from deltakit.compress.run.request import Request
    from deltakit.report.page import Section

__all__ = ["draw_curve"]

_RESULTS = "results.json"


def draw_curve(request: Request, ratios: Sequence[float], progress: Progress, **work: Any) -> dict[str, Any]:
    """Archives, `curve.json`, `curve.html`, `curve.md` and pictures in `request.out`; with tasks, `results.json` too.
    `work`: tasks (with commas between), limit, data, max_new_tokens. The points and the page's tables, JSON-able."""
    from deltakit.compress.run.curve import compress_curve
    from deltakit.report.figure import as_png, as_svg
    from deltakit.report.html import as_html
    from deltakit.report.markdown import as_markdown
    from deltakit.report.page import Page
    from deltakit.report.tradeoff import section

    check = _evaluation(request, **work)
    sections: list[Section] = []

    def finish(folder: Path, points: Sequence[Point]) -> None:
        sections.append(section([point.as_dict() for point in points]))
        sections.extend(_accuracy(check(folder, points, progress), folder, Path(request.out)) if check else ())
        page = Page(f"{Path(request.tuned).name} in fewer bytes: {request.codec}", tuple(sections))
        pictures = [s.picture for s in sections if s.picture]
        for picture in pictures:
            (folder / f"{picture.stem}.svg").write_bytes(as_svg(picture.figure))
            (folder / f"{picture.stem}.png").write_bytes(as_png(picture.figure))
        (folder / "curve.html").write_bytes(as_html(page))
        (folder / "curve.md").write_bytes(as_markdown(page, {p.stem: f"{p.stem}.svg" for p in pictures}))

    points = compress_curve(request, ratios, finish, progress)
    tables = [{"title": s.title, "columns": list(s.columns), "rows": [list(row) for row in s.rows]} for s in sections]
    return {"output": str(request.out), "points": [point.as_dict() for point in points], "sections": tables}


Check = Callable[[Path, "Sequence[Point]", "Progress"], Any]


def _evaluation(request: Request, tasks: str | None, data: str | None, **settings: Any) -> Check | None:
    """Evaluates base, fine-tune and every point; names of tasks and models are checked now, before anything is made."""
    names = [name.strip() for name in (tasks or "").split(",") if name.strip()]
    if not names:
        return None
    os.environ.setdefault("TQDM_DISABLE", "1")  # lm-eval's bars; ours is one for the whole run
    from deltakit.compress.run.operands import tuned_text
    from deltakit_eval.run import evaluate, plan_evaluation
    from deltakit_eval.work import Settings

    given, beside = (
        Settings(**settings),
        [f"base={request.base}", f"fine-tune={tuned_text(request.base, request.tuned)}"],
    )
    plan_evaluation(beside, names, given, data=data)

    def check(folder: Path, points: Sequence[Point], progress: Progress) -> Any:
        made = [f"{_group(request)}: 1:{p.ratio:g}={request.base} + {folder / p.file}" for p in points]
        return evaluate([*beside, *made], names, given, data=data, out=folder / _RESULTS, progress=progress)

    return check


def _group(request: Request) -> str:
    """The codec, without what a model's name cannot hold."""
    return request.codec.replace("=", " ").replace("/", " ") if "=" in request.codec else request.codec


def _accuracy(result: Any, folder: Path, out: Path) -> list[Section]:
    """Accuracy against bytes; the results name the archives where they will lie."""
    from deltakit.report.pareto import sections
    from deltakit.report.results import rows_of

    text = json.dumps(result, indent=2, sort_keys=True, ensure_ascii=False).replace(str(folder), str(out))
    (folder / _RESULTS).write_text(text + "\n", encoding="utf-8")
    rows = [replace(row, nbytes=None) if row.name == "fine-tune" else row for row in rows_of(result, _RESULTS)]
    return sections(rows, ["base", "fine-tune"])
