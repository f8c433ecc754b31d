"""deltakit explain."""

import pytest

from deltakit.compress.codec import CODECS
from deltakit.compress.plan.choice import CHOOSERS
from support.cli import call


def test_a_method_with_its_parameters():
    done = call("explain", "dare_ties")
    assert done.code == 0
    assert "density" in done.out
    assert "required" in done.out


def test_an_unknown_name():
    done = call("explain", "svd_mixt")
    assert done.code == 2
    assert "svd_mixed" in done.err


@pytest.mark.parametrize(("registry", "kind"), [(CODECS, "codec"), (CHOOSERS, "chooser")])
def test_every_codec_and_chooser(registry, kind):
    """Also those that share a name with something of another kind."""
    for name in registry.names():
        done = call("explain", name, "--format", "json")
        assert done.code == 0, name
        assert (done.json["name"], done.json["kind"]) == (name, kind)
        assert done.json["text"]
        wanted = list(registry.parameters(name))
        assert [p["name"] for p in done.json["parameters"]] == wanted
