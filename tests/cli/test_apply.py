"""deltakit apply, as a person calls it."""

import shutil

from support.cli import call
from support.models import tiny_llama


def test_it_restores_and_says_that_it_is_exact(tiny_pair, tmp_path):
    call("extract", *tiny_pair, "-o", tmp_path / "d")
    done = call("apply", tiny_pair[0], tmp_path / "d", "-o", tmp_path / "m")
    assert done.code == 0
    assert "bit for bit" in done.out
    assert call("verify", tmp_path / "m").code == 0


def test_a_dry_run_writes_nothing(tiny_pair, tmp_path):
    call("extract", *tiny_pair, "-o", tmp_path / "d")
    done = call("apply", tiny_pair[0], tmp_path / "d", "-o", tmp_path / "m", "--dry-run", "--format", "json")
    assert done.code == 0
    assert "model.safetensors" in done.json["files"]
    assert not (tmp_path / "m").exists()


def test_the_wrong_base_ends_with_3_and_leaves_nothing(tiny_pair, tmp_path):
    call("extract", *tiny_pair, "-o", tmp_path / "d")
    other = tiny_llama(tmp_path / "other", seed=5)
    done = call("apply", other, tmp_path / "d", "-o", tmp_path / "m")
    assert done.code == 3
    assert "another base" in done.err
    assert not (tmp_path / "m").exists()


def test_removed_keys_are_shown(tiny_pair, tmp_path):
    import json

    tuned = tmp_path / "t"
    shutil.copytree(tiny_pair[1], tuned)
    config = json.loads((tuned / "config.json").read_text())
    call("extract", tiny_pair[0], tuned, "-o", tmp_path / "d")
    base = tmp_path / "b"
    shutil.copytree(tiny_pair[0], base)
    (base / "config.json").write_text(json.dumps({**config, "custom_pipelines": {}}))
    done = call("apply", base, tmp_path / "d", "-o", tmp_path / "m", "--format", "json")
    assert done.code == 0, done.err
    assert done.json["removed_from_config"] == ["config.json: custom_pipelines"]
    assert "custom_pipelines" not in (tmp_path / "m" / "config.json").read_text()
