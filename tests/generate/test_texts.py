from pathlib import Path

import pytest

from deltakit.errors import InputError, RecipeError
from deltakit.generate.texts import generate_texts
from support.running import write_folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = write_folder(tmp_path_factory.mktemp("model") / "m")
    template = "{% for m in messages %}[{{ m.content }}]{% endfor %}{% if add_generation_prompt %}>{% endif %}"
    (made / "chat_template.jinja").write_text(template)
    return made


def texts(folder: Path, *prompts: str, **given: object) -> list[str]:
    found = generate_texts(str(folder), prompts, **{"max_new_tokens": 6, **given})  # type: ignore[arg-type]
    return [answer["text"] for answer in found["answers"]]


def test_answers_come_with_prompt_reason_and_count(folder: Path) -> None:
    found = generate_texts(str(folder), ["one", "two apples"], max_new_tokens=6)
    assert [a["prompt"] for a in found["answers"]] == ["one", "two apples"]
    assert {a["reason"] for a in found["answers"]} <= {"length", "eos"}
    assert found["dtype"] == "float32"


def test_templates_ask_differently(folder: Path) -> None:
    asked = [texts(folder, "one", template=t) for t in ("none", "alpaca", "qa", "chat")]
    assert len({tuple(a) for a in asked}) == 4
    assert asked[3] == texts(folder, "[one]>")
    assert asked[0] == texts(folder, "one", template="bare")


def test_drawing_follows_the_seed_and_the_prompts_number(folder: Path) -> None:
    drawn = texts(folder, "one", "one", temperature=1.0, seed=3)
    assert drawn[0] != drawn[1]
    assert texts(folder, "one", temperature=1.0, seed=4) == [drawn[1]]


def test_a_stop_string_cuts(folder: Path) -> None:
    free = texts(folder, "one")[0]
    assert texts(folder, "one", stop=(free[2],)) == [free.split(free[2])[0]]


def test_usage_is_checked_before_the_model_is_opened() -> None:
    with pytest.raises(RecipeError, match="no prompt"):
        generate_texts("nowhere", [])
    with pytest.raises(RecipeError, match="alpca"):
        generate_texts("nowhere", ["x"], template="alpca")


def test_a_missing_chat_template_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no chat template"):
        texts(write_folder(tmp_path / "m"), "one", template="chat")
