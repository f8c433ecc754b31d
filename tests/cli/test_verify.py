"""deltakit verify: damage ends with code 6 and a name."""

import hashlib
import json

from deltakit.delta.file.container import open_archive, pack_header
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


def test_bad_archives_are_refused_in_words(tiny_pair, tmp_path):
    """Cut, too long, of a later version, lying about a shape, of another base: code 3, no output, no traceback."""
    call("extract", *tiny_pair, "-o", tmp_path / "d")
    raw = (tmp_path / "d").read_bytes()
    lying = open_archive(tmp_path / "d")
    index = json.loads(json.dumps(lying.index))
    name = next(n for n, item in index["tensors"].items() if "p" in item)
    index["tensors"][name]["s"] = [2**40, 2**20]
    body = raw[min(start for start, _ in lying.places.values()) :]
    for broken, says in (
        (raw[:-1], "the first part that is cut is"),
        (raw + b"x", "bytes behind its end"),
        (raw[:8] + b"\7" + raw[9:], "format 7, this deltakit reads 1"),
        (raw[:20], "not a delta file"),
        (pack_header(index) + body, name),
    ):
        (tmp_path / "bad").write_bytes(broken)
        done = call("apply", tiny_pair[0], tmp_path / "bad", "-o", tmp_path / "m")
        assert (done.code, says in done.err.replace("\n", " "), "Traceback" in done.err) == (3, True, False), done.err
        assert not (tmp_path / "m").exists()
        assert call("verify", tmp_path / "bad").code == 6
    done = call("apply", tiny_pair[1], tmp_path / "d", "-o", tmp_path / "m")
    assert (done.code, "another base" in done.err) == (3, True)
