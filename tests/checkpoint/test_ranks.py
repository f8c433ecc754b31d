"""Shares cover everything once and are even; a place among processes is read strictly."""

from __future__ import annotations

import subprocess
import sys

import pytest

from deltakit.checkpoint.ranks import ALONE, Ranks, ranks
from deltakit.errors import RecipeError


@pytest.mark.parametrize("world", [1, 2, 3, 8])
def test_shares_cover_everything_once_in_order(world: int) -> None:
    names = [f"t{i:02}" for i in range(29)]
    sizes = {n: (i * 37) % 11 for i, n in enumerate(names)}
    shares = [Ranks(r, world).share(names, sizes) for r in range(world)]
    assert [n for share in shares for n in share] == names


def test_shares_are_even_in_bytes() -> None:
    names = [str(i) for i in range(100)]
    sizes = {n: 10 for n in names}
    assert [len(Ranks(r, 4).share(names, sizes)) for r in range(4)] == [25, 25, 25, 25]


def test_empty_tensors_are_shared_too() -> None:
    assert Ranks(0, 2).share(["a", "b"], {"a": 0, "b": 0}) == ("a", "b")


def test_alone_unless_a_launcher_says_otherwise() -> None:
    assert ranks({}) == ALONE
    assert ALONE.leads
    found = ranks({"RANK": "1", "WORLD_SIZE": "4"})
    assert (found.rank, found.world, found.leads) == (1, 4, False)


@pytest.mark.parametrize(("rank", "world"), [("4", "4"), ("-1", "2"), ("x", "2"), ("0", "zero"), ("0", "0")])
def test_nonsense_is_refused(rank: str, world: str) -> None:
    with pytest.raises(RecipeError, match="no place among processes"):
        ranks({"RANK": rank, "WORLD_SIZE": world})


def test_alone_needs_no_torch() -> None:
    code = "import sys, deltakit.checkpoint.ranks as r; r.ranks({}); assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
