"""Where stage 4 begins on a CPU with long mode. The door jumps to its first byte.

Entered in 32-bit protected mode, paging and interrupts off, flat segments, EAX = the address of BootContext. Maps the
first 4 GiB to themselves, enters long mode, runs `main` on stage 4's own stack and never returns. The image can be
moved, so that nothing here is an address; but it is linked to run where the door puts it.
"""

from bootslang.boot.layout import CODE64, PAGE_TABLES, STAGE4, STAGE4_STACK_TOP
from bootslang.boot.lift.main import main
from bootslang.boot.lift.modes import ENTER_LONG_MODE
from bootslang.boot.lift.paging import (
    FIRST_TABLES,
    LARGE_PAGE,
    LARGE_PAGE_BYTES,
    TABLE,
)
from bootslang.slang import asm, compile_for, fn

compile_for("long64")


@fn(naked=True, section=".start")
def start() -> None:
    """Clear what has no bytes on the disk, build the tables, enter long mode, go on in slang.

    The tables: one of level 4 with one entry, one of level 3 with four, four of level 2 with 512 large pages each.
    """
    asm(f"""
        .code32
    lift_first_byte:
        cli
        cld
        mov esp, {STAGE4_STACK_TOP}
        mov ebp, eax
        mov ebx, {STAGE4}
        mov edi, [ebx + lift_bss]
        mov ecx, [ebx + lift_bss + 4]
        sub ecx, edi
        add edi, ebx
        xor eax, eax
        rep stosb

        mov edi, {PAGE_TABLES}
        mov ecx, {FIRST_TABLES} * 1024
        rep stosd
        mov edi, {PAGE_TABLES}
        lea eax, [edi + 0x1000 + {TABLE}]
        mov [edi], eax
        lea edx, [edi + 0x1000]
        mov ecx, 4
    lift_next_table:
        add eax, 0x1000
        mov [edx], eax
        add edx, 8
        loop lift_next_table
        add edi, 0x2000
        mov eax, {LARGE_PAGE}
    lift_next_page:
        mov [edi], eax
        add edi, 8
        add eax, {LARGE_PAGE_BYTES}
        jnc lift_next_page

        mov eax, {PAGE_TABLES}
        mov cr3, eax
        {ENTER_LONG_MODE}
        push {CODE64}
        lea eax, [ebx + lift_in_long_mode]
        push eax
        retf
    lift_bss_bounds:
        .long __bss_start - lift_first_byte, __bss_end - lift_first_byte
        lift_bss = lift_bss_bounds - lift_first_byte
        lift_in_long_mode = lift_long_mode - lift_first_byte
        .code64
    lift_long_mode:
        mov edi, ebp
        call {main}
    """)
