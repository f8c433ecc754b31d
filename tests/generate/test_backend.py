from deltakit.generate import Engine
from deltakit.generate.backend import Backend
from support.running import running


def test_the_engine_is_a_backend() -> None:
    backend: Backend = Engine(*running(), frozenset({2}))
    assert backend.context > 0
    assert backend.eos == {2}
    assert backend.tokenizer_of() is not None
