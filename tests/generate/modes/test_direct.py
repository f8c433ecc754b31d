from deltakit.generate.modes import MODES
from deltakit.generate.play import Ask, perform
from deltakit.generate.request import Completion


def test_one_prompt_one_answer() -> None:
    assert perform([MODES.parse("direct").play(Ask("a", 4))], lambda asked: [Completion("b", (), "eos")]) == ["b"]
