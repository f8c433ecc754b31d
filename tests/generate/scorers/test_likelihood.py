from deltakit.generate.play import Ask, Weigh
from deltakit.generate.request import Completion
from support.modes import scored


def test_nats_are_taken_per_token_and_nothing_said_is_worst() -> None:
    weighed: list[Weigh] = []

    def weigh(effect: Weigh) -> tuple[float, bool]:
        weighed.append(effect)
        return -6.0, False

    found = [Completion("a b c", (1, 2, 3), "eos"), Completion(" ", (4,), "eos"), Completion("a b", (1, 2), "eos")]
    assert scored("likelihood", Ask("Q", 4), found, weigh) == [-2.0, float("-inf"), -3.0]
    assert weighed == [Weigh("Q", "a b c"), Weigh("Q", "a b")]


def test_nothing_but_silence_asks_nothing() -> None:
    assert scored("likelihood", Ask("Q", 4), [Completion("", (), "eos")]) == [float("-inf")]
