"""A site is all that a primitive may know besides its data."""

import dataclasses

import pytest

from deltakit.delta.site import Site


def test_a_site_is_a_value():
    site = Site("a.weight", "math", 42, start=10, layer=1, depth=4)
    assert dataclasses.replace(site, start=0) != site
    assert (site.name, site.model, site.seed, site.layer, site.depth) == ("a.weight", "math", 42, 1, 4)
    assert Site("a") == Site("a", "", 0, 0, None, None)
    with pytest.raises(dataclasses.FrozenInstanceError):
        site.seed = 1
