from types import SimpleNamespace
from typing import Any

import pytest

from deltakit.errors import RecipeError
from deltakit.generate import Engine
from deltakit_eval.model import DeltakitLM
from support.running import running


@pytest.fixture(scope="module")
def engine() -> Engine:
    return Engine(*running(), frozenset({2}))


def asked(*args: Any) -> Any:
    return SimpleNamespace(args=args)


GREEDY = {"until": ["\n\n"], "do_sample": False, "temperature": 0.0, "max_gen_toks": 6}


def test_texts_are_the_engines_in_order(engine: Engine) -> None:
    lm = DeltakitLM(engine)
    texts = lm.generate_until([asked("Question: one", GREEDY), asked("two", {**GREEDY, "max_gen_toks": 3})])
    assert [len(t) > 0 for t in texts] == [True, True]
    assert texts[1] == lm.generate_until([asked("two", {**GREEDY, "max_gen_toks": 3})])[0]
    assert lm.tokens <= 6 + 3 + 3


def test_settings_of_a_task_become_a_request(engine: Engine) -> None:
    lm = DeltakitLM(engine)
    request = lm._request("two", {**GREEDY, "until": "stop"}, 0)
    assert (request.stop, request.max_new_tokens, request.temperature) == (("stop",), 6, 0.0)
    assert lm._request("two", {}, 0).max_new_tokens == 256
    assert DeltakitLM(engine, max_new_tokens=9)._request("two", GREEDY, 0).max_new_tokens == 9
    drawn = {"do_sample": True, "temperature": 0.7, "top_p": 0.9, "top_k": 5}
    assert lm._request("two", drawn, 0).top_k == 5
    assert lm._request("two", drawn, 0).temperature == 0.7


def test_drawn_repeats_differ_and_are_repeatable(engine: Engine) -> None:
    drawn = {"do_sample": True, "temperature": 1.0, "max_gen_toks": 8}
    lm = DeltakitLM(engine, seed=1)
    texts = lm.generate_until([asked("two", drawn)] * 3)
    assert len(set(texts)) == 3
    assert DeltakitLM(engine, seed=1).generate_until([asked("one", drawn), *[asked("two", drawn)] * 3])[1:] == texts
    assert DeltakitLM(engine, seed=2).generate_until([asked("two", drawn)] * 3) != texts


def test_an_unknown_setting_is_an_error(engine: Engine) -> None:
    with pytest.raises(RecipeError, match="repetition_penalty"):
        DeltakitLM(engine).generate_until([asked("two", {"repetition_penalty": 1.1})])


def test_loglikelihoods_agree_with_lm_evals_own_backend(engine: Engine) -> None:
    from lm_eval.models.huggingface import HFLM

    theirs = HFLM(pretrained=engine.model, tokenizer=engine.tokenizer, batch_size=1, device="cpu")
    requests = [asked("Question: one", " two"), asked("two apples ", "and three"), asked("", "alone")]
    ours = DeltakitLM(engine).loglikelihood(requests, disable_tqdm=True)
    for (mine, greedy), (expected, is_greedy) in zip(
        ours, theirs.loglikelihood(requests, disable_tqdm=True), strict=True
    ):
        assert mine == pytest.approx(expected, abs=1e-3)
        assert greedy == is_greedy


def test_rolling_likelihood_covers_a_text_longer_than_the_context(engine: Engine) -> None:
    lm = DeltakitLM(engine)
    short, long = lm.loglikelihood_rolling([asked("two apples"), asked("xyz " * 600)])
    (whole, _), *_ = lm.loglikelihood([asked("", "two apples")], disable_tqdm=True)
    assert short == pytest.approx(whole, abs=1e-4)
    assert long < short < 0


def test_bos_in_the_text_is_not_doubled(engine: Engine) -> None:
    lm = DeltakitLM(engine)
    assert lm.tok_encode("<s>two")[0] == 1
    assert lm.tok_encode("<s>two")[1:] == lm.tok_encode("two")
    assert (lm.prefix_token_id, lm.eot_token_id, lm.max_length) == (1, 2, 768)


def test_an_empty_prompt_begins_with_bos(engine: Engine) -> None:
    assert DeltakitLM(engine)._request("", GREEDY, 0).prompt == (1,)


@pytest.mark.parametrize(("given", "says"), [({"dtype": "float32"}, "pretrained"), ({"pretraned": "x"}, "pretraned")])
def test_model_args_are_checked(given: dict[str, str], says: str) -> None:
    with pytest.raises(RecipeError, match=says):
        DeltakitLM.create_from_arg_obj(given)
