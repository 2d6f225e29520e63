"""What a machine can do and Python has no word for: ports, registers, assembly, checked arithmetic.

Each is a plain function for type checkers and readers; the compiler gives it its meaning. On the host, ports and
assembly reach the `FakeMachine` in force, if any.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn, Unpack

from bootslang.slang.words import array, only_compiled, u8

if TYPE_CHECKING:
    from bootslang.slang.machine import RegisterInputs, Registers
    from bootslang.slang.words import span, u16, u32, u64, usize


def asm(code: str, /, *, clobbers: str = "", **inputs: Unpack[RegisterInputs]) -> Registers:
    """Run assembly, Intel syntax.

    Registers go in as keywords (`ah=0x42, dl=drive`) and come out as attributes of the result (`after.carry`,
    `after.ah`); only what is read becomes an output. A register that goes in may be changed by the code; others that
    it changes are named in `clobbers`, separated by spaces, and `memory` if it reads or writes memory. In an f-string a
    constant stands as its number, a function or module-level variable as its symbol.
    """
    raise only_compiled("asm")


def text(literal: str, /) -> span[u8]:
    """The UTF-8 bytes of a string constant."""
    return array[u8](literal.encode())


def checked(value: int, /) -> int:
    """Evaluate the sum, difference or product inside; raise a BootError where it does not fit its type."""
    raise only_compiled("checked")


def rotate_left(value: int, count: int, /) -> int:
    """Rotate an unsigned integer left by `count` bits, within its own width."""
    raise only_compiled("rotate_left")


def rotate_right(value: int, count: int, /) -> int:
    """Rotate an unsigned integer right by `count` bits, within its own width."""
    raise only_compiled("rotate_right")


def inb(port: u16, /) -> u8:
    """Read a byte from an I/O port."""
    raise only_compiled("inb")


def inw(port: u16, /) -> u16:
    """Read a word (2 bytes) from an I/O port."""
    raise only_compiled("inw")


def inl(port: u16, /) -> u32:
    """Read a doubleword (4 bytes) from an I/O port."""
    raise only_compiled("inl")


def outb(port: u16, value: u8, /) -> None:
    """Write a byte to an I/O port."""
    raise only_compiled("outb")


def outw(port: u16, value: u16, /) -> None:
    """Write a word (2 bytes) to an I/O port."""
    raise only_compiled("outw")


def outl(port: u16, value: u32, /) -> None:
    """Write a doubleword (4 bytes) to an I/O port."""
    raise only_compiled("outl")


def cpuid(leaf: u32, subleaf: u32 = 0, /) -> tuple[u32, u32, u32, u32]:
    """EAX, EBX, ECX, EDX of a CPUID leaf. The CPU must have the instruction."""
    raise only_compiled("cpuid")


def read_tsc() -> u64:
    """Read the time stamp counter. The CPU must have one (CPUID 1, EDX bit 4)."""
    raise only_compiled("read_tsc")


def read_msr(number: u32, /) -> u64:
    """Read a model-specific register."""
    raise only_compiled("read_msr")


def write_msr(number: u32, value: u64, /) -> None:
    """Write a model-specific register."""
    raise only_compiled("write_msr")


def read_cr0() -> usize:
    """Read control register 0."""
    raise only_compiled("read_cr0")


def read_cr2() -> usize:
    """Read control register 2: the address of the last page fault."""
    raise only_compiled("read_cr2")


def read_cr3() -> usize:
    """Read control register 3: the root of the page tables."""
    raise only_compiled("read_cr3")


def read_cr4() -> usize:
    """Read control register 4."""
    raise only_compiled("read_cr4")


def write_cr0(value: usize, /) -> None:
    """Write control register 0."""
    raise only_compiled("write_cr0")


def write_cr3(value: usize, /) -> None:
    """Write control register 3."""
    raise only_compiled("write_cr3")


def write_cr4(value: usize, /) -> None:
    """Write control register 4."""
    raise only_compiled("write_cr4")


def pause() -> None:
    """Tell the CPU that this is a waiting loop."""
    raise only_compiled("pause")


def halt() -> NoReturn:
    """Stop this CPU for good: interrupts off, HLT in a loop."""
    raise only_compiled("halt")
