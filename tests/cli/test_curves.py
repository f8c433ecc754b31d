"""deltakit compress --curve, and auto on the command line. Run: pytest tests/cli/test_curves.py"""

from __future__ import annotations

import json

import pytest

from deltakit_cli.errors import guarded
from deltakit_cli.main import cli


def run(capsys, *args):
    code = guarded(cli, ["compress", *map(str, args)])
    return code, *capsys.readouterr()


def test_auto_says_what_it_chose_and_what_to_expect(tiny_base, tiny_grown, tmp_path, capsys):
    argv = (tiny_base, tiny_grown, "--codec", "auto", "--ratio", "8", "-o", tmp_path / "a")
    code, stdout, _ = run(capsys, *argv, "--dry-run", "--format", "json")
    plan = json.loads(stdout)
    assert code == 0
    coded = {row["name"] for row in plan["rows"] if row["action"] in ("codec", "kept")}
    assert set(plan["forecast"]["tensors"]) == coded
    assert all("(" in row["codec"] for row in plan["rows"] if row["action"] == "codec")
    code, stdout, _ = run(capsys, *argv, "--dry-run", "--format", "human")
    assert "error to expect" in stdout
    assert "lm_head.weight" in stdout
    assert not (tmp_path / "a").exists()
    code, stdout, _ = run(capsys, *argv, "--format", "json")
    made = json.loads(stdout)
    assert code == 0
    assert made["forecast"] == plan["forecast"]
    assert made["relative_error"] == pytest.approx(made["forecast"]["relative_error"], rel=0.25)
    assert made["bytes"] == (tmp_path / "a").stat().st_size
    assert sum(row["matrices"] for row in made["forecast"]["codecs"]) == made["matrices"]


def test_codecs_by_pattern(tiny_base, tiny_grown, tmp_path, capsys):
    argv = (tiny_base, tiny_grown, "-o", tmp_path / "a", "--format", "json")
    code, stdout, _ = run(capsys, *argv, "--codec", "svd_mixed", "--codec", "*embed_tokens*=sign", "--bytes", 14000)
    made = json.loads(stdout)
    assert code == 0
    assert made["kinds"]["model.embed_tokens.weight"].startswith("sign")
    assert made["kinds"]["lm_head.weight"].startswith("lowrank")
    assert 13_000 < made["bytes"] <= 14_000
    code, _, err = run(capsys, *argv, "--codec", "*embd_tokens*=sign", "--ratio", 8, "--overwrite")
    assert code == 2
    assert "did you mean '*embed_tokens*'" in err


def test_a_curve_is_a_folder_with_a_page(tiny_base, tiny_grown, tmp_path, capsys):
    out = tmp_path / "c"
    argv = (tiny_base, tiny_grown, "--curve", "16,8", "-o", out)
    code, stdout, _ = run(capsys, *argv, "--dry-run", "--format", "json")
    assert code == 0
    assert [plan["ratio"] for plan in json.loads(stdout)["archives"]] == [8, 16]
    assert not out.exists()
    code, stdout, _ = run(capsys, *argv, "--format", "human")
    assert code == 0
    assert "Error against bytes" in stdout
    assert "wrote" in stdout
    assert {p.name for p in out.iterdir()} == {
        "curve.html", "curve.json", "curve.md", "deltakit.json", "error-bytes.png", "error-bytes.svg",
        "ratio-16.archive", "ratio-8.archive",
    }  # fmt: skip
    points = json.loads((out / "curve.json").read_text())["points"]
    assert [p["nbytes"] for p in points] == [(out / f"ratio-{r}.archive").stat().st_size for r in (8, 16)]
    assert "error-bytes.svg" in (out / "curve.md").read_text()
    assert (out / "error-bytes.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--tasks", "toy_math", "--ratio", "8"], "--tasks and what belongs to them are for a curve"),
        (["--curve", "8,16", "--ratio", "8"], "--curve is a size by itself"),
        (["--curve", "8,eight"], "holds no ratios"),
        (["--curve", "8", "--tasks", "no_such_task"], "no_such_task"),
    ],
)
def test_curves_that_make_no_sense(tiny_base, tiny_grown, tmp_path, capsys, options, said):
    code, _, err = run(capsys, tiny_base, tiny_grown, *options, "-o", tmp_path / "c")
    assert code == 2
    assert said in err
    assert not (tmp_path / "c").exists()


def test_accuracy_stands_beside_the_error(tiny_base, tiny_grown, tmp_path, capsys):
    out = tmp_path / "c"
    given = (
        "--curve",
        "8,16",
        "--tasks",
        "toy_math",
        "--limit",
        "2",
        "--max-new-tokens",
        "4",
        "--codec",
        "*embed_tokens*=sign",
    )
    code, stdout, err = run(capsys, tiny_base, tiny_grown, *given, "-o", out, "--format", "json")
    assert code == 0, err
    found = json.loads(stdout)
    assert [s["title"] for s in found["sections"]] == ["Error against bytes", "Accuracy against bytes: toy_math"]
    names = [row[0] for row in found["sections"][1]["rows"]]
    assert names[:2] == ["base", "fine-tune"]
    assert len(names) == 4
    results = (out / "results.json").read_text()
    assert "partial" not in results
    assert "ratio-8.archive" in results
    assert (out / "bytes-toy_math.png").exists()
