import pytest

from deltakit.errors import CheckpointError, InputError, RecipeError
from deltakit.report.paired.operands import read_runs
from support.paired import about, model, paired_result, task
from support.results import write_json


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_json(tmp_path / "a.json", paired_result({"base": "1100", "math": "1110"}))
    write_json(tmp_path / "b.json", paired_result({"base": "0100", "ties": "1111"}))
    return tmp_path


def names(*operands: str) -> list[str]:
    return [run.name for run in read_runs(operands)]


def test_all_models_of_all_files_and_single_ones(here):
    assert names("a.json") == ["base", "math"]
    assert names("a.json#math", "b.json#ties") == ["math", "ties"]
    assert names("b.json#ties", "b.json") == ["ties", "base"]


def test_models_of_one_name_are_told_apart_by_their_files(here):
    assert names("a.json", "b.json") == ["base (a.json)", "math", "base (b.json)", "ties"]


def test_a_number_sign_may_be_part_of_either_name(here):
    write_json(here / "c#1.json", paired_result({"x#y": "1", "z": "1"}))
    assert names("c#1.json") == ["x#y", "z"]
    assert names("c#1.json#x#y") == ["x#y"]


def test_tasks_of_one_model_in_two_files_come_together(here):
    chat = model("base", "1", tasks={"toy_chat": task("01")})
    write_json(here / "chat.json", paired_result([chat], tasks={"toy_chat": about(task="deltakit_toy_chat")}))
    (run,) = read_runs(["a.json#base", "chat.json"])
    assert list(run.labels.values()) == ["toy_math", "toy_chat"]
    other = model("base", "1", tasks={"toy_chat": task("01")}, content="sha256:other")
    write_json(here / "chat.json", paired_result([other]))
    assert names("a.json#base", "chat.json") == ["base (a.json)", "base (chat.json)"]


def test_so_do_those_of_a_model_whose_weights_were_never_in_memory_as_a_whole(here):
    for name, about_it in (("math", {}), ("chat", {"tasks": {"toy_chat": task("01")}})):
        found = model("base", "1", content=None, identity="sha256:files", **about_it)
        write_json(here / f"{name}.json", paired_result([found]))
    assert names("math.json", "chat.json") == ["base"]


def test_bad_operands_say_what_is_wrong(here):
    with pytest.raises(RecipeError, match="did you mean 'math'"):
        read_runs(["a.json#mth"])
    with pytest.raises(InputError, match=r"none\.json"):
        read_runs(["none.json#m"])
    (here / "text.json").write_text((here / "a.json").read_text()[:100])
    with pytest.raises(CheckpointError, match=r"text\.json is not JSON"):
        read_runs(["text.json"])
    (here / "other.json").write_text('{"tensors": []}')
    with pytest.raises(InputError, match="no result of an evaluation"):
        read_runs(["other.json"])
    write_json(here / "sweep.json", {"candidates": [], "winner": {}})
    with pytest.raises(InputError, match="a sweep, no result of an evaluation"):
        read_runs(["sweep.json"])
    write_json(here / "bare.json", paired_result([model("m", "1", tasks={"toy_math": task("1", samples=[])})]))
    with pytest.raises(InputError, match="results without samples"):
        read_runs(["bare.json"])
