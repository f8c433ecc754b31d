"""vLLM as a backend (optional, installed apart): requests become its arguments, its outputs become completions.

Written to the documented interface of vLLM 0.15 to 0.33 (`LLM`, `SamplingParams`, `LoRARequest`), and tested against a
stand-in with those names; it has not been run with vLLM itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deltakit.checkpoint.hub import hub_id, snapshot
from deltakit.delta.adapter import is_adapter, open_adapter
from deltakit.delta.file.container import is_delta
from deltakit.delta.open import open_model, parse_expression
from deltakit.errors import InputError, RecipeError, ResourceError
from deltakit.generate.backend import Done, Pair, Scored, alone, completion, context_of, fitting, scorable
from deltakit.generate.request import Completion, Request
from deltakit.generate.stops import Stops, eos_ids
from deltakit.runtime import load_tokenizer
from deltakit.runtime.skeleton import model_config

__all__ = ["Vllm", "serve_vllm"]

_CALL = 2048  # requests of one call: an interrupted run keeps the calls before
_RANKS = (8, 16, 32, 64, 128, 256, 320, 512)  # what max_lora_rank may be


@dataclass(frozen=True)
class Vllm:
    """One `vllm.LLM`; `lora` is a `LoRARequest` or None. Texts are decoded, and stop strings cut, by our own code."""

    llm: Any
    tokenizer: Any
    eos: frozenset[int]
    context: int
    lora: Any = None

    def tokenizer_of(self, tenant: str | None = None) -> Any:
        """The model's tokenizer; InputError for a tenant."""
        alone([tenant], "vllm")
        return self.tokenizer

    def generate(self, requests: Sequence[Request], done: Done = lambda i, found: None) -> list[Completion]:
        """Completions in the order of `requests`. A drawn answer is drawn by vLLM from the request's seed: another one
        than `Engine` draws. InputError if prompt and answer exceed the context."""
        alone([r.tenant for r in requests], "vllm")
        fitting([r.length for r in requests], self.context, "prompt and max_new_tokens")
        stops = Stops(self.tokenizer, self.eos)
        out: list[Completion] = []
        for start in range(0, len(requests), _CALL):
            asked = requests[start : start + _CALL]
            given = [self._sampling(**_drawing(r), **self._ending(r)) for r in asked]
            for request, found in zip(asked, self._call([r.prompt for r in asked], given), strict=True):
                out.append(self._completion(found.outputs[0], request, stops))
                done(len(out) - 1, out[-1])
        return out

    def score(
        self, pairs: Sequence[Pair], done: Done = lambda i, found: None, tenants: Sequence[str | None] = ()
    ) -> list[Scored]:
        """(log-likelihood, is greedy) per pair, from the log-probabilities that vLLM gives of prompt tokens. vLLM wants
        room for one more token, so that a pair that fills the whole context is refused (InputError)."""
        alone(tenants, "vllm")
        scorable(pairs)
        fitting([len(a) + len(b) + 1 for a, b in pairs], self.context, "context, continuation and one more token")
        given = self._sampling(temperature=0.0, max_tokens=1, prompt_logprobs=1, detokenize=False)
        out: list[Scored] = []
        for start in range(0, len(pairs), _CALL):
            asked = [
                ((*context, *continuation), len(context)) for context, continuation in pairs[start : start + _CALL]
            ]
            for (ids, at), found in zip(
                asked, self._call([ids for ids, _ in asked], [given] * len(asked)), strict=True
            ):
                out.append(_scored(ids, at, found.prompt_logprobs))
                done(len(out) - 1, out[-1])
        return out

    def _call(self, prompts: Sequence[Sequence[int]], given: list[Any]) -> list[Any]:
        """vLLM's outputs, in the order of the prompts."""
        asked = [{"prompt_token_ids": list(ids)} for ids in prompts]
        found: list[Any] = self.llm.generate(asked, given, use_tqdm=False, lora_request=self.lora)
        return found

    def _sampling(self, **given: Any) -> Any:
        """SamplingParams with every field named that could otherwise come from elsewhere."""
        from vllm import SamplingParams

        plain = {
            "n": 1, "top_p": 1.0, "top_k": 0, "min_p": 0.0, "presence_penalty": 0.0, "frequency_penalty": 0.0,
            "repetition_penalty": 1.0, "min_tokens": 0, "ignore_eos": False, "skip_special_tokens": True,
        }  # fmt: skip
        return SamplingParams(**{**plain, **given})

    def _ending(self, request: Request) -> dict[str, Any]:
        """Where an answer ends; a stop string that is itself one special token is watched as an id, for texts hold no
        special tokens."""
        special = {str(t): int(self.tokenizer.convert_tokens_to_ids(t)) for t in self.tokenizer.all_special_tokens}
        ids = self.eos | {special[s] for s in request.stop if s in special}
        strings = [s for s in request.stop if s not in special]
        return {"max_tokens": request.max_new_tokens, "stop": strings, "stop_token_ids": sorted(ids)}

    def _completion(self, found: Any, request: Request, stops: Stops) -> Completion:
        tokens = [int(t) for t in found.token_ids]
        if found.finish_reason not in ("stop", "length"):
            raise ResourceError(f"vLLM ended a request with {found.finish_reason!r}", remedy="see its log")
        by_eos = found.finish_reason == "stop" and tokens and tokens[-1] in self.eos
        return completion(tokens, "eos" if by_eos else found.finish_reason, request, stops)


