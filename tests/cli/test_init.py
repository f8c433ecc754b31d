"""deltakit init copies a recipe that says how it is run."""

from support.cli import call


def test_it_copies_and_never_replaces(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = call("init", "merge/task_arithmetic")
    assert done.code == 0
    assert "deltakit merge" in done.out
    assert (tmp_path / "task_arithmetic.yaml").exists()
    assert call("init", "merge/task_arithmetic").code == 3
    assert call("init", "merge/task_arithmetic", "--overwrite").code == 0


def test_a_dry_run_and_an_unknown_recipe(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert call("init", "merge/task_arithmetic", "--dry-run").code == 0
    assert not list(tmp_path.iterdir())
    done = call("init", "merge/task_arithmetik")
    assert done.code == 2
    assert "merge/task_arithmetic" in done.err


def test_the_example_of_its_help_works_in_a_new_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    line = next(s for s in call("init", "--help").out.splitlines() if "my-sft" in s)
    assert call(*line.split()[1:-1], "new/my-sft.yaml").code == 0
    assert (tmp_path / "new" / "my-sft.yaml").exists()
    assert call("init", "merge/ties", "-o", ".", "--overwrite").code == 3


def test_the_command_on_top_runs_the_copy(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert "deltakit merge mine.yaml -o merged" in call("init", "merge/ties", "-o", "mine.yaml").out
    assert "recipes/merge" not in (tmp_path / "mine.yaml").read_text()
    assert "deltakit merge 'a b.yaml' -o" in call("init", "merge/task_arithmetic", "-o", "a b.yaml", "--dry-run").out
