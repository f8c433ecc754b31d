"""deltakit extract, as a person calls it."""

from support.cli import call


def test_it_writes_and_says_so(tiny_pair, tmp_path):
    done = call("extract", *tiny_pair, "-o", tmp_path / "d", "--format", "json")
    assert done.code == 0
    assert done.json["bytes"] == (tmp_path / "d").stat().st_size
    assert "wrote" in call("extract", *tiny_pair, "-o", tmp_path / "e").out


def test_a_dry_run_writes_nothing(tiny_pair, tmp_path):
    done = call("extract", *tiny_pair, "-o", tmp_path / "d", "--dry-run")
    assert done.code == 0
    assert "would write" in done.out
    assert not list(tmp_path.iterdir())


def test_it_refuses_to_replace(tiny_pair, tmp_path):
    (tmp_path / "d").write_text("mine")
    done = call("extract", *tiny_pair, "-o", tmp_path / "d")
    assert (done.code, (tmp_path / "d").read_text()) == (3, "mine")
    assert "--overwrite" in done.err
    assert call("extract", *tiny_pair, "-o", tmp_path / "d", "--overwrite").code == 0


def test_a_missing_model_and_an_equal_pair(tiny_pair, tmp_path):
    assert call("extract", tiny_pair[0], tmp_path / "none", "-o", tmp_path / "d").code == 3
    assert call("extract", tiny_pair[0], tiny_pair[0], "-o", tmp_path / "d").code == 6
    assert not list(tmp_path.iterdir())
