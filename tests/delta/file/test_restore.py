"""Apply: only over the right base, never half, never without effect in silence."""

from __future__ import annotations

from dataclasses import replace

import pytest

from deltakit.checkpoint.fingerprint import fingerprint
from deltakit.checkpoint.open import open_checkpoint
from deltakit.checkpoint.sidecar import Sidecar
from deltakit.delta.difference import difference
from deltakit.delta.expression import Delta, Entries, Entry, Lineage
from deltakit.delta.file.extract import extract
from deltakit.delta.file.restore import plan_restore, restore
from deltakit.delta.file.write import write_delta
from deltakit.errors import InputError, MismatchError, NoEffectError
from deltakit.manifest import read_manifest
from support.models import tiny_llama


@pytest.fixture
def delta(tiny_pair, tmp_path):
    return str(extract(str(tiny_pair[0]), str(tiny_pair[1]), tmp_path / "d").path)


def test_the_wrong_base_is_refused(delta, tmp_path):
    other = tiny_llama(tmp_path / "other", seed=9)
    with pytest.raises(MismatchError, match="another base"):
        restore(str(other), delta, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_manifest_says_what_went_in(tiny_pair, delta, tmp_path):
    restore(str(tiny_pair[0]), delta, tmp_path / "out")
    found = read_manifest(tmp_path / "out")
    assert found is not None
    assert found["action"] == "apply"
    assert [i["fingerprint"] for i in found["inputs"]] == [fingerprint(open_checkpoint(p)) for p in tiny_pair]
    assert str(tmp_path) not in (tmp_path / "out" / "deltakit.json").read_text()


def test_the_plan_and_an_output_in_the_way(tiny_pair, delta, tmp_path):
    plan = plan_restore(str(tiny_pair[0]), delta, tmp_path / "out")
    assert "model.safetensors" in plan["files"]
    assert not (tmp_path / "out").exists()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").write_text("x")
    with pytest.raises(InputError, match="not empty"):
        restore(str(tiny_pair[0]), delta, tmp_path / "out")


def test_a_delta_that_changes_nothing_says_so(tiny_base, tmp_path):
    base = open_checkpoint(tiny_base)
    entries = Entries(base.specs, lambda n: Entry(base.specs[n], base.specs[n].rows))
    nothing = Delta(entries, (), Lineage(fingerprint(base), "sha256:x"), Sidecar({}))
    path = write_delta(tmp_path / "d", nothing, plan={}).path
    with pytest.raises(NoEffectError):
        restore(str(tiny_base), str(path), tmp_path / "out")


def test_code_in_the_config_does_not_travel(tiny_pair, tmp_path):
    import json
    import shutil

    base, tuned = tiny_pair
    shutil.copytree(tuned, tmp_path / "tuned")
    config = json.loads((tmp_path / "tuned" / "config.json").read_text())
    (tmp_path / "tuned" / "config.json").write_text(json.dumps({**config, "auto_map": {"AutoConfig": "evil.py"}}))
    (tmp_path / "tuned" / "evil.py").write_text("raise SystemExit")
    delta = extract(str(base), str(tmp_path / "tuned"), tmp_path / "d").path
    restore(str(base), str(delta), tmp_path / "out")
    assert "auto_map" not in (tmp_path / "out" / "config.json").read_text()
    assert not (tmp_path / "out" / "evil.py").exists()


def test_no_input_is_ever_written_over(tiny_pair, delta, tmp_path):
    made = restore(str(tiny_pair[0]), delta, tmp_path / "made").written.path
    for run in (restore, plan_restore):
        with pytest.raises(InputError, match="also an input"):
            run(str(tiny_pair[0]), str(made), made, overwrite=True)
        with pytest.raises(InputError, match="lies inside"):
            run(str(tiny_pair[0]), str(made), made / "more")
    assert (made / "model.safetensors").exists()


def test_a_stored_adapter_does_not_say_whether_it_is_exact(tiny_base, tmp_path):
    base, tuned = open_checkpoint(str(tiny_base)), tiny_llama(tmp_path / "tuned", seed=9)
    lineage = Lineage(fingerprint(base), "sha256:of-the-factors", note={"adapter": {"r": 4}})
    delta = replace(difference(base, open_checkpoint(str(tuned))), lineage=lineage)
    write_delta(tmp_path / "a.delta", delta, plan={})
    assert restore(str(tiny_base), str(tmp_path / "a.delta"), tmp_path / "out").exact is None
