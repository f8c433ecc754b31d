"""The translation to vLLM's arguments and back. vLLM cannot be installed where these tests run: a stand-in has the
names, types and defaults of its documentation, refuses all others, and answers with transformers."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, fields
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch

from deltakit.errors import InputError, RecipeError, ResourceError
from deltakit.generate.engine import Engine
from deltakit.generate.request import Request
from deltakit.generate.vllm import Vllm, serve_vllm
from support.running import running, write_folder

TEXTS = ["Question: one", "two apples and three pears", "x", "How many does Tom have?"]


@dataclass
class SamplingParams:
    """The fields that the documentation lists and that can matter here, with their types and defaults."""

    n: int = 1
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    repetition_penalty: float = 1.0
    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    min_p: float = 0.0
    seed: int | None = None
    stop: str | list[str] | None = None
    stop_token_ids: list[int] | None = None
    ignore_eos: bool = False
    max_tokens: int | None = 16
    min_tokens: int = 0
    logprobs: int | None = None
    prompt_logprobs: int | None = None
    detokenize: bool = True
    skip_special_tokens: bool = True
    spaces_between_special_tokens: bool = True
    include_stop_str_in_output: bool = False

    def __post_init__(self) -> None:
        kinds = {"int": int, "float": float, "bool": bool, "int | None": int, "list[int] | None": list}
        for field in fields(self):
            value, kind = getattr(self, field.name), kinds.get(str(field.type), object)
            assert value is None or type(value) is kind or kind is object, f"{field.name}: {value!r}"
        assert 0 < self.top_p <= 1
        assert self.top_k >= -1
        assert self.stop is None or all(self.stop)


@dataclass
class LoRARequest:
    lora_name: str
    lora_int_id: int
    lora_path: str = ""


class LLM:
    """Greedy answers by transformers, with vLLM's outputs; `made` and `asked` keep what it was given."""

    made: dict[str, Any]

    def __init__(
        self, model: str, *, dtype: str = "auto", trust_remote_code: bool = False, generation_config: str = "auto",
        seed: int = 0, gpu_memory_utilization: float = 0.9, tensor_parallel_size: int = 1,
        enable_prefix_caching: bool | None = None, max_model_len: int | None = None, enable_lora: bool = False,
        max_loras: int = 1, max_lora_rank: int = 16,
    ) -> None:  # fmt: skip
        self.made = {k: v for k, v in locals().items() if k != "self"}
        assert max_lora_rank in (1, 8, 16, 32, 64, 128, 256, 320, 512)
        assert (Path(model) / "config.json").is_file()
        self.model, self.tokenizer = running()
        self.asked: list[tuple[Any, Any, Any]] = []

    def generate(
        self, prompts: Any, sampling_params: Any = None, *, use_tqdm: bool = True, lora_request: Any = None
    ) -> list[Any]:
        assert len(prompts) == len(sampling_params)
        assert not use_tqdm
        self.asked += [(p, s, lora_request) for p, s in zip(prompts, sampling_params, strict=True)]
        return [self._one(**prompt, given=given) for prompt, given in zip(prompts, sampling_params, strict=True)]

    @torch.inference_mode()
    def _one(self, prompt_token_ids: list[int], given: SamplingParams) -> Any:
        ids, text, reason, by = list(prompt_token_ids), "", "length", None
        known = torch.log_softmax(self.model(torch.tensor([ids])).logits[0], -1)
        at = [None] + [self._logprobs(row, token) for row, token in zip(known, ids[1:], strict=False)]
        for _ in range(given.max_tokens or 0):
            ids.append(int(self.model(torch.tensor([ids])).logits[0, -1].argmax()))
            text = self.tokenizer.decode(ids[len(prompt_token_ids) :], skip_special_tokens=True)
            hit = next((s for s in given.stop or () if s in text), None)
            if ids[-1] in (given.stop_token_ids or ()) or hit:
                reason, by = "stop", hit or ids[-1]
                break
        answer = ids[len(prompt_token_ids) :]
        output = SimpleNamespace(token_ids=tuple(answer), text=text, finish_reason=reason, stop_reason=by)
        return SimpleNamespace(outputs=[output], prompt_logprobs=at if given.prompt_logprobs else None)

    @staticmethod
    def _logprobs(row: torch.Tensor, token: int) -> dict[int, Any]:
        return {i: SimpleNamespace(logprob=float(row[i]), rank=1, decoded_token="") for i in {token, int(row.argmax())}}


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """vllm, vllm.lora and vllm.lora.request, as far as they are used."""
    names: dict[str, dict[str, Any]] = {
        "vllm": {"LLM": LLM, "SamplingParams": SamplingParams}, "vllm.lora": {},
        "vllm.lora.request": {"LoRARequest": LoRARequest},
    }  # fmt: skip
    for name, held in names.items():
        module = ModuleType(name)
        module.__dict__.update(held)
        monkeypatch.setitem(sys.modules, name, module)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(tmp_path_factory.mktemp("vllm") / "model")


@pytest.fixture
def served(installed: None, folder: Path) -> Vllm:
    return serve_vllm(str(folder))


def ask(backend: Vllm, **given: Any) -> list[Request]:
    tokenizer = backend.tokenizer_of()
    return [Request(tuple(tokenizer(text)["input_ids"]), **{"max_new_tokens": 6, **given}) for text in TEXTS]


