"""The pieces of a SentencePiece model file, read without its library.

The file is a protobuf message (sentencepiece_model.proto): field 1, repeated, is a piece, itself a message of text
(field 1, bytes), score (field 2, 32-bit float) and type (field 3, varint). A piece's id is its place.
"""

from __future__ import annotations

from collections.abc import Iterator

from deltakit.errors import CheckpointError

__all__ = ["pieces"]

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


def pieces(raw: bytes, name: str) -> tuple[str, ...]:
    """The texts of all pieces in the order of their ids. CheckpointError for a file that is no such message."""
    try:
        found = tuple(
            next((bytes(v).decode() for f, v in _fields(memoryview(piece)) if f == 1 and isinstance(v, memoryview)), "")
            for field, piece in _fields(memoryview(raw))
            if field == 1 and isinstance(piece, memoryview)
        )
    except (ValueError, IndexError) as wrong:
        raise _broken(name, str(wrong)) from None
    if not found:
        raise _broken(name, "it holds no pieces")
    return found


def _broken(name: str, why: str) -> CheckpointError:
    return CheckpointError(f"{name}: not a SentencePiece model ({why})", remedy="run the download again")


def _fields(raw: memoryview) -> Iterator[tuple[int, memoryview | int]]:
    """(field number, value) of a message; numbers of fixed width are passed over as 0."""
    at = 0
    while at < len(raw):
        key, at = _varint(raw, at)
        kind, value = key & 7, 0
        if kind == _VARINT:
            value, at = _varint(raw, at)
            yield key >> 3, value
            continue
        size = {_FIXED64: 8, _FIXED32: 4}.get(kind, -1)
        if kind == _BYTES:
            size, at = _varint(raw, at)
        if size < 0 or at + size > len(raw):
            raise ValueError("a field ends beyond the file" if size >= 0 else f"wire type {kind}")
        yield key >> 3, raw[at : at + size] if kind == _BYTES else 0
        at += size


def _varint(raw: memoryview, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 64, 7):
        byte = raw[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise ValueError("a number without end")
