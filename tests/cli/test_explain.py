"""deltakit explain."""

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
