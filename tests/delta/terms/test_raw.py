"""Raw rows are kept bit for bit."""

from deltakit.delta.terms.raw import Raw
from support.tensors import bits, memory


def test_rows_from_an_offset_keep_their_bits():
    source = memory({"w": bits([[1, 2], [3, 0x7FC1], [0xFF80, 6]], "BF16")})
    term = Raw.of(source, "w", 1)
    assert term.spec.shape == (2, 2)
    assert bytes(term.bits(0, 2)) == bytes(source.buffer("w", 1, 3))
    assert bytes(Raw.load(*[{}, memoryview(term.save()[1])], term.spec).bits(1, 2)) == bytes(source.buffer("w", 2, 3))
