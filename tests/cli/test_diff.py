"""deltakit diff compares two models, and two task vectors."""

import pytest

from deltakit.checkpoint.open import open_checkpoint
from support.cli import call
from support.models import save


def test_a_pair(tiny_pair):
    done = call("diff", *tiny_pair, "--top", 2)
    assert done.code == 0
    assert "relative norm" in done.out
    same = call("diff", tiny_pair[0], tiny_pair[0], "--format", "json").json
    assert same["summary"]["relative"] == 0.0


def test_task_vectors_over_a_base(tiny_pair):
    base, tuned = tiny_pair
    found = call("diff", tuned, tuned, f"{base} - {tuned}", "--against", base, "--format", "json").json
    pairs = found["vectors"]["whole"]["pairs"]
    assert [p["cosine"] for p in pairs] == pytest.approx([1.0, -1.0, -1.0], abs=1e-3)  # negated, then rounded
    assert [p["sign_agreement"] for p in pairs] == pytest.approx([1.0, 0.0, 0.0], abs=1e-2)
    shown = call("diff", tuned, f"{base} - {tuned}", "--against", base)
    assert f"task vectors of {tuned} and {base} - {tuned}: cosine -" in shown.out.replace("\n", " ")


def test_a_direction_that_is_not_there_is_undefined(tiny_pair):
    found = call("diff", *tiny_pair, "--against", tiny_pair[0])
    assert "cosine undefined" in found.out


def test_more_than_two_models_need_a_base(tiny_pair):
    done = call("diff", *tiny_pair, tiny_pair[0])
    assert done.code == 2
    assert "--against BASE" in done.err


def test_a_page_is_drawn_from_what_was_found(tiny_pair, tmp_path):
    base, tuned = tiny_pair
    page = tmp_path / "diff.html"
    done = call("diff", tuned, f"{base} + 0.5*{tuned}", "--against", base, "--spectra", 2, "-o", page)
    assert done.code == 0
    assert f"wrote {page}" in done.out
    drawn = page.read_text()
    for title in ("Relative norm of the delta", "Task vectors, pair by pair", "by layer", "Spectra of the delta"):
        assert title in drawn
    assert call("diff", tuned, base, "-o", tmp_path / "page.txt").code == 2


def test_a_report_draws_what_a_diff_printed(tiny_pair, tmp_path):
    base, tuned = tiny_pair
    printed = call("diff", base, tuned, "--spectra", 1, "--format", "json")
    (tmp_path / "diff.json").write_text(printed.out)
    assert "Spectra of the delta" in call("report", tmp_path / "diff.json", "--format", "json").out


def test_rows_that_the_second_lacks_and_values_that_are_no_numbers_are_named(tiny_base, tiny_grown, tmp_path):
    assert (
        "fewer rows in the second: lm_head.weight, model.embed_tokens.weight" in call("diff", tiny_grown, tiny_base).out
    )
    opened = open_checkpoint(tiny_base)
    tensors = {n: (s, bytes(opened.buffer(n))) for n, s in opened.specs.items()}
    spec, raw = tensors["model.norm.weight"]
    tensors["model.norm.weight"] = (spec, b"\xc0\x7f" + raw[2:])
    save(tmp_path / "m" / "model.safetensors", tensors)
    assert "non-finite differences: model.norm.weight (1)" in call("diff", tiny_base, tmp_path / "m").out
