"""The system call filter, interpreted step by step as the kernel would."""

from __future__ import annotations

import struct

import pytest

from omniforge.sandboxes import seccomp
from omniforge.sandboxes.seccomp import AARCH64, MACHINES, X86_64, build_filter, is_supported

ALLOWED, KILLED, EPERM, ENOSYS, NO_FAMILY = 0x7FFF0000, 0x80000000, 0x50001, 0x50026, 0x50061
X86, ARM = 0xC000003E, 0xC00000B7


def verdict(program: bytes, architecture: int, number: int, *arguments: int) -> int:
    """Run the BPF program over one `struct seccomp_data`."""
    padded = (*arguments, *([0] * (6 - len(arguments))))
    data = struct.pack("<IIQ6Q", number, architecture, 0, *padded)
    steps = list(struct.iter_unpack("<HBBI", program))
    accumulator = position = 0
    while True:
        code, yes, no, value = steps[position]
        position += 1
        match code:
            case seccomp.LOAD:
                (accumulator,) = struct.unpack_from("<I", data, value)
            case seccomp.RETURN:
                return value
            case seccomp.JUMP_EQUAL:
                position += yes if accumulator == value else no
            case seccomp.JUMP_GREATER_EQUAL:
                position += yes if accumulator >= value else no
            case seccomp.JUMP_SET:
                position += yes if accumulator & value else no
            case _:
                raise AssertionError(code)


@pytest.mark.parametrize(
    ("machine", "architecture", "table"), [("x86_64", X86, X86_64), ("aarch64", ARM, AARCH64)]
)
def test_every_refused_call_is_refused(machine: str, architecture: int, table: dict[str, int]) -> None:
    program = build_filter(machine)
    assert {
        name for name, number in table.items() if verdict(program, architecture, number) != EPERM
    } == set()
    assert len(set(table.values())) == len(table)


@pytest.mark.parametrize(
    ("machine", "architecture", "number", "arguments", "expected"),
    [
        ("x86_64", X86, 0, (), ALLOWED),  # read
        ("x86_64", X86, 59, (), ALLOWED),  # execve
        ("x86_64", X86, 41, (1, 1), ALLOWED),  # socket(AF_UNIX)
        ("x86_64", X86, 41, (2, 1), NO_FAMILY),  # socket(AF_INET)
        ("x86_64", X86, 41, (40, 1), NO_FAMILY),  # socket(AF_VSOCK)
        ("x86_64", X86, 56, (17,), ALLOWED),  # fork
        ("x86_64", X86, 56, (0x10000000 | 17,), EPERM),  # clone(CLONE_NEWUSER)
        ("x86_64", X86, 56, (0x40000000,), EPERM),  # clone(CLONE_NEWNET)
        ("x86_64", X86, 435, (), ENOSYS),  # clone3
        ("x86_64", X86, 16, (0, 0x5401), ALLOWED),  # ioctl(TCGETS)
        ("x86_64", X86, 16, (0, 0x5412), EPERM),  # ioctl(TIOCSTI)
        ("x86_64", X86, 16, (0, 0x541C), EPERM),  # ioctl(TIOCLINUX)
        ("x86_64", X86, 0x40000000, (), KILLED),  # x32
        ("x86_64", 0x40000003, 1, (), KILLED),  # i386
        ("aarch64", ARM, 63, (), ALLOWED),  # read
        ("aarch64", ARM, 198, (1,), ALLOWED),
        ("aarch64", ARM, 198, (10,), NO_FAMILY),
        ("aarch64", ARM, 220, (0x20000000,), EPERM),
        ("aarch64", ARM, 29, (0, 0x5412), EPERM),
        ("aarch64", X86, 63, (), KILLED),
    ],
)
def test_verdict(
    machine: str, architecture: int, number: int, arguments: tuple[int, ...], expected: int
) -> None:
    assert verdict(build_filter(machine), architecture, number, *arguments) == expected


def test_a_processor_without_a_table_is_not_supported() -> None:
    assert is_supported("x86_64")
    assert not is_supported("riscv64")
    assert "riscv64" not in MACHINES
    with pytest.raises(KeyError):
        build_filter("riscv64")
