"""Inspect says what a path holds."""

from deltakit.checkpoint.fingerprint import fingerprint
from deltakit.checkpoint.open import open_checkpoint
from deltakit.delta.expression import Lineage
from deltakit.delta.file.extract import extract
from deltakit.delta.file.inspection import inspect_path
from deltakit.delta.file.write import write_sum


def test_a_checkpoint(tiny_base):
    found = inspect_path(str(tiny_base))
    opened = open_checkpoint(tiny_base)
    assert (found["kind"], found["fingerprint"]) == ("checkpoint", fingerprint(opened))
    assert found["parameters"] == sum(s.numel for s in opened.specs.values())
    assert found["dtypes"] == {"BF16": found["parameters"]}


def test_a_delta(tiny_pair, tmp_path):
    path = extract(str(tiny_pair[0]), str(tiny_pair[1]), tmp_path / "d").path
    found = inspect_path(str(path))
    assert (found["kind"], found["file_bytes"]) == ("delta", path.stat().st_size)
    assert sum(found["bytes_by_kind"].values()) == found["payload_bytes"]
    assert set(found["bytes_by_kind"]) <= {"exact", "ranged", "changes"}
    assert found["ratio"] == found["bytes"] / found["file_bytes"]
    assert sum(t["bytes"] for terms in found["terms"].values() for t in terms) == found["payload_bytes"]


def test_an_expression(tmp_path):
    write_sum(tmp_path / "d", [{"coef": 1.0, "of": "x"}], Lineage(base="b"))
    found = inspect_path(str(tmp_path / "d"))
    assert (found["kind"], found["sum"]) == ("expression", [{"coef": 1.0, "of": "x"}])


def test_an_adapter(shared_models):
    found = inspect_path(str(shared_models / "lora" / "gpt2-tigrinya-r8-run1"))
    assert (found["kind"], found["rank"], found["alpha"], len(found["modules"])) == ("adapter", 8, 32, 36)
