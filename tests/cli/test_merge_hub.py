"""A dry run of a merge of hub models reads headers by range requests, no weights; the hub is on this machine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from support.fakehub import FakeHub, fake_hub
from support.models import tiny_llama, tiny_tuned

pytest.importorskip("huggingface_hub")


def dry_run(hub: FakeHub, home: Path, *words: str) -> subprocess.CompletedProcess[str]:
    settings = {"HF_ENDPOINT": hub.address, "HF_HOME": str(home), "HF_HUB_OFFLINE": "0", "HF_HUB_DISABLE_XET": "1"}
    command = [sys.executable, "-m", "deltakit_cli", "merge", *words, "-o", str(home / "out"), "--dry-run"]
    environment = {**os.environ, **settings, "HF_TOKEN": "hf_secret", "OMP_NUM_THREADS": "1"}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)


@pytest.fixture
def repositories(tmp_path: Path) -> Path:
    base = tiny_llama(tmp_path / "hub" / "org" / "base")
    tiny_tuned(base, tmp_path / "hub" / "org" / "math", 1)
    return tmp_path / "hub"


def test_headers_are_enough_for_a_plan(repositories: Path, tmp_path: Path) -> None:
    with fake_hub(repositories) as hub:
        done = dry_run(hub, tmp_path / "home", "--base", "org/base", "--model", "org/math", "--format", "json")
    assert done.returncode == 0, done.stderr
    plan = json.loads(done.stdout)
    size = (repositories / "org" / "base" / "model.safetensors").stat().st_size
    assert plan["bytes"] > 0.9 * size
    assert any(n.startswith("org/math: only its headers were fetched") for n in plan["notes"])
    assert hub.given["model.safetensors"] < 2 * size / 4  # both models' headers
    assert "hf_secret" not in done.stdout + done.stderr
    assert not (tmp_path / "home" / "out").exists()


def test_what_does_not_fit_is_known_before_anything_is_fetched(repositories: Path, tmp_path: Path) -> None:
    tiny_tuned(repositories / "org" / "base", repositories / "org" / "grown", 2, extra_rows=3)
    with fake_hub(repositories) as hub:
        done = dry_run(hub, tmp_path / "home", "--base", "org/base", "--model", "org/math", "--model", "org/grown")
    assert done.returncode == 3
    assert "rows that the base lacks" in done.stderr


def test_a_server_without_ranges_is_an_error_with_a_way_out(repositories: Path, tmp_path: Path) -> None:
    with fake_hub(repositories, ranges=False) as hub:
        done = dry_run(hub, tmp_path / "home", "--base", "org/base", "--model", "org/math")
    assert done.returncode == 3
    assert "run without --dry-run" in done.stderr
