"""The last instructions before the kernel's first: each of the states that Linux wants to be entered in.

Documentation/arch/x86/boot.rst, "32-bit Boot Protocol" and "64-bit Boot Protocol": interrupts are off, the zero page's
address is in ESI or RSI, selectors 0x10 and 0x18 are flat code and data. None of this comes back.
"""

from typing import Final, NoReturn

from bootslang.boot.layout import CODE32
from bootslang.boot.lift.modes import LEAVE_LONG_MODE, LOAD_FLAT_DATA
from bootslang.slang import Struct, address, array, asm, compile_for, fn, halt, target, u16, u32, u64

compile_for("protected32", "long64")

LINUX_CODE: Final = 0x10
LINUX_DATA: Final = 0x18
LINUX_GDT: Final = array[u64]([0, 0, 0x00AF_9B00_0000_FFFF, 0x00CF_9300_0000_FFFF])
"""For a 64-bit kernel: 64-bit code at 0x10, data at 0x18. Stage 4's own GDT is what a 32-bit one wants."""


class TablePointer(Struct):
    """What LGDT reads in long mode."""

    limit: u16
    base: u64


@fn
def enter(entry: u64, zero_page: u64, long_mode: bool) -> NoReturn:
    """Start the kernel at `entry`, in long mode or in 32-bit protected mode, where the 32-bit stage 4 is anyway.

    On the host the FakeMachine in force does it.
    """
    if target.host:
        asm("enter", rdi=entry, rsi=zero_page, rdx=u64(long_mode))
    elif target.bits == 64:
        if long_mode:
            pointer = TablePointer(limit=u16(len(LINUX_GDT) * 8 - 1), base=address(LINUX_GDT))
            stay_in_long_mode(entry, zero_page, address(pointer))
        else:
            leave_long_mode(entry, zero_page)
    else:
        jump(u32(entry), u32(zero_page))
    halt()


@fn(naked=True)
def stay_in_long_mode(entry: u64, zero_page: u64, gdt: u64) -> None:
    """Arguments come in RDI, RSI and RDX."""
    asm(f"""
        cli
        cld
        lgdt [rdx]
        mov eax, {LINUX_DATA}
        mov ds, eax
        mov es, eax
        mov fs, eax
        mov gs, eax
        mov ss, eax
        push {LINUX_CODE}
        push rdi
        xor eax, eax
        xor ebx, ebx
        xor ebp, ebp
        xor edi, edi
        retfq
    """)


@fn(naked=True)
def leave_long_mode(entry: u64, zero_page: u64) -> None:
    """Arguments come in RDI and RSI: a 32-bit kernel on a 64-bit CPU."""
    asm(f"""
        cli
        cld
        push {CODE32}
        lea rax, [rip + lift_for_good]
        push rax
        retfq

        .code32
    lift_for_good:
        {LOAD_FLAT_DATA}
        {LEAVE_LONG_MODE}
        mov eax, edi
        xor ebx, ebx
        xor ebp, ebp
        xor edi, edi
        jmp eax
        .code64
    """)


@fn(naked=True)
def jump(entry: u32, zero_page: u32) -> None:
    """Arguments come in EAX and EDX."""
    asm("""
        cli
        cld
        mov esi, edx
        xor ebx, ebx
        xor ebp, ebp
        xor edi, edi
        jmp eax
    """)
