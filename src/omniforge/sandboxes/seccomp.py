"""The system call filter of a sandbox, as classic BPF bytes. Pure; numbers come from the kernel's tables."""

from __future__ import annotations

import errno
import platform
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from socket import AF_INET, AF_INET6, AF_UNIX

LOAD, JUMP_EQUAL, JUMP_GREATER_EQUAL, JUMP_SET, RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
ALLOW, KILL_PROCESS, FAIL = 0x7FFF0000, 0x80000000, 0x00050000
NUMBER, ARCHITECTURE, ARGUMENT_0, ARGUMENT_1 = 0, 4, 16, 24
"""Offsets in `struct seccomp_data`; arguments by their low half."""

BRIDGE_ONLY = (AF_UNIX,)
OWN_LOOPBACK = (AF_UNIX, AF_INET, AF_INET6)
"""For boxes with a network namespace of their own, where programs talk to each other."""

NAMESPACE_FLAGS = 0x7E020000
"""CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET."""
TERMINAL_REQUESTS = (0x5412, 0x541C)
"""TIOCSTI and TIOCLINUX put key strokes into a terminal that is not the sandbox's own."""
X32_BIT = 0x40000000

SAME_EVERYWHERE = {
    "pidfd_getfd": 438, "move_mount": 429, "open_tree": 428, "fsopen": 430, "fsconfig": 431,
    "fsmount": 432, "fspick": 433, "mount_setattr": 442, "open_tree_attr": 467,
    "io_uring_setup": 425, "io_uring_enter": 426, "io_uring_register": 427, "memfd_secret": 447,
    "quotactl_fd": 443, "process_madvise": 440,
}  # fmt: skip

X86_64 = SAME_EVERYWHERE | {
    "ptrace": 101, "process_vm_readv": 310, "process_vm_writev": 311, "kcmp": 312, "mount": 165,
    "umount2": 166, "pivot_root": 155, "chroot": 161, "unshare": 272, "setns": 308, "bpf": 321,
    "perf_event_open": 298, "userfaultfd": 323, "keyctl": 250, "add_key": 248, "request_key": 249,
    "init_module": 175, "finit_module": 313, "delete_module": 176, "kexec_load": 246,
    "kexec_file_load": 320, "reboot": 169, "swapon": 167, "swapoff": 168, "acct": 163,
    "quotactl": 179, "iopl": 172, "ioperm": 173, "settimeofday": 164, "clock_settime": 227,
    "adjtimex": 159, "clock_adjtime": 305, "sethostname": 170, "setdomainname": 171, "syslog": 103,
    "vhangup": 153, "name_to_handle_at": 303, "open_by_handle_at": 304, "personality": 135,
    "lookup_dcookie": 212, "nfsservctl": 180, "uselib": 134, "modify_ldt": 154, "_sysctl": 156,
    "ustat": 136, "sysfs": 139, "mbind": 237, "set_mempolicy": 238, "migrate_pages": 256,
    "move_pages": 279, "vmsplice": 278, "fanotify_init": 300, "memfd_create": 319, "shmget": 29,
    "shmat": 30, "msgget": 68, "semget": 64, "mq_open": 240,
}  # fmt: skip

