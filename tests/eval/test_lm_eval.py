import json
import sys
from pathlib import Path

import pytest

from deltakit_eval.lm_eval import main, register, with_tasks
from deltakit_eval.tasks import FOLDER
from support.running import write_folder


def test_the_model_is_known_to_lm_eval_and_registering_twice_is_harmless() -> None:
    from lm_eval.api.registry import get_model

    register()
    register()
    assert get_model("deltakit").__name__ == "DeltakitLM"


def test_our_tasks_are_included_unless_a_folder_is_named() -> None:
    assert with_tasks(["run", "--tasks", "x"]) == ["run", "--tasks", "x", "--include_path", str(FOLDER)]
    assert with_tasks(["run", "--include_path=here"]) == ["run", "--include_path=here"]
    assert with_tasks(["--help"]) == ["--help"]


def test_its_own_command_line_runs_our_model_on_our_task(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = write_folder(tmp_path / "m")
    arguments = ["--model", "deltakit", "--model_args", f"pretrained={model}", "--tasks", "deltakit_toy_math"]
    more = ["--limit", "2", "--gen_kwargs", "max_gen_toks=4", "--output_path", str(tmp_path / "out.json")]
    monkeypatch.setattr(sys, "argv", ["lm_eval", "run", *arguments, *more])
    main()
    (written,) = tmp_path.rglob("out*.json")
    assert json.loads(written.read_text())["n-samples"]["deltakit_toy_math"]["effective"] == 2
