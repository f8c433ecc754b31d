from pathlib import Path
from typing import Any

import pytest

from deltakit.delta.open import open_model
from deltakit.errors import RecipeError, ResourceError
from deltakit.generate import Host
from deltakit.generate.request import Request
from deltakit_eval.backends import BACKENDS, PLACES, check_backend, check_place, served
from support.running import write_folder


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(tmp_path_factory.mktemp("models") / "m", 0)


def test_ours_and_transformers_answer_alike(model: Path) -> None:
    host, requests = Host(device="cpu"), [Request((1, 9, 5), 6), Request((1, 7), 4)]
    found = {}
    for name in ("deltakit", "transformers"):
        backend, content = served(open_model(str(model)), host, name)
        found[name] = [c.tokens for c in backend.generate(requests)]
        assert content == host.content
    assert found["deltakit"] == found["transformers"]


def test_vllm_says_how_to_get_it(model: Path) -> None:
    pytest.importorskip("torch")
    try:
        import vllm  # noqa: F401
    except ImportError:
        with pytest.raises(ResourceError, match="vLLM"):
            served(open_model(str(model)), Host(device="cpu"), "vllm")
    else:
        pytest.skip("vLLM is installed here")


@pytest.mark.parametrize(
    ("check", "known", "wrong", "meant"),
    [(check_backend, BACKENDS, "transfomers", "transformers"), (check_place, PLACES, "mixt", "mixed")],
)
def test_a_misspelt_name_is_an_error(check: Any, known: tuple[str, ...], wrong: str, meant: str) -> None:
    with pytest.raises(RecipeError, match=wrong) as raised:
        check(wrong)
    assert meant in str(raised.value.remedy)
    for name in known:
        check(name)
