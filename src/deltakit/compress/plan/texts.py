"""Lists of codecs, as they are written on a command line and in a recipe."""

from __future__ import annotations

from collections.abc import Iterator

__all__ = ["split_outside"]


def split_outside(text: str, separator: str) -> Iterator[str]:
    """The pieces of `text` between separators outside of brackets and quotes, stripped; empty ones left out."""
    piece, quote, depth = "", "", 0
    for letter in text + separator:
        if letter == separator and not quote and depth <= 0:
            yield from ([piece.strip()] if piece.strip() else [])
            piece = ""
            continue
        piece += letter
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "'\"":
            quote = letter
        else:
            depth += (letter in "([") - (letter in ")]")
    if piece.removesuffix(separator).strip():
        yield piece.removesuffix(separator).strip()
