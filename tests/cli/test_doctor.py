"""deltakit doctor."""

from support.cli import call


def test_a_fit_machine_ends_with_0():
    done = call("doctor")
    assert done.code == 0
    assert "torch" in done.out
    assert call("doctor", "--format", "json").json["ok"] is True


def test_an_unfit_one_ends_with_6(monkeypatch, tmp_path):
    monkeypatch.setenv("DELTAKIT_MODELS", str(tmp_path / "gone"))
    done = call("doctor")
    assert done.code == 6
    assert "DELTAKIT_MODELS" in done.err
