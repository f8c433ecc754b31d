"""A page as Markdown: tables, and links to pictures where they were saved as files."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import quote

from deltakit.report.html import cell_text
from deltakit.report.page import Fold, Page, Section

__all__ = ["as_markdown"]

_MARKS = re.compile(r"([\\`*_{}\[\]#+!|~])")


def as_markdown(page: Page, pictures: Mapping[str, str]) -> bytes:
    """UTF-8 Markdown. `pictures` gives the address of each saved picture by its stem; others are left out."""
    parts = [f"# {_escaped(page.title)}"]
    for section in page.sections:
        parts += [f"## {_escaped(section.title)}", _escaped(section.text)]
        if section.picture and section.picture.stem in pictures:
            parts.append(f"![{_escaped(section.picture.alt)}]({quote(pictures[section.picture.stem], safe='/.~')})")
        parts += [_table(section)] if section.columns else []
        parts += [_fold(fold) for fold in section.folds]
    return ("\n\n".join(parts) + "\n").encode()


def _table(section: Section) -> str:
    lines = [section.columns, ["---", *("---:" for _ in section.columns[1:])]]
    last = ""
    for i, row in enumerate(section.rows):
        group = section.groups[i] if section.groups else ""
        if group and group != last:
            lines.append([f"**{_escaped(group)}**", *("" for _ in section.columns[1:])])
        last = group
        lines.append([_escaped(cell_text(cell)) for cell in row])
    head = [[_escaped(cell) for cell in lines[0]], *lines[1:]]
    return "\n".join(f"| {' | '.join(line)} |" for line in head)


def _fold(fold: Fold) -> str:
    """A heading in bold and a bullet an item, its texts on one line each."""
    lines = [f"**{_escaped(fold.title)}**", ""]
    for item in fold.items:
        lines += [f"{'  ' if i else '- '}{_escaped(label)}: {_escaped(text)}  " for i, (label, text) in enumerate(item)]
    return "\n".join(lines)


def _escaped(text: str) -> str:
    """Shown as typed, on one line, whatever it holds."""
    whole = _MARKS.sub(r"\\\1", " ".join(text.split()))
    return whole.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
