"""Hub ids: told apart from paths, read from the cache, and never a hang or a puzzle when offline."""

from __future__ import annotations

import hashlib
import time
from pathlib import Path

import pytest

from deltakit.checkpoint.hub import hub_id, snapshot
from deltakit.checkpoint.open import open_checkpoint
from deltakit.errors import CheckpointError, InputError
from deltakit.tensors import TensorSpec
from support.models import pack, random_tensors

hub = pytest.importorskip("huggingface_hub")
constants = pytest.importorskip("huggingface_hub.constants")
SHA = "0123456789abcdef0123456789abcdef01234567"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("org/name", ("org/name", None)),
        ("org/name-7B.v0.1@main", ("org/name-7B.v0.1", "main")),
        ("org/name@refs/pr/1", ("org/name", "refs/pr/1")),
        ("name", None),
        ("./org/name", None),
        ("../org/name", None),
        ("/org/name", None),
        ("a/b/c", None),
        ("org/name.safetensors", None),
        ("org/recipe.yaml", None),
        ("~/name", None),
        ("org/name@", None),
        ("org/na me", None),
    ],
)
def test_what_is_a_hub_id(text: str, found: object) -> None:
    assert hub_id(text) == found


def test_a_misspelt_path_never_reaches_the_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "models" / "base").mkdir(parents=True)
    assert hub_id("models/base") is None
    assert hub_id("models/bsae") is None
    with pytest.raises(InputError, match="does not exist"):
        open_checkpoint("models/bsae")


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An offline hub cache of org/name at SHA, laid out as the hub's own library does."""
    repository = tmp_path / "models--org--name"
    folder = repository / "snapshots" / SHA
    for part in (repository / "blobs", repository / "refs", folder):
        part.mkdir(parents=True)
    (repository / "refs" / "main").write_text(SHA)
    files = {"model.safetensors": pack(random_tensors({"a": TensorSpec((3,), "F32")})), "config.json": b"{}"}
    for name, raw in files.items():
        blob = hashlib.sha256(raw).hexdigest()
        (repository / "blobs" / blob).write_bytes(raw)
        (folder / name).symlink_to(f"../../blobs/{blob}")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    real = hub.snapshot_download
    monkeypatch.setattr(hub, "snapshot_download", lambda *a, **k: real(*a, cache_dir=tmp_path, **k))
    return folder


@pytest.mark.parametrize("where", ["org/name", "org/name@main", f"org/name@{SHA}"])
def test_a_cached_model_opens_offline(cache: Path, where: str) -> None:
    checkpoint = open_checkpoint(where)
    assert checkpoint.path == cache
    assert checkpoint.source == where
    assert checkpoint.revision == SHA
    assert checkpoint.sidecar.files == {"config.json": b"{}"}


def test_a_partly_cached_model_names_what_is_missing(cache: Path) -> None:
    (cache / "model.safetensors").unlink()
    (cache / "model.safetensors.index.json").write_text('{"weight_map": {"a": "model-1.safetensors"}}')
    with pytest.raises(CheckpointError, match="missing") as caught:
        open_checkpoint("org/name")
    assert "model-1.safetensors" in str(caught.value)


@pytest.mark.parametrize("where", ["org/absent", "org/name@v2"])
def test_offline_and_not_cached_says_so_at_once(cache: Path, where: str) -> None:
    begin = time.perf_counter()
    with pytest.raises(InputError, match="cannot be reached") as caught:
        open_checkpoint(where)
    assert time.perf_counter() - begin < 1
    assert where in caught.value.message
    assert caught.value.remedy


def refuse(kind: str) -> Exception:
    made = type(kind, (Exception,), {})
    return made("something\nlong, with https://hub/?token=hf_secret in a later line")


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("RepositoryNotFoundError", "neither a local path nor a model"),
        ("RevisionNotFoundError", "no such revision"),
        ("GatedRepoError", "gated"),
        ("HfHubHTTPError", "the hub gave HfHubHTTPError: something"),
        ("ConnectTimeout", "cannot be reached"),
    ],
)
def test_refusals_of_the_hub(monkeypatch: pytest.MonkeyPatch, kind: str, said: str) -> None:
    def fail(*args: object, **kwargs: object) -> str:
        raise refuse(kind)

    monkeypatch.setattr(hub, "snapshot_download", fail)
    with pytest.raises(InputError, match=said) as caught:
        snapshot("org/name", "v1")
    assert "org/name@v1" in caught.value.message
    assert "hf_secret" not in str(caught.value)


def test_only_weights_and_text_are_asked_for(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked: dict[str, object] = {}

    def fetch(repository: str, **kwargs: object) -> str:
        asked.update(kwargs, repository=repository)
        return str(tmp_path)

    monkeypatch.setattr(hub, "snapshot_download", fetch)
    assert snapshot("org/name", None) == tmp_path
    assert asked["repository"] == "org/name"
    patterns = asked["allow_patterns"]
    assert isinstance(patterns, list)
    assert "*.safetensors" in patterns
    assert not [p for p in patterns if p.endswith((".py", ".bin", ".pt", "*")) and p not in ("LICENSE*", "NOTICE*")]
