"""deltakit diff compares two models, and two task vectors."""

from support.cli import call


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
