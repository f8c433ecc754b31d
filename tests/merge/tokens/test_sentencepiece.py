"""SentencePiece files, written here byte by byte after their public message definition."""

from __future__ import annotations

import pytest

from deltakit.errors import CheckpointError
from deltakit.merge.tokens.sentencepiece import pieces
from support.vocabularies import message, piece, spm


def test_pieces_in_the_order_of_their_ids() -> None:
    texts = ["<unk>", "<s>", "</s>", "▁the", "x" * 300, "字"]
    assert pieces(spm(texts), "m") == tuple(texts)


def test_a_piece_without_text_is_the_empty_one() -> None:
    assert pieces(message(1, b"") + piece("a"), "m") == ("", "a")


@pytest.mark.parametrize(
    "raw",
    [b"", b"<html>", spm(["a", "b"])[:7], b"\x0a\xff", b"\x80" * 20, b"\x0b", message(1, message(1, b"\xff\xfe"))],
)
def test_anything_else_is_refused(raw: bytes) -> None:
    with pytest.raises(CheckpointError, match="m: not a SentencePiece model"):
        pieces(raw, "m")
