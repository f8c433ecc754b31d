from hypothesis import given
from hypothesis import strategies as st

from deltakit.generate.continuous import prefix as module
from deltakit.generate.continuous.prefix import Prefix, Sequenced, most_kept, shared_prefixes


def asked(*prompts: list[int], tenant: str | None = None) -> list[Sequenced]:
    return [(tenant, tuple(p), len(p) - 1) for p in prompts]


TEMPLATE = list(range(100, 140))


def test_a_template_is_found_and_each_prompt_keeps_a_token_of_its_own() -> None:
    found = shared_prefixes(asked(*([*TEMPLATE, i] for i in range(5)), [1, 2]))
    assert found[0] is not None
    assert found[0].tokens == tuple(TEMPLATE)
    assert found[:5] == [found[0]] * 5
    assert found[5] is None
    assert found[0].users == 5
    (same,) = {*shared_prefixes(asked(TEMPLATE, TEMPLATE, TEMPLATE))}
    assert same is not None
    assert same.tokens == tuple(TEMPLATE[:-1])


def test_prefixes_stand_on_shorter_ones() -> None:
    shots = [[*TEMPLATE, *range(200, 220)], [*TEMPLATE, *range(300, 320)]]
    found = shared_prefixes(asked(*([*shot, i] for shot in shots for i in range(6)), [*TEMPLATE, 9, 9]))
    first, second, alone = found[0], found[6], found[12]
    assert first is not None
    assert second is not None
    assert alone is first.above is second.above
    assert alone is not None
    assert (alone.start, first.start, len(first.tokens)) == (0, 40, 60)
    assert first.chain() == [alone, first]
    assert alone.users == 3  # a prompt and two prefixes


def test_tenants_share_nothing_and_little_is_not_worth_it() -> None:
    one, two = (asked(*([*TEMPLATE, i] for i in range(3)), tenant=t) for t in ("a", "b"))
    found = shared_prefixes([*one, *two])
    assert found[0] is not found[3]
    assert found[0] is not None
    assert (found[0].tenant, found[0].users) == ("a", 3)
    assert shared_prefixes(asked([*TEMPLATE, 1], [*TEMPLATE, 2])) == [None, None]  # 40 tokens saved
    assert shared_prefixes(asked(*([7] * 10 + [i] for i in range(50)))) == [None] * 50  # short


def test_what_is_kept_at_most_depends_on_how_many_are_computed_at_once() -> None:
    one, two = Prefix(None, (1,) * 30, None), Prefix(None, (2,) * 20, None)
    deep = Prefix(None, (1,) * 45, one)
    order = [one, None, deep, two, two, None]
    assert [most_kept(order, n) for n in (1, 2, 6)] == [45, 65, 65]
    assert most_kept([two, two, None, one, one], 1) == 30
    assert most_kept([], 3) == most_kept([None], 1) == 0


def test_the_last_user_drops_what_is_kept() -> None:
    above = Prefix(None, (1,) * 20, None, users=2, span=[])
    below = Prefix(None, (1,) * 40, above, users=2, span=[])
    below.leave()
    assert below.span == []
    below.leave()
    assert below.span is None
    assert above.span == []
    above.leave()
    assert above.span is None


def test_a_talk_that_grows_line_by_line_is_a_chain_of_any_length() -> None:
    found = shared_prefixes(asked(*(list(range(40 * n)) for n in range(1, 60) for _ in range(3))))
    assert [len(p.chain()) for p in found if p] == sorted([*range(1, 60)] * 3)
    last = None
    for n in range(1, 3000):
        last = Prefix(None, (1,) * n, last, users=1)
    assert last is not None
    chain = last.chain()
    assert [len(p.tokens) for p in chain] == list(range(1, 3000))
    last.leave()
    assert {p.users for p in chain} == {0}


@given(st.lists(st.lists(st.integers(0, 2), min_size=1, max_size=12), max_size=30), st.data())
def test_whatever_the_prompts_a_prefix_is_one(prompts: list[list[int]], data: st.DataObject) -> None:
    caps = [data.draw(st.integers(0, len(p))) for p in prompts]
    module._SHORT, module._WORTH = 1, 2
    try:
        found = shared_prefixes([(None, tuple(p), cap) for p, cap in zip(prompts, caps, strict=True)])
    finally:
        module._SHORT, module._WORTH = 16, 64
    known = {p for f in found if f for p in f.chain()}
    for prompt, cap, prefix in zip(prompts, caps, found, strict=True):
        if prefix:
            assert len(prefix.tokens) <= cap
            assert tuple(prompt[: len(prefix.tokens)]) == prefix.tokens
    for p in known:
        assert p.users == sum(f is p for f in found) + sum(other.above is p for other in known)
        assert p.users > 1
