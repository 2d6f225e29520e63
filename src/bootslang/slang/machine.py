"""Registers as assembly sees them, and the fake machine that stands in for ports and assembly on the host."""

from __future__ import annotations

from typing import Self, TypedDict

REGISTER_NAMES = {
    "a": ("rax", "eax", "ax", "al", "ah"),
    "b": ("rbx", "ebx", "bx", "bl", "bh"),
    "c": ("rcx", "ecx", "cx", "cl", "ch"),
    "d": ("rdx", "edx", "dx", "dl", "dh"),
    "si": ("rsi", "esi", "si"),
    "di": ("rdi", "edi", "di"),
    "bp": ("rbp", "ebp", "bp"),
}
"""Every register that assembly can take or give, by the register that it is a part of."""


class RegisterInputs(TypedDict, total=False):
    """The registers that go into a piece of assembly."""

    rax: int
    eax: int
    ax: int
    al: int
    ah: int
    rbx: int
    ebx: int
    bx: int
    bl: int
    bh: int
    rcx: int
    ecx: int
    cx: int
    cl: int
    ch: int
    rdx: int
    edx: int
    dx: int
    dl: int
    dh: int
    rsi: int
    esi: int
    si: int
    rdi: int
    edi: int
    di: int
    rbp: int
    ebp: int
    bp: int


class Registers:
    """The registers after a piece of assembly."""

    rax: int
    eax: int
    ax: int
    al: int
    ah: int
    rbx: int
    ebx: int
    bx: int
    bl: int
    bh: int
    rcx: int
    ecx: int
    cx: int
    cl: int
    ch: int
    rdx: int
    edx: int
    dx: int
    dl: int
    dh: int
    rsi: int
    esi: int
    si: int
    rdi: int
    edi: int
    di: int
    rbp: int
    ebp: int
    bp: int
    carry: bool
    zero: bool


class FakeMachine:
    """A machine for tests: what ports answer, what volatile memory holds, what assembly does.

    Subclass it, override what the code under test touches, and use it as a context manager around the calls::

        class Uart(FakeMachine):
            def read_port(self, port: int, size: int) -> int:
                return 0x20 if port == 0x3FD else 0

        with Uart() as uart:
            console.write_serial(text("x"))

    What is not overridden raises, so that a test never passes by touching nothing.
    """

    def read_port(self, port: int, size: int) -> int:
        """Answer an `inb`, `inw` or `inl`: `size` is 1, 2 or 4 bytes."""
        raise NotImplementedError(f"the code reads port {port:#x} ({size} bytes)")

    def write_port(self, port: int, size: int, value: int) -> None:
        """Take an `outb`, `outw` or `outl`."""
        raise NotImplementedError(f"the code writes {value:#x} to port {port:#x} ({size} bytes)")

    def read_memory(self, address: int, size: int) -> int:
        """Answer a read of a volatile field or element."""
        raise NotImplementedError(f"the code reads volatile memory at {address:#x} ({size} bytes)")

    def write_memory(self, address: int, size: int, value: int) -> None:
        """Take a write of a volatile field or element."""
        raise NotImplementedError(f"the code writes {value:#x} to volatile memory at {address:#x} ({size} bytes)")

    def assembly(self, code: str, registers: dict[str, int]) -> dict[str, int]:
        """Stand in for a piece of assembly: its text and the registers that go in; return those that come out."""
        raise NotImplementedError(f"the code runs assembly: {code.strip()!r} with {registers}")

    def __enter__(self) -> Self:
        """Put this machine in force for the calls inside."""
        IN_FORCE.append(self)
        return self

    def __exit__(self, *_: object) -> None:
        """Put the machine before this one in force again."""
        IN_FORCE.pop()


IN_FORCE: list[FakeMachine] = [FakeMachine()]


def in_force() -> FakeMachine:
    """The machine that native slang code sees."""
    return IN_FORCE[-1]
