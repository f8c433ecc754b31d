from pathlib import Path

from deltakit.checkpoint import Staging
from deltakit_eval.memory import Forgetful, Staged

KEY, FOUND = "sha256:ab12", {"accuracy": 0.5, "samples": [{"prompt": "é"}]}


def test_what_was_put_is_there_after_an_interrupt(tmp_path: Path) -> None:
    out, plan = tmp_path / "r.json", {"a": 1}
    with Staging(out, plan) as staging:  # left without a commit, as by an interrupt
        Staged(staging).put(KEY, FOUND)
    with Staging(out, plan) as staging:
        assert Staged(staging).get(KEY) == FOUND
        assert Staged(staging).get("sha256:other") is None


def test_a_damaged_measurement_is_not_believed(tmp_path: Path) -> None:
    with Staging(tmp_path / "r.json", {"a": 1}) as staging:
        Staged(staging).put(KEY, FOUND)
        (staging.folder / "ab12.json").write_text("{}")
        assert Staged(staging).get(KEY) is None


def test_without_an_output_nothing_is_kept() -> None:
    memory = Forgetful()
    memory.put(KEY, FOUND)
    assert memory.get(KEY) is None
