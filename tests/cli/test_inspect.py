"""deltakit inspect shows what a path holds."""

from support.cli import call


def test_models_and_deltas(tiny_pair, tmp_path):
    call("extract", *tiny_pair, "-o", tmp_path / "d")
    assert "LlamaForCausalLM" in call("inspect", tiny_pair[0]).out
    done = call("inspect", tmp_path / "d", "--tensors")
    assert done.code == 0
    assert "exact (" in done.out
    assert "bits per parameter" in done.out
    assert call("inspect", tmp_path / "d", "--format", "json").json["kind"] == "delta"


def test_what_is_nothing(tmp_path):
    (tmp_path / "x").write_text("hello")
    assert call("inspect", tmp_path / "x").code == 3
