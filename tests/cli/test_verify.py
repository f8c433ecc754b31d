"""deltakit verify: damage ends with code 6 and a name."""

import hashlib

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


def test_in_full_content_gets_a_digest_that_does_not_depend_on_files(tiny_pair, tmp_path):
    call("extract", *tiny_pair, "-o", tmp_path / "d")
    done = call("verify", tmp_path / "d", "--full", "--format", "json").json
    assert done["sha256"] == hashlib.sha256((tmp_path / "d").read_bytes()).hexdigest()
    call("apply", tiny_pair[0], tmp_path / "d", "-o", tmp_path / "m")
    shas = [call("verify", p, "--full", "--format", "json").json["sha256"] for p in (tiny_pair[1], tmp_path / "m")]
    assert shas[0] == shas[1]
    assert "sha256: " in call("verify", tmp_path / "m", "--full").out
