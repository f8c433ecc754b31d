"""deltakit verify: damage ends with code 6 and a name."""

from support.cli import call


def flip(path, at):
    raw = bytearray(path.read_bytes())
    raw[at] ^= 1
    path.write_bytes(bytes(raw))


def test_sound_outputs(tiny_pair, tmp_path):
    call("extract", *tiny_pair, "-o", tmp_path / "d")
    assert "checksums agree" in call("verify", tmp_path / "d").out
    assert "no manifest" in call("verify", tiny_pair[0]).out


def test_a_flipped_bit_in_a_delta_and_in_a_model(tiny_pair, tmp_path):
    call("extract", *tiny_pair, "-o", tmp_path / "d")
    call("apply", tiny_pair[0], tmp_path / "d", "-o", tmp_path / "m")
    flip(tmp_path / "d", -1)
    flip(tmp_path / "m" / "model.safetensors", -1)
    for path in ("d", "m"):
        done = call("verify", tmp_path / path)
        assert done.code == 6, done.err
        assert "model." in done.err
