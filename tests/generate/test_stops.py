import random
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deltakit.checkpoint import Sidecar
from deltakit.generate.stops import Stops, cut, eos_ids
from deltakit.runtime import load_tokenizer
from support.running import sidecar


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return load_tokenizer(sidecar())


def watch(tokenizer: Any, text: str, stop: tuple[str, ...], limit: int = 100) -> tuple[str, int]:
    """The reason and the number of tokens read when `text` is given token by token."""
    stops = Stops(tokenizer, frozenset({2}))
    tokens = tokenizer(text)["input_ids"]
    for n in range(1, len(tokens) + 1):
        (reason,) = stops.reasons([tokens[:n]], [stop], [limit])
        if reason:
            return reason, n
    return "", len(tokens)


def test_the_text_is_cut_at_the_earliest_stop() -> None:
    assert cut("a; b\nc", ("\n", ";")) == ("a", True)
    assert cut("a", ("\n",)) == ("a", False)
    assert cut("a", ()) == ("a", False)


@pytest.mark.parametrize(
    ("text", "stop"),
    [("one\n\ntwo", "\n\n"), ("say Question: now", "Question:"), ("x问题：y", "问题："), ("aé!b", "é!")],
)
def test_it_stops_at_the_token_that_completes_the_string(tokenizer: Any, text: str, stop: str) -> None:
    reason, n = watch(tokenizer, text, (stop,))
    ids = tokenizer(text)["input_ids"]
    assert reason == "stop"
    assert stop in tokenizer.decode(ids[:n])
    assert stop not in tokenizer.decode(ids[: n - 1])


@pytest.mark.parametrize("stop", [("e", "ue"), ("n:",), (" ",), ("\n", "é"), ("题",), ("a Q",)])
def test_looking_only_at_tokens_that_can_complete_a_stop_misses_none(tokenizer: Any, stop: tuple[str, ...]) -> None:
    text = "Question: 问题 a Question\n\ncafé — apples and Tom have é"
    ids, draw, hits = tokenizer(text)["input_ids"], random.Random(0), 0
    stops = Stops(tokenizer, frozenset())
    for _ in range(60):
        starts = draw.choices(range(len(ids)), k=8)
        tokens = [token for at in starts for token in ids[at : at + 4]][:24]
        plain = next((n for n in range(1, len(tokens) + 1) if cut(stops.decode([tokens[:n]])[0], stop)[1]), 0)
        quick = next((n for n in range(1, len(tokens) + 1) if stops.reason(tokens[:n], stop, 99)), 0)
        assert quick == plain
        hits += plain > 0
    assert hits


def test_a_stop_far_behind_a_long_answer_is_seen(tokenizer: Any) -> None:
    assert watch(tokenizer, "lorem ipsum " * 30 + "END and more", ("END",), limit=10_000)[0] == "stop"


def test_eos_and_length_end_an_answer(tokenizer: Any) -> None:
    stops = Stops(tokenizer, frozenset({2}))
    rows = [[5, 2], [5, 6], [5, 6, 7]]
    assert stops.reasons(rows, [(), (), ()], [9, 9, 3]) == ["eos", "", "length"]


def test_rows_have_their_own_stop_strings(tokenizer: Any) -> None:
    stops = Stops(tokenizer, frozenset({2}))
    row = tokenizer("a;")["input_ids"]
    assert stops.reasons([row, row], [(";",), ("!",)], [9, 9]) == ["stop", ""]


def test_a_special_token_as_stop_string_is_watched_as_an_id(tokenizer: Any) -> None:
    stops = Stops(tokenizer, frozenset())
    assert stops.reasons([[5, 2], [5, 2]], [("</s>",), ()], [9, 9]) == ["stop", ""]


def test_a_slow_tokenizer_decodes_one_by_one() -> None:
    class Slow:
        is_fast = False
        all_special_tokens: tuple[str, ...] = ()

        def decode(self, row: list[int], **settings: Any) -> str:
            assert settings == {"skip_special_tokens": True, "clean_up_tokenization_spaces": False}
            return "".join(map(chr, row))

    assert Stops(Slow(), frozenset()).decode([[97, 98], [99]]) == ["ab", "c"]


def test_eos_ids_of_tokenizer_and_both_configs_are_joined() -> None:
    tokenizer = SimpleNamespace(eos_token_id=2)
    files = {"config.json": b'{"eos_token_id": 7}', "generation_config.json": b'{"eos_token_id": [7, 9]}'}
    assert eos_ids(tokenizer, Sidecar(files)) == {2, 7, 9}
    assert eos_ids(SimpleNamespace(eos_token_id=None), Sidecar({"config.json": b'{"eos_token_id": null}'})) == set()


PIECES = [
    "\u2581",
    "a",
    "b",
    "\u00e9",
    "ab",
    "\u2581a",
    "\n",
    "ba",
    "##",
    "\u2581Q",
    "Q:",
    "\u65e5",
    "a\nb",
    "\u2581\u2581",
]
STRINGS = ["a", "ab", " a", "\u00e9", "\n\n", "\u65e5", "\u00e9\u65e5", "\nQ:", " ", "##", "b a", "  ", "</s>"]


@pytest.fixture(scope="module")
def pieces() -> Any:
    """A tokenizer as Llama's: marks for spaces, of which a text loses the first, and bytes where a piece is missing."""
    from tokenizers import Tokenizer, decoders, models
    from transformers import PreTrainedTokenizerFast

    known = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), *PIECES]
    made = Tokenizer(models.BPE({piece: i for i, piece in enumerate(known)}, [], byte_fallback=True, unk_token="<unk>"))
    made.decoder = decoders.Sequence(
        [decoders.Replace("\u2581", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    made.add_special_tokens(known[:3])
    return PreTrainedTokenizerFast(tokenizer_object=made, unk_token="<unk>", bos_token="<s>", eos_token="</s>")


@settings(max_examples=300, derandomize=True, deadline=None)
@given(
    st.lists(
        st.integers(0, 2) | st.sampled_from([3 + b for b in "\u00e9\n\u65e5 aQ:#".encode()]) | st.integers(259, 272)
    ),
    st.lists(st.sampled_from(STRINGS), min_size=1, max_size=3),
)
def test_a_stop_string_is_found_where_the_whole_text_first_holds_it(
    pieces: Any, tokens: list[int], stop: list[str]
) -> None:
    stops = Stops(pieces, frozenset())
    for n in range(1, len(tokens) + 1):
        text = pieces.decode(tokens[:n], skip_special_tokens=True, clean_up_tokenization_spaces=False)
        there = any(s in text for s in stop) or ("</s>" in stop and tokens[n - 1] == 2)
        assert stops.reason(tokens[:n], stop, 100) == ("stop" if there else "")
        if there:
            break
