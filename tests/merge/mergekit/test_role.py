"""Every method that a config can name is known, with what it takes."""

from __future__ import annotations

from deltakit.merge import MERGEKIT
from deltakit.merge.mergekit.role import ROLES


def test_all_of_mergekits_methods_have_a_role():
    names = (
        "arcee_fusion breadcrumbs breadcrumbs_ties dare_linear dare_ties della della_linear karcher linear model_stock "
        "multislerp nearswap nuslerp passthrough ram ramplus_tl sce slerp task_arithmetic ties"
    )
    assert " ".join(sorted(ROLES)) == names


def test_every_registered_method_has_one_and_takes_its_own_parameters():
    for name in MERGEKIT.names():
        taken = {*MERGEKIT.parameters(name), "weight"}
        assert set(ROLES[name].own) <= taken, name


def test_counts_are_possible():
    assert all(1 <= r.least <= (r.most or r.least) for r in ROLES.values())
