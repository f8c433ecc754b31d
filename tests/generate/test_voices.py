"""Rows end by their own tenant's words. Run: pytest tests/generate/test_voices.py"""

from __future__ import annotations

import pytest

from deltakit.errors import InputError
from deltakit.generate.stops import Stops
from deltakit.generate.voices import Voices, voices_of
from support.running import running


def test_every_row_ends_at_its_tenants_own_eos() -> None:
    _, tokenizer = running()
    voices = Voices({None: Stops(tokenizer, frozenset({2})), "a": Stops(tokenizer, frozenset({7}))})
    answers = [[5, 7], [5, 7], [5, 2], [5, 2], [5, 5]]
    names = ["a", None, "a", None, "a"]
    assert voices.reasons(names, answers, [()] * 5, [9, 9, 9, 9, 2]) == ["eos", "", "", "eos", "length"]


def test_one_voice_for_all() -> None:
    _, tokenizer = running()
    stops = Stops(tokenizer, frozenset({2}))
    voices = Voices.of(stops)
    assert voices.stops == {None: stops}
    assert Voices.of(voices) is voices
    with voices.rows([None, None]) as given:
        assert given is None


def test_a_tenant_where_there_are_none_is_an_error() -> None:
    _, tokenizer = running()
    with pytest.raises(InputError, match="no tenant 'math'"):
        voices_of(None, tokenizer, frozenset({2}), [None, "math"])
