"""One interrupt stops, two end."""

import os
import signal
import subprocess
import sys
import threading

import pytest

from deltakit_cli.interrupts import heeded


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_is_a_keyboard_interrupt_and_handlers_come_back(number):
    before = signal.getsignal(number)
    with pytest.raises(KeyboardInterrupt), heeded():
        signal.raise_signal(number)
    assert signal.getsignal(number) is before


@pytest.mark.parametrize("second", ["SIGINT", "SIGTERM"])
def test_the_second_ends_the_process_at_once(second):
    script = (
        "import signal\nfrom deltakit_cli.interrupts import heeded\nwith heeded():\n  try:\n"
        "    signal.raise_signal(signal.SIGINT)\n  finally:\n"
        f"    signal.raise_signal(signal.{second})\n    print('more')\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 130
    assert done.stdout == ""
    assert done.stderr == "error: interrupted twice: ended at once; run it again to resume\n"


def test_what_is_ignored_stays_ignored():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with heeded():
            signal.raise_signal(signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_forked_process_dies_of_its_signals():
    with heeded():
        child = os.fork()
        if child == 0:
            signal.raise_signal(signal.SIGTERM)
            os._exit(7)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGTERM


def test_other_threads_change_nothing():
    seen = []

    def work():
        with heeded():
            seen.append(signal.getsignal(signal.SIGTERM))

    before = signal.getsignal(signal.SIGTERM)
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [before]
