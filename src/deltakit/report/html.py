"""A page as one HTML file: pictures inside it, nothing fetched, nothing run, every text escaped."""

from __future__ import annotations

import base64
from importlib.resources import files

from deltakit.report.figure import as_svg
from deltakit.report.page import Cell, Page, Picture

__all__ = ["as_html"]


def as_html(page: Page) -> bytes:
    """UTF-8 HTML. Its own policy forbids scripts and the network; pictures are SVG inside data addresses."""
    from jinja2 import Environment, StrictUndefined

    made = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    made.filters.update(cell=cell_text, numeric=is_number, picture=_address)
    template = made.from_string(files("deltakit.report").joinpath("templates/report.html.j2").read_text("utf-8"))
    return str(template.render(page=page)).encode()


def cell_text(value: Cell) -> str:
    """Thousands with commas, floats with four digits, a dash for nothing."""
    if value is None:
        return "-"
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.4g}" if isinstance(value, float) else value


def is_number(value: Cell) -> bool:
    """Whether a cell goes to the right: numbers, and texts that begin with one."""
    return not isinstance(value, str) or value[:1].isdigit() or value in ("-", "not finite")


def _address(picture: Picture) -> str:
    return f"data:image/svg+xml;base64,{base64.b64encode(as_svg(picture.figure)).decode()}"
