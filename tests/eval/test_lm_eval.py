import json
import sys
from pathlib import Path

import pytest

from deltakit.errors import RecipeError
from deltakit_eval.lm_eval import main, register, with_tasks
from support.running import write_folder


def test_the_model_is_known_to_lm_eval_and_registering_twice_is_harmless() -> None:
    from lm_eval.api.registry import get_model

    register()
    register()
    assert get_model("deltakit").__name__ == "DeltakitLM"


def test_our_tasks_are_included_unless_a_folder_is_named(tmp_path: Path) -> None:
    assert with_tasks(["run", "--include_path=here"], tmp_path) == ["run", "--include_path=here"]
    assert with_tasks(["--help"], tmp_path) == ["--help"]
    assert list(tmp_path.iterdir()) == []
    asked = ["run", "--tasks", "x,deltakit_gsm8k_cot3"]
    assert with_tasks(asked, tmp_path) == [*asked, "--include_path", str(tmp_path)]
    assert {"deltakit_gsm8k.yaml", "deltakit_gsm8k_cot3.yaml"} <= {file.name for file in tmp_path.iterdir()}


def test_a_chat_variant_is_not_asked_bare(tmp_path: Path) -> None:
    asked = ["run", "--tasks=deltakit_gsm8k_chat"]
    with pytest.raises(RecipeError, match="deltakit_gsm8k_chat") as caught:
        with_tasks(asked, tmp_path)
    assert "--apply_chat_template" in caught.value.remedy
    assert with_tasks([*asked, "--apply_chat_template"], tmp_path)[-1] == str(tmp_path)


@pytest.mark.parametrize(
    ("tasks", "says"),
    [
        (
            ["deltakit_gsm8k_chat"],
            "error: deltakit_gsm8k_chat needs the chat template\nhint: add --apply_chat_template",
        ),
        (["deltakit_gsm8k,deltakit_toy_mth"], "unknown task 'deltakit_toy_mth'\nhint: did you mean 'toy_math'?"),
        (["deltakit_gsm8k", "deltakit_toy_math_cot2"], "unknown task 'deltakit_toy_math_cot2'"),
    ],
)
def test_an_error_of_ours_ends_the_command_line_with_one_sentence_and_its_code(
    tasks: list[str], says: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["lm_eval", "run", "--tasks", *tasks])
    with pytest.raises(SystemExit) as stopped:
        main()
    assert stopped.value.code == 2
    assert says in capsys.readouterr().err


def test_patterns_of_task_names_are_lm_evals_business(tmp_path: Path) -> None:
    asked = ["run", "--tasks", "deltakit_gsm8k*", "--output_path", "deltakit_results"]
    assert with_tasks(asked, tmp_path)[:-2] == asked


def test_its_own_command_line_runs_our_model_on_our_task(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = write_folder(tmp_path / "m")
    arguments = ["--model", "deltakit", "--model_args", f"pretrained={model}", "--tasks", "deltakit_toy_math"]
    more = ["--limit", "2", "--gen_kwargs", "max_gen_toks=4", "--output_path", str(tmp_path / "out.json")]
    monkeypatch.setattr(sys, "argv", ["lm_eval", "run", *arguments, *more])
    main()
    (written,) = tmp_path.rglob("out*.json")
    assert json.loads(written.read_text())["n-samples"]["deltakit_toy_math"]["effective"] == 2
