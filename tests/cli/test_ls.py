"""deltakit ls."""

from support.cli import call


def test_all_and_one():
    assert "task_arithmetic" in call("ls").out
    assert [m["name"] for m in call("ls", "codecs", "--format", "json").json["codecs"]] == [
        "lowrank",
        "sign",
        "svd_mixed",
    ]
    assert call("ls", "nonsense").code == 2
