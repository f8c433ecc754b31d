from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest

from deltakit.errors import InputError, RecipeError, UnsafeError
from deltakit.generate import Engine
from deltakit.generate.modes import MODES
from deltakit.generate.play import Ask, Play, Run
from deltakit_eval.model import DeltakitLM
from support.running import running


@pytest.fixture(scope="module")
def engine() -> Engine:
    return Engine(*running(), frozenset({2}))


def asked(*args: Any) -> Any:
    return SimpleNamespace(args=args, task_name="arc", doc_id=7)


GREEDY = {"until": ["\n\n"], "do_sample": False, "temperature": 0.0, "max_gen_toks": 6}


def test_texts_are_the_engines_in_order(engine: Engine) -> None:
    lm = DeltakitLM(engine)
    texts = lm.generate_until([asked("Question: one", GREEDY), asked("two", {**GREEDY, "max_gen_toks": 3})])
    assert [len(t) > 0 for t in texts] == [True, True]
    assert texts[1] == lm.generate_until([asked("two", {**GREEDY, "max_gen_toks": 3})])[0]
    assert 0 < lm.endings.tokens <= 6 + 3 + 3
    assert lm.endings.texts == 3


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


def test_prompts_of_two_chat_templates_are_cached_apart(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    lm, names = DeltakitLM(engine), set[str]()
    for template in (None, "{{ messages }}", "{{ messages[0].content }}"):
        monkeypatch.setattr(engine.tokenizer, "chat_template", template)
        names |= {lm.tokenizer_name, lm.tokenizer_name}
    assert len(names) == 3


def test_an_empty_prompt_begins_with_bos(engine: Engine) -> None:
    assert DeltakitLM(engine).encode("") == [1]
    assert len(DeltakitLM(engine).generate_until([asked("", GREEDY)])) == 1


@pytest.mark.parametrize(("given", "says"), [({"dtype": "float32"}, "pretrained"), ({"pretraned": "x"}, "pretraned")])
def test_model_args_are_checked(given: dict[str, str], says: str) -> None:
    with pytest.raises(RecipeError, match=says):
        DeltakitLM.create_from_arg_obj(given)


def test_what_does_not_fit_is_named_before_anything_runs(engine: Engine) -> None:
    done: list[int] = []
    lm = DeltakitLM(engine, done=done.append)
    with pytest.raises(InputError, match=r"arc: item 7: a prompt of \d+ tokens and 6 after it exceed .* 768") as caught:
        lm.generate_until([asked("two", GREEDY), asked("xyz " * 600, GREEDY)])
    assert "prompt style" in caught.value.remedy
    with pytest.raises(InputError, match="arc: item 7: a prompt of 3 tokens and 900 after it") as caught:
        lm.generate_until([asked("two", {**GREEDY, "max_gen_toks": 900})])
    assert "--max-new-tokens" in caught.value.remedy
    with pytest.raises(InputError, match=r"arc: item 7: .*\(2 of 3 items do\)"):
        lm.loglikelihood([asked("xyz " * 600, "a"), asked("a", "b"), asked("a", "xyz " * 600)])
    assert (done, lm.endings.texts) == ([], 0)


def test_a_program_needs_a_sandbox(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    @dataclass(frozen=True)
    class Programs:
        def play(self, ask: Ask) -> Play:
            (outcome,) = yield [Run("print(1)")]
            return str(outcome)

    monkeypatch.setattr(MODES, "_outside", {"programs": "x:Programs"})
    monkeypatch.setattr(MODES, "factory", lambda name: Programs)
    wanted = [asked("two", {**GREEDY, "mode": "programs"})]
    with pytest.raises(UnsafeError, match="arc: item 7: .* no sandbox"):
        DeltakitLM(engine).generate_until(wanted)
    assert DeltakitLM(engine, run=lambda runs: [r.program for r in runs]).generate_until(wanted) == ["print(1)"]


def test_a_whole_merged_token_is_still_scored(engine: Engine) -> None:
    """Where context and continuation melt into one token, lm-eval's own cut leaves nothing to score."""
    (found,) = DeltakitLM(engine).loglikelihood([asked("Que", "stion")])
    assert found[0] < 0


def test_rolling_likelihoods_agree_with_lm_evals_own_backend(engine: Engine) -> None:
    from lm_eval.models.huggingface import HFLM

    theirs = HFLM(pretrained=engine.model, tokenizer=engine.tokenizer, batch_size=1, device="cpu", max_length=768)
    requests = [asked("Question: What is 3 + 4?"), asked("abc " * 500), asked("")]
    expected = theirs.loglikelihood_rolling(requests[:2], disable_tqdm=True)
    found = DeltakitLM(engine).loglikelihood_rolling(requests)
    assert found[:2] == pytest.approx(expected, rel=1e-4)
    assert found[2] == 0.0


def test_a_model_draws_hints_and_choices_in_one_call(engine: Engine) -> None:
    """Modes of different lengths side by side, each as it is alone."""
    modes = ["direct", "hints", "best_of(n=2, by='length')", "best_of(n=2)"]
    wanted = [asked("two apples", {**GREEDY, "mode": mode}) for mode in modes]
    together = DeltakitLM(engine, seed=3).generate_until(wanted)
    # the prompt is the same, so the how-many-th repeat it is differs: alone each stands first
    assert together[:2] == [DeltakitLM(engine, seed=3).generate_until([one])[0] for one in wanted[:2]]
    assert DeltakitLM(engine, seed=3).generate_until(wanted) == together
