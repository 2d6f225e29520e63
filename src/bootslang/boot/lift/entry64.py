"""Where stage 4 begins on a CPU with long mode. The door jumps to its first byte.

Entered in 32-bit protected mode, paging and interrupts off, flat segments, EAX = the address of BootContext. Maps the
first 4 GiB to themselves, enters long mode, runs `main` on stage 4's own stack and never returns.
"""

from bootslang.boot.layout import CODE64, PAGE_TABLES, STAGE4_STACK_TOP
from bootslang.boot.lift.main import main
from bootslang.boot.lift.paging import (
    CR0_PG,
    CR4_PAE,
    EFER,
    EFER_LME,
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
        cli
        cld
        mov esp, {STAGE4_STACK_TOP}
        mov ebp, eax
        mov edi, offset __bss_start
        mov ecx, offset __bss_end
        sub ecx, edi
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
        mov eax, cr4
        or eax, {CR4_PAE}
        mov cr4, eax
        mov ecx, {EFER}
        rdmsr
        or eax, {EFER_LME}
        wrmsr
        mov eax, cr0
        or eax, {CR0_PG}
        mov cr0, eax
        push {CODE64}
        mov eax, offset lift_long_mode
        push eax
        retf
        .code64
    lift_long_mode:
        mov edi, ebp
        call {main}
    """)
