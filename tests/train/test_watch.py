"""Between two steps: the flag of the first signal, and who writes."""

import os
import signal
import threading

import pytest

from deltakit.train.watch import interruptible


def test_the_first_signal_sets_the_flag_and_the_second_stops():
    before = signal.getsignal(signal.SIGINT)
    with interruptible(1) as interrupt:
        assert not interrupt.wanted
        os.kill(os.getpid(), signal.SIGTERM)
        assert interrupt.wanted
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before


def test_several_processes_keep_the_usual_effect():
    before = signal.getsignal(signal.SIGINT)
    with interruptible(2):
        assert signal.getsignal(signal.SIGINT) is before


def test_outside_the_main_thread_signals_are_left_alone():
    before, seen = signal.getsignal(signal.SIGINT), []

    def inside():
        with interruptible(1) as interrupt:
            seen.append((signal.getsignal(signal.SIGINT) is before, interrupt.wanted))

    thread = threading.Thread(target=inside)
    thread.start()
    thread.join()
    assert seen == [(True, False)]


def test_checkpoints_are_sealed_and_only_as_many_as_asked_for_stay(small, data, tmp_path):
    from deltakit.train.sft import run_sft
    from deltakit.train.work import work_folder
    from support.training import recipe

    run_sft(recipe(small, data, save={"steps": 1, "keep": 2, "checkpoints": True}), tmp_path / "out")
    kept = sorted(work_folder(tmp_path / "out").glob("checkpoint-*"))
    assert [c.name for c in kept] == ["checkpoint-5", "checkpoint-6"]
    assert all((c / "complete.json").exists() for c in kept)


def test_progress_tells_every_step(small, data, tmp_path):
    from deltakit.train.sft import run_sft
    from support.training import recipe

    class Told:
        def __init__(self):
            self.calls = []

        def start(self, what, total, unit="B"):
            self.calls.append((what, total))

        def advance(self, n, note=""):
            self.calls.append((n, note))

        def stop(self):
            self.calls.append("stop")

    told = Told()
    run_sft(recipe(small, data), tmp_path / "out", progress=told)
    first = told.calls[: told.calls.index("stop")]
    assert first[0] == ("training", 6)
    assert sum(n for n, _ in first[1:]) == 6
    assert first[-1][1].startswith("loss ")
