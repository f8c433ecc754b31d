"""Names from inside a checkpoint stay inside its folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from deltakit.checkpoint.confine import confined
from deltakit.errors import UnsafeError


@pytest.mark.parametrize(
    "name",
    ["../x", "/etc/passwd", "a/b", "..", ".", "", "a\\b", "..\\x", "C:x", "C:\\x", "x\0", "\\\\server\\share"],
)
def test_names_that_are_not_plain_are_unsafe(tmp_path: Path, name: str) -> None:
    with pytest.raises(UnsafeError, match="not a plain name") as caught:
        confined(tmp_path, name)
    assert caught.value.exit_code == 4


def test_plain_names_and_inner_links_are_fine(tmp_path: Path) -> None:
    (tmp_path / "real").write_text("x")
    (tmp_path / "link").symlink_to("real")
    assert confined(tmp_path, "real").read_text() == "x"
    assert confined(tmp_path, "link").read_text() == "x"
    assert confined(tmp_path, "absent") == tmp_path.resolve() / "absent"


def test_links_out_are_unsafe_also_through_other_links(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("x")
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "out").symlink_to(secret)
    (folder / "chain").symlink_to("out")
    for name in ("out", "chain"):
        with pytest.raises(UnsafeError, match="leaves the folder"):
            confined(folder, name)


def test_a_link_to_the_folder_itself_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "x").write_text("x")
    (tmp_path / "alias").symlink_to("model")
    assert confined(tmp_path / "alias", "x").read_text() == "x"


def test_the_hub_cache_may_link_to_its_own_blobs_only(tmp_path: Path) -> None:
    repository = tmp_path / "models--org--name"
    snapshot = repository / "snapshots" / "abc"
    snapshot.mkdir(parents=True)
    other = tmp_path / "models--evil--name" / "blobs"
    for blobs in (repository / "blobs", other):
        blobs.mkdir(parents=True)
        (blobs / "123").write_text("x")
    (snapshot / "mine").symlink_to("../../blobs/123")
    (snapshot / "theirs").symlink_to(other / "123")
    assert confined(snapshot, "mine").read_text() == "x"
    with pytest.raises(UnsafeError):
        confined(snapshot, "theirs")