def test_answers_are_those_of_the_engine(served: Vllm) -> None:
    engine = Engine(*running(), served.eos)
    asked = ask(served)
    free = engine.generate(asked)
    asked += ask(served, stop=(free[0].text[2:4], "</s>"))
    told: dict[int, Any] = {}
    found = served.generate(asked, told.__setitem__)
    assert found == engine.generate(asked)
    assert [told[i] for i in range(len(asked))] == found
    assert {c.reason for c in found} == {"length", "stop"}
    by_eos = Vllm(served.llm, served.tokenizer, frozenset({free[1].tokens[2]}), served.context)
    assert by_eos.generate(ask(served)) == Engine(*running(), by_eos.eos).generate(ask(served))
    assert by_eos.generate(ask(served))[1].reason == "eos"


def test_every_request_has_its_own_full_settings(served: Vllm) -> None:
    one = Request((5, 6), 7, stop=("\n\n", "</s>"), temperature=0.7, top_p=0.9, top_k=40, seed=11)
    served.generate([one, Request((7,), 3)])
    (prompt, given, lora), (_, greedy, _) = served.llm.asked
    assert (prompt, lora) == ({"prompt_token_ids": [5, 6]}, None)
    assert (given.temperature, given.top_p, given.top_k, given.seed) == (0.7, 0.9, 40, 11)
    assert (given.max_tokens, given.stop, given.stop_token_ids) == (7, ["\n\n"], [2])
    assert (greedy.temperature, greedy.seed, greedy.max_tokens, greedy.stop) == (0.0, None, 3, [])
    for plain in (given, greedy):
        assert (plain.repetition_penalty, plain.presence_penalty, plain.frequency_penalty, plain.min_p) == (1, 0, 0, 0)
        assert plain.n == 1


def test_the_models_own_settings_are_not_taken(served: Vllm, folder: Path) -> None:
    assert served.llm.made["generation_config"] == "vllm"
    assert served.llm.made["trust_remote_code"] is False
    assert served.llm.made["model"] == str(folder)
    assert served.context == 768
    assert serve_vllm(str(folder), max_model_len=64, dtype="bfloat16").llm.made["max_model_len"] == 64


def test_scores_are_those_of_the_engine(served: Vllm) -> None:
    engine = Engine(*running(), served.eos)
    start = ask(served)[0].prompt
    best = engine.generate(ask(served)[:1])[0].tokens
    pairs = [(start, best[:3]), (start, (9,)), ((5,), (7, 8, 9))]
    found = served.score(pairs)
    for (value, greedy), (right, same) in zip(found, engine.score(pairs), strict=True):
        assert value == pytest.approx(right, abs=1e-4)
        assert greedy == same
    assert (found[0][1], found[2][1]) == (True, False)
    assert all(given.prompt_logprobs == 1 and given.max_tokens == 1 for _, given, _ in served.llm.asked)


def test_calls_are_cut_so_that_what_is_done_is_kept(served: Vllm, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deltakit.generate.vllm._CALL", 2)
    told: list[int] = []
    whole = served.generate(ask(served), lambda i, found: told.append(i))
    assert told == [0, 1, 2, 3]
    monkeypatch.undo()
    assert Engine(*running(), served.eos).generate(ask(served)) == whole


def adapter(folder: Path, **more: Any) -> Path:
    from safetensors.torch import save_file

    folder.mkdir()
    (folder / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA", "r": 4, "lora_alpha": 8, **more}))
    save_file({"base_model.model.x.lora_A.weight": torch.zeros(4, 4)}, folder / "adapter_model.safetensors")
    return folder


def test_a_lora_folder_is_served_by_vllm(installed: None, folder: Path, tmp_path: Path) -> None:
    lora = adapter(tmp_path / "math", rank_pattern={"q_proj": 20})
    backend = serve_vllm(f"{folder} + {lora}")
    assert backend.llm.made["enable_lora"]
    assert backend.llm.made["max_lora_rank"] == 32
    backend.generate(ask(backend))
    assert backend.llm.asked[0][2] == LoRARequest("math", 1, str(lora))
    with pytest.raises(InputError, match="rank 513"):
        serve_vllm(f"{folder} + {adapter(tmp_path / 'wide', r=513)}")


@pytest.mark.parametrize("source", ["{m} + 0.5*{a}", "{m} + {a} + {a}", "{m} + {m}", "{a}", "merge.yaml"])
def test_other_models_are_refused_with_a_way_out(installed: None, folder: Path, tmp_path: Path, source: str) -> None:
    with pytest.raises(RecipeError, match="checkpoint, or BASE") as told:
        serve_vllm(source.format(m=folder, a=adapter(tmp_path / "a")))
    assert "deltakit apply" in told.value.remedy


def test_what_it_cannot_serve_is_said(served: Vllm) -> None:
    with pytest.raises(InputError, match="tenants were named: math"):
        served.generate(ask(served, tenant="math"))
    with pytest.raises(InputError, match="tenants were named"):
        served.tokenizer_of("math")
    with pytest.raises(InputError, match="context is 768"):
        served.generate(ask(served, max_new_tokens=768))
    with pytest.raises(InputError, match="one more token"):
        served.score([((1,), (5,) * 767)])
    with pytest.raises(InputError, match="cannot be scored"):
        served.score([((1,), ())])


def test_a_request_that_vllm_gives_up_is_no_answer(served: Vllm, monkeypatch: pytest.MonkeyPatch) -> None:
    lost = SimpleNamespace(outputs=[SimpleNamespace(token_ids=(), text="", finish_reason="abort", stop_reason=None)])
    monkeypatch.setattr(served.llm, "generate", lambda prompts, given, **more: [lost] * len(prompts))
    with pytest.raises(ResourceError, match="'abort'"):
        served.generate(ask(served)[:1])


def test_without_vllm_the_error_says_what_to_do(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "vllm", None)
    with pytest.raises(ResourceError, match="--backend vllm") as told:
        serve_vllm(str(folder))
    assert "pip install vllm" in told.value.remedy