AARCH64 = SAME_EVERYWHERE | {
    "ptrace": 117, "process_vm_readv": 270, "process_vm_writev": 271, "kcmp": 272, "mount": 40,
    "umount2": 39, "pivot_root": 41, "chroot": 51, "unshare": 97, "setns": 268, "bpf": 280,
    "perf_event_open": 241, "userfaultfd": 282, "keyctl": 219, "add_key": 217, "request_key": 218,
    "init_module": 105, "finit_module": 273, "delete_module": 106, "kexec_load": 104,
    "kexec_file_load": 294, "reboot": 142, "swapon": 224, "swapoff": 225, "acct": 89,
    "quotactl": 60, "settimeofday": 170, "clock_settime": 112, "adjtimex": 171,
    "clock_adjtime": 266, "sethostname": 161, "setdomainname": 162, "syslog": 116, "vhangup": 58,
    "name_to_handle_at": 264, "open_by_handle_at": 265, "personality": 92, "lookup_dcookie": 18,
    "nfsservctl": 42, "mbind": 235, "set_mempolicy": 237, "migrate_pages": 238, "move_pages": 239,
    "vmsplice": 75, "fanotify_init": 262, "memfd_create": 279, "shmget": 194, "shmat": 196,
    "msgget": 186, "semget": 190, "mq_open": 180,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Machine:
    """The numbers that differ between processors."""

    audit: int
    refused: dict[str, int]
    socket: int
    clone: int
    ioctl: int
    clone3: int = 435
    has_x32: bool = False


MACHINES = {
    "x86_64": Machine(0xC000003E, X86_64, socket=41, clone=56, ioctl=16, has_x32=True),
    "aarch64": Machine(0xC00000B7, AARCH64, socket=198, clone=220, ioctl=29),
}


def is_supported(machine: str | None = None) -> bool:
    return (machine or platform.machine()) in MACHINES


def build_filter(machine: str | None = None, families: Sequence[int] = BRIDGE_ONLY) -> bytes:
    """The filter for `machine` (default: this one); `KeyError` for a processor without a table.

    Refused calls answer EPERM: tracing, mounts, namespaces, kernel keys, io_uring, modules, clocks, and
    memory that no process is charged for (memfd, System V, message queues). `socket` makes those of
    `families` only. `clone3` is unknown, because its flags cannot be seen: callers fall back to `clone`,
    whose flags are.
    """
    kind = MACHINES[machine or platform.machine()]
    program = [_op(LOAD, ARCHITECTURE), _op(JUMP_EQUAL, kind.audit, yes=1), _op(RETURN, KILL_PROCESS)]
    program.append(_op(LOAD, NUMBER))
    if kind.has_x32:
        program += [_op(JUMP_GREATER_EQUAL, X32_BIT, no=1), _op(RETURN, KILL_PROCESS)]
    for number in kind.refused.values():
        program += [_op(JUMP_EQUAL, number, no=1), _fail(errno.EPERM)]
    program += [_op(JUMP_EQUAL, kind.clone3, no=1), _fail(errno.ENOSYS)]
    program += [
        _op(JUMP_EQUAL, kind.clone, no=4),
        _op(LOAD, ARGUMENT_0),
        _op(JUMP_SET, NAMESPACE_FLAGS, no=1),
        _fail(errno.EPERM),
        _op(RETURN, ALLOW),
    ]
    program += [_op(JUMP_EQUAL, kind.socket, no=3 + len(families)), _op(LOAD, ARGUMENT_0)]
    program += [_op(JUMP_EQUAL, family, yes=left) for left, family in _counting_down(families)]
    program += [_fail(errno.EAFNOSUPPORT), _op(RETURN, ALLOW)]
    first, second = TERMINAL_REQUESTS
    program += [
        _op(JUMP_EQUAL, kind.ioctl, no=4),
        _op(LOAD, ARGUMENT_1),
        _op(JUMP_EQUAL, first, yes=1),
        _op(JUMP_EQUAL, second, no=1),
        _fail(errno.EPERM),
    ]
    program.append(_op(RETURN, ALLOW))
    return b"".join(program)


def _counting_down(families: Sequence[int]) -> Iterable[tuple[int, int]]:
    return zip(range(len(families), 0, -1), families, strict=True)


def _op(code: int, value: int, *, yes: int = 0, no: int = 0) -> bytes:
    """One instruction; `yes` and `no` are how many instructions a jump skips."""
    return struct.pack("<HBBI", code, yes, no, value)


def _fail(number: int) -> bytes:
    return _op(RETURN, FAIL | number)
