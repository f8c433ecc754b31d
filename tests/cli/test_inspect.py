"""deltakit inspect shows what a path holds."""

from support.cli import call


def test_models_and_deltas(tiny_pair, tmp_path):
    call("extract", *tiny_pair, "-o", tmp_path / "d")
    assert "LlamaForCausalLM" in call("inspect", tiny_pair[0]).out
    done = call("inspect", tmp_path / "d", "--tensors")
    assert done.code == 0
    assert "ranged (" in done.out
    assert "bits per parameter" in done.out.replace("\n", " ")
    assert call("inspect", tmp_path / "d", "--format", "json").json["kind"] == "delta"


def test_what_is_nothing(tmp_path):
    (tmp_path / "x").write_text("hello")
    assert call("inspect", tmp_path / "x").code == 3


def test_spectra(tiny_pair, tmp_path):
    call("extract", *tiny_pair, "-o", tmp_path / "d")
    done = call("inspect", tmp_path / "d", "--spectra", 2)
    assert (done.code, "--base" in done.err) == (2, True)
    done = call("inspect", tmp_path / "d", "--spectra", 2, "--base", tiny_pair[0], "--match", "*proj*")
    assert done.code == 0
    assert "effective rank" in done.out.replace("\n", " ")
    found = call("inspect", tiny_pair[0], "--spectra", 1, "--format", "json").json["spectra"]
    assert [sorted(found[0]["energy_at_rank"])[0], found[0]["from_factors"]] == ["1", False]


def test_a_coded_archive_names_both_ratios(tiny_pair, tmp_path):
    call("compress", *tiny_pair, "--codec", "sign", "-o", tmp_path / "a")
    done = call("inspect", tmp_path / "a")
    assert "coded matrices" in done.out
    assert "ratio (weights / file)" in done.out
    found = call("inspect", tmp_path / "a", "--format", "json").json
    assert found["coded"]["payload_bytes"] == found["bytes_by_kind"]["sign"]
    assert call("inspect", tmp_path / "a", "--spectra", 1).code == 0  # signs need no base
