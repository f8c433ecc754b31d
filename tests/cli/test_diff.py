"""deltakit diff compares two models, and two task vectors."""

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
    found = call("diff", tiny_pair[1], tiny_pair[1], "--against", tiny_pair[0], "--format", "json").json
    assert abs(found["agreement"]["cosine"] - 1) < 1e-9
    assert found["agreement"]["sign_agreement"] == 1.0
    shown = call("diff", tiny_pair[1], f"{tiny_pair[0]} - {tiny_pair[1]}", "--against", tiny_pair[0])
    assert "cosine -" in shown.out


def test_a_direction_that_is_not_there_is_undefined(tiny_pair):
    found = call("diff", *tiny_pair, "--against", tiny_pair[0])
    assert "cosine undefined" in found.out


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