def serve_vllm(
    source: str, *, dtype: str = "auto", max_model_len: int | None = None, gpu_memory_utilization: float = 0.9,
    tensor_parallel_size: int = 1, seed: int = 0,
) -> Vllm:  # fmt: skip
    """vLLM over a MODEL string: a folder or hub id, or "BASE + ADAPTER" with a PEFT LoRA folder.

    The model's own generation_config decides nothing but end tokens. Raises ResourceError where vLLM is not installed,
    RecipeError for other expressions, InputError for what cannot be opened.
    """
    base, adapter = _parts(source)
    vllm = _imported()
    sidecar = open_model(base).sidecar
    tokenizer = load_tokenizer(sidecar)
    context = max_model_len or context_of(model_config(sidecar))
    more: dict[str, Any] = {"max_model_len": max_model_len} if max_model_len else {}
    lora = None
    if adapter:
        from vllm.lora.request import LoRARequest

        more |= {"enable_lora": True, "max_loras": 1, "max_lora_rank": _rank(adapter)}
        lora = LoRARequest(adapter.name, 1, str(adapter))
    llm = vllm.LLM(
        model=_folder(base), dtype=dtype, trust_remote_code=False, generation_config="vllm", seed=seed,
        gpu_memory_utilization=gpu_memory_utilization, tensor_parallel_size=tensor_parallel_size,
        enable_prefix_caching=True, **more,
    )  # fmt: skip
    return Vllm(llm, tokenizer, eos_ids(tokenizer, sidecar), context, lora)


def _imported() -> Any:
    try:
        import vllm
    except ImportError as error:
        raise ResourceError(
            f"--backend vllm: vLLM cannot be imported ({error})",
            remedy="install it in an environment of its own (pip install vllm; it pins its torch), or use the default",
        ) from error
    return vllm


def _parts(source: str) -> tuple[str, Path | None]:
    """The base and the LoRA folder, or None, of a MODEL string."""
    base, operands = parse_expression(source)
    adapters = [Path(o.name) for o in operands if o.coef == 1.0 and is_adapter(Path(o.name))]
    virtual = is_delta(Path(base)) or is_adapter(Path(base)) or base.endswith((".yaml", ".yml"))
    if virtual or len(operands) > 1 or len(adapters) != len(operands):
        raise RecipeError(
            f"{source!r}: the vllm backend takes a checkpoint, or BASE + ADAPTER with one LoRA folder at weight 1",
            remedy="write the model first: deltakit apply BASE DELTA -o MODEL; or use the default backend",
        )
    return base, adapters[0] if adapters else None


def _folder(base: str) -> str:
    """The local folder of a checkpoint: vLLM fetches nothing itself."""
    found = hub_id(base)
    folder = snapshot(*found) if found else Path(base)
    if not folder.is_dir():
        raise InputError(f"{base}: vLLM reads folders with a config.json", remedy="name the folder of the weights")
    return str(folder)


def _rank(adapter: Path) -> int:
    """The smallest rank that vLLM may be told and that holds the adapter's largest."""
    config = open_adapter(adapter).config
    rank = max([int(config["r"]), *map(int, (config.get("rank_pattern") or {}).values())])
    if rank > _RANKS[-1]:
        raise InputError(f"{adapter}: rank {rank}, vLLM takes at most {_RANKS[-1]}", remedy="use the default backend")
    return next(known for known in _RANKS if known >= rank)


def _drawing(request: Request) -> dict[str, Any]:
    """How the next token is chosen."""
    if request.temperature == 0.0:
        return {"temperature": 0.0}
    return {
        "temperature": request.temperature, "top_p": request.top_p, "top_k": request.top_k, "seed": request.seed,
    }  # fmt: skip


def _scored(ids: Sequence[int], at: int, known: Sequence[Any]) -> Scored:
    """Of the tokens from `at` on: the sum of their log-probabilities, and whether each is the likeliest. `known[i]`
    maps token ids to what vLLM says of position i: the prompt's own token, and the likeliest."""
    total, greedy = 0.0, True
    for i in range(at, len(ids)):
        own = float(known[i][ids[i]].logprob)
        total += own
        greedy &= own >= max(float(other.logprob) for other in known[i].values())
    return total, greedy
