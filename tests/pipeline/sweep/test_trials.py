"""What was asked, in its order."""

from deltakit.pipeline.sweep.candidate import make_candidate
from deltakit.pipeline.sweep.space import make_space
from deltakit.pipeline.sweep.trials import Trials

MERGE = {"base": "b", "models": [{"model": "m"}]}


def test_a_candidate_is_like_the_first_one_of_its_model() -> None:
    space = make_space(MERGE, {"lambda": [1, 0.5], "models.m.weight": [1, 0.5]})
    made = [make_candidate(space, s, f"c{i}") for i, s in enumerate(space.grid())]
    trials = Trials(candidates=made)
    assert [trials.like(c).id for c in made] == ["c0", "c1", "c1", "c3"]
    fresh = make_candidate(make_space(MERGE, {"lambda": [3]}), {"lambda": 3}, "other")
    assert trials.like(fresh) is fresh
