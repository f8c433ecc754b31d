"""deltakit ls."""

from deltakit.compress.codec import CODECS
from deltakit.compress.plan.choice import CHOOSERS
from support.cli import call


def test_all_and_one():
    assert "task_arithmetic" in call("ls").out
    names = [m["name"] for m in call("ls", "codecs", "--format", "json").json["codecs"]]
    assert names == sorted({*CODECS.names(), *CHOOSERS.names()})
    assert call("ls", "nonsense").code == 2
