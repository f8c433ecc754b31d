import json
from pathlib import Path

import pytest

from deltakit_cli.errors import guarded
from deltakit_cli.main import cli
from support.fleet import fleet
from support.running import write_folder


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(tmp_path_factory.mktemp("model") / "m")


def run(*argv: object) -> int:
    return guarded(cli, ["generate", *map(str, argv)])


def test_one_prompt_prints_the_answer_alone(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(model, "--prompt", "one", "--max-new-tokens", 4, "--format", "json") == 0
    (answer,) = json.loads(capsys.readouterr().out)["answers"]
    assert run(model, "--prompt", "one", "--max-new-tokens", 4) == 0
    assert capsys.readouterr().out.rstrip("\n") == answer["text"].rstrip("\n")


def test_several_prompts_and_a_file_keep_their_order(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "p.txt").write_text("three\n")
    given = ("--prompt", "one", "--prompt", "two [b]", "--file", tmp_path / "p.txt", "--max-new-tokens", 2)
    assert run(model, *given, "--template", "alpaca") == 0
    said = [line for line in capsys.readouterr().out.splitlines() if line.startswith("> ")]
    assert said == ["> one", "> two [b]", "> three"]


def test_models_over_one_base_answer_in_one_process(capsys: pytest.CaptureFixture[str]) -> None:
    models = fleet().models
    given = ("--prompt", "one", "--prompt", "two", "--max-new-tokens", 4, "--device", "cpu", "--format", "json")
    assert run(*models, *given) == 0
    told = json.loads(capsys.readouterr().out)
    assert [(a["prompt"], a["model"]) for a in told["answers"]] == [(p, m) for p in ("one", "two") for m in models]
    assert set(told["resident"][0]["tenants"]) == set(models[1:])
    for model in models:
        assert run(model, *given) == 0
        apart = json.loads(capsys.readouterr().out)
        assert apart["answers"] == [a for a in told["answers"] if a["model"] == model]
        assert apart["resident"] == []
    assert run(*models, *given[:-2]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if line.startswith("> ")] == ["> one", "> two"]
    assert [line for line in lines if line.startswith("[")][:4] == [f"[{m}]" for m in models]


@pytest.mark.parametrize(
    ("argv", "code", "says"),
    [
        (["nowhere", "--prompt", "x"], 3, "nowhere"),
        (["nowhere"], 2, "no prompt"),
        (["nowhere", "--prompt", "x", "--template", "alpca"], 2, "alpaca"),
        (["nowhere", "--prompt", "x", "--max-new-tokens", "0"], 2, "max-new-tokens"),
        ([], 2, "MODEL"),
    ],
)
def test_wrong_usage_has_its_code(argv: list[str], code: int, says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(*argv) == code
    assert says in capsys.readouterr().err


def test_help_shows_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--help") == 0
    assert "deltakit generate models/math --prompt" in capsys.readouterr().out
