from __future__ import annotations

import os
import struct
import subprocess
import sys

import pytest

from deltakit.sandbox import seccomp

PERMIT, REFUSE, KILL, ENOSYS = 0x7FFF0000, 0x00050001, 0x80000000, 0x00050026


def verdict(code: bytes, number: int, arch: int, argument: int = 0) -> int:
    """Run the filter by hand, as the kernel's specification says."""
    data = struct.pack("=IIQ6Q", number, arch, 0, argument, 0, 0, 0, 0, 0)
    at, accumulator = 0, 0
    while True:
        op, hit, miss, value = struct.unpack_from("=HBBI", code, 8 * at)
        at += 1
        if op == 0x20:
            (accumulator,) = struct.unpack_from("=I", data, value)
        elif op == 0x06:
            return value
        else:
            true = {0x15: accumulator == value, 0x35: accumulator >= value, 0x45: bool(accumulator & value)}[op]
            at += hit if true else miss


@pytest.mark.parametrize(
    ("machine", "column", "arch", "clone", "limit"),
    [("x86_64", 0, 0xC000003E, 56, 302), ("aarch64", 1, 0xC00000B7, 220, 261)],
)
def test_the_filter_says_what_the_table_says(machine, column, arch, clone, limit):
    code = seccomp.program(machine)
    assert code is not None
    denied = {numbers[column] for numbers in seccomp.DENIED.values()}
    for number in range(500):
        expected = REFUSE if number in denied else ENOSYS if number == 435 else PERMIT
        assert verdict(code, number, arch) == expected, number
    assert verdict(code, clone, arch, 0x01200011) == PERMIT  # a plain fork
    assert verdict(code, clone, arch, 0x10000011) == REFUSE  # a user namespace
    assert verdict(code, limit, arch, 1) == REFUSE  # limits of another process, not of pid 0, itself
    assert verdict(code, 0x40000000 + 41, arch) == REFUSE
    assert verdict(code, 0, arch ^ 1) == KILL


def test_a_machine_that_is_not_in_the_table_gets_no_filter():
    assert seccomp.program("vax") is None


def test_the_kernel_takes_it():
    if os.uname().machine not in ("x86_64", "aarch64"):
        pytest.skip("no table for this machine")
    code = (
        f"import sys; sys.path.insert(0, {os.path.dirname(seccomp.__file__)!r}); import seccomp, socket, os\n"
        "if not seccomp.deny_calls(): sys.exit(9)\n"
        "pid = os.fork()\nif pid == 0: os._exit(3)\nassert os.waitpid(pid, 0)[1] == 3 << 8\n"
        "try:\n    socket.socket()\nexcept PermissionError:\n    sys.exit(7)"
    )
    done = subprocess.run([sys.executable, "-I", "-S", "-c", code], check=False)
    if done.returncode == 9:
        pytest.skip("this kernel takes no filter")
    assert done.returncode == 7
