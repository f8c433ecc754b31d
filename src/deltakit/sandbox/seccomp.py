"""System calls that no computation needs are refused by the kernel: sockets, tracing, mounts, namespaces, keys, ...

Stands alone (standard library only): it is also bound into the sandbox, beside the fork server that loads it. The
filter is a deny list, one more wall behind namespaces; classic BPF, see the kernel's seccomp_filter.rst.
"""

from __future__ import annotations

import ctypes
import os
import struct

__all__ = ["DENIED", "deny_calls", "program"]

# name -> (number on x86_64, number on aarch64)
DENIED = {
    "socket": (41, 198), "ptrace": (101, 117), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271),
    "kcmp": (312, 272), "pidfd_getfd": (438, 438), "unshare": (272, 97), "setns": (308, 268), "mount": (165, 40),
    "umount2": (166, 39), "pivot_root": (155, 41), "chroot": (161, 51), "open_tree": (428, 428),
    "move_mount": (429, 429), "fsopen": (430, 430), "fsmount": (432, 432), "mount_setattr": (442, 442),
    "shmget": (29, 194), "msgget": (68, 186), "semget": (64, 190), "mq_open": (240, 180), "add_key": (248, 217),
    "request_key": (249, 218), "keyctl": (250, 219), "bpf": (321, 280), "perf_event_open": (298, 241),
    "userfaultfd": (323, 282), "io_uring_setup": (425, 425), "open_by_handle_at": (304, 265),
    "init_module": (175, 105), "finit_module": (313, 273), "kexec_load": (246, 104), "memfd_secret": (447, 447),
    # what would slow the fork server, and with it all programs that come later
    "sched_setparam": (142, 118), "sched_setscheduler": (144, 119), "sched_setaffinity": (203, 122),
    "sched_setattr": (314, 274), "setpriority": (141, 140), "ioprio_set": (251, 30),
}  # fmt: skip
_ARCHITECTURES = {  # column, AUDIT_ARCH, clone, prlimit64
    "x86_64": (0, 0xC000003E, 56, 302), "aarch64": (1, 0xC00000B7, 220, 261),
}  # fmt: skip
_CLONE3 = 435  # its flags lie in memory, where a filter cannot look: ENOSYS makes libc fall back to clone
_X32 = 0x40000000  # the same calls under other numbers
_NAMESPACES = 0x7E020000  # CLONE_NEW*
_PERMIT, _REFUSE, _KILL = 0x7FFF0000, 0x00050001, 0x80000000  # allow; errno EPERM; kill the process
_ENOSYS = 0x00050000 | 38
_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_NUMBER, _ARCH, _FIRST_ARGUMENT = 0, 4, 16  # offsets in struct seccomp_data
_NO_NEW_PRIVS, _SET_SECCOMP, _MODE_FILTER = 38, 22, 2


def _step(code: int, value: int, hit: int = 0, miss: int = 0) -> bytes:
    """One struct sock_filter; `hit` and `miss` are how many instructions to leap over."""
    return struct.pack("=HBBI", code, hit, miss, value)


def program(machine: str) -> bytes | None:
    """The filter as bytes for a machine as `os.uname` names it; None for one whose numbers are not in the table."""
    if machine not in _ARCHITECTURES:
        return None
    column, arch, clone, limit = _ARCHITECTURES[machine]
    steps = [_step(_LOAD, _ARCH), _step(_EQUAL, arch, hit=1), _step(_RETURN, _KILL), _step(_LOAD, _NUMBER)]
    steps += [_step(_AT_LEAST, _X32, miss=1), _step(_RETURN, _REFUSE)]
    for numbers in DENIED.values():
        steps += [_step(_EQUAL, numbers[column], miss=1), _step(_RETURN, _REFUSE)]
    steps += [_step(_EQUAL, _CLONE3, miss=1), _step(_RETURN, _ENOSYS)]
    # limits of another process, which may be the server, are not a program's to set; pid 0 is itself
    steps += [_step(_EQUAL, limit, miss=4), _step(_LOAD, _FIRST_ARGUMENT), _step(_EQUAL, 0, miss=1)]
    steps += [_step(_RETURN, _PERMIT), _step(_RETURN, _REFUSE)]
    steps += [_step(_EQUAL, clone, miss=3), _step(_LOAD, _FIRST_ARGUMENT), _step(_ANY_BIT, _NAMESPACES, miss=1)]
    steps += [_step(_RETURN, _REFUSE), _step(_RETURN, _PERMIT)]
    return b"".join(steps)


def deny_calls() -> bool:
    """Refuse the calls from now on, in this process and all that it starts; False where the kernel cannot."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        return False
    code = program(os.uname().machine)
    if code is None:
        return False
    buffer = ctypes.create_string_buffer(code, len(code))
    header = ctypes.create_string_buffer(struct.pack("@HP", len(code) // 8, ctypes.addressof(buffer)))
    return bool(libc.prctl(_SET_SECCOMP, _MODE_FILTER, ctypes.byref(header), 0, 0) == 0)
