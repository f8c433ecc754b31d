import pytest

from deltakit.errors import InputError
from deltakit.generate import Engine, Request
from deltakit.generate.backend import Backend, alone, completion, context_of, fitting, scorable
from deltakit.generate.stops import Stops
from support.running import running


def test_the_engine_is_a_backend() -> None:
    backend: Backend = Engine(*running(), frozenset({2}))
    assert backend.context > 0
    assert backend.eos == {2}
    assert backend.tokenizer_of() is not None


def test_an_answer_is_cut_before_its_end_token_and_its_stop_string() -> None:
    model, tokenizer = running()
    stops = Stops(tokenizer, frozenset({2}))
    ids = tokenizer("Stop here")["input_ids"]
    whole = completion([*ids, 2], "eos", Request((1,), 9), stops)
    assert (whole.text, whole.tokens, whole.reason) == ("Stop here", tuple(ids), "eos")
    cut = completion(ids, "stop", Request((1,), 9, ("here",)), stops)
    assert (cut.text, cut.tokens) == ("Stop ", tuple(ids))
    assert context_of(model.config) == 768


def test_what_no_backend_can_do_is_refused() -> None:
    fitting([768, 3], 768, "prompts")
    fitting([10**9], 0, "prompts")  # unknown
    with pytest.raises(InputError, match="1 of 2 requests do not fit: prompts come to 769"):
        fitting([769, 3], 768, "prompts")
    alone([None], "vllm")
    with pytest.raises(InputError, match="the vllm backend serves one model alone, tenants were named: a, b"):
        alone(["b", None, "a"], "vllm")
    scorable([((1,), (2,))])
    for pair in (((), (2,)), ((1,), ())):
        with pytest.raises(InputError, match="cannot be scored"):
            scorable([((1,), (2,)), pair])
