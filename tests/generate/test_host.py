from dataclasses import dataclass
from typing import Any

import pytest
import torch

from deltakit.checkpoint import Sidecar
from deltakit.errors import RecipeError, ResourceError
from deltakit.generate import Host, Request
from deltakit.generate.host import pick_device
from support.running import sidecar, state, tensor_map


@dataclass(frozen=True)
class Opened:
    tensors: Any
    sidecar: Sidecar


def opened(seed: int, dtype: torch.dtype = torch.float32, **changes: Any) -> Opened:
    tensors = {n: t.to(dtype) for n, t in state(seed, **changes).items()}
    return Opened(tensor_map(tensors), sidecar(**changes))


def answer(host: Host, model: Opened) -> tuple[int, ...]:
    return host.serve(model).generate([Request((1, 5, 9, 30), 12)])[0].tokens


def test_a_model_of_the_same_shape_is_written_over_and_answers_as_if_alone() -> None:
    host = Host()
    answers = []
    for seed in (0, 1, 2, 0):
        answers.append(answer(host, opened(seed)))
        assert host.swapped == (len(answers) > 1)
    assert answers == [answer(Host(), opened(seed)) for seed in (0, 1, 2, 0)]
    assert len(set(answers)) == 3


def test_content_is_of_the_bytes_served() -> None:
    host = Host()
    seen = []
    for seed in (0, 1, 0):
        host.serve(opened(seed))
        seen.append(host.content)
    assert seen[0] == seen[2] != seen[1]


@pytest.mark.parametrize("changes", [{"tie_word_embeddings": False}, {"rms_norm_eps": 1e-2}, {"intermediate_size": 64}])
def test_another_shape_or_config_is_built_anew(changes: dict[str, Any]) -> None:
    host = Host()
    host.serve(opened(0))
    assert answer(host, opened(1, **changes)) == answer(Host(), opened(1, **changes))
    assert not host.swapped


def test_cosmetic_keys_do_not_stand_in_the_way() -> None:
    host = Host()
    host.serve(opened(0))
    host.serve(opened(1, transformers_version="4.0.0", torch_dtype="bfloat16"))
    assert host.swapped


def test_the_end_token_is_each_models_own() -> None:
    host = Host()
    assert host.serve(opened(0)).eos == {2}
    assert host.serve(opened(1, eos_token_id=[2, 7])).eos == {2, 7}


def test_on_the_cpu_weights_are_computed_in_float32_unless_named() -> None:
    assert Host(device="cpu").serve(opened(0, torch.bfloat16)).model.dtype == torch.float32
    host = Host(device="cpu", dtype="bf16")
    assert host.serve(opened(0)).model.dtype == torch.bfloat16
    assert host.dtype == "bfloat16"


def test_one_tokenizer_serves_as_long_as_its_files_are_the_same() -> None:
    host = Host()
    first = host.serve(opened(0)).tokenizer
    assert host.serve(opened(1)).tokenizer is first
    grown = opened(2)
    files = {**grown.sidecar.files, "chat_template.jinja": b"hi"}
    assert host.serve(Opened(grown.tensors, Sidecar(files))).tokenizer.chat_template == "hi"


def test_limits_reach_the_engine() -> None:
    engine = Host(batch_tokens=77, max_rows=3).serve(opened(0))
    assert (engine.batch_tokens, engine.max_rows) == (77, 3)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device here")
def test_a_device_that_is_not_there_is_an_error() -> None:
    assert pick_device() == "cpu"
    with pytest.raises(ResourceError, match="no CUDA device"):
        Host(device="cuda:0")


def test_a_device_that_torch_does_not_know_is_a_slip() -> None:
    with pytest.raises(RecipeError, match="unknown device 'gpu'"):
        Host(device="gpu")


@pytest.mark.cuda
def test_cuda_answers_as_the_cpu_in_float32() -> None:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    asked = [Request(tuple(range(3, 8 + i)), 16) for i in range(20)]
    found = [Host(device=d, dtype="float32").serve(opened(0)).generate(asked) for d in ("cpu", "cuda")]
    assert found[0] == found[1]
