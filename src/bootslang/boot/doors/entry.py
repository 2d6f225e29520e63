"""The loader's first instructions, for every door but the BIOS's: from 32-bit code at an unknown address to slang.

Whoever has put the loader into memory enters it in 32-bit protected mode: paging and interrupts off, flat segments, A20
on, EBX = its information, ESP nowhere. There are two ways in: `start` is the ELF file's entry, where EAX says which
Multiboot it is (Multiboot 0.6.96, 3.2; Multiboot 2.0, 3.3), and `pvh_start` is that of the PVH note, where EAX says
nothing (Xen, docs/misc/pvh.pandoc). What they leave behind: .bss is clear but for the workspace, the first 4 GiB are
mapped to themselves, the CPU is in long mode on a stack of the loader's, all addresses are right. `main` runs and never
returns.
"""

from typing import Final

from bootslang.boot.doors.main import PVH_START, main
from bootslang.boot.doors.no_long_mode import no_long_mode
from bootslang.boot.doors.workspace import Workspace, workspace
from bootslang.boot.layout import CODE64
from bootslang.boot.lib.image import relocate
from bootslang.boot.lift.modes import ENTER_LONG_MODE, LOAD_FLAT_DATA
from bootslang.boot.lift.paging import (
    LARGE_PAGE,
    LARGE_PAGE_BYTES,
    TABLE,
    TABLE_BYTES,
)
from bootslang.slang import array, asm, compile_for, fn, offsetof, sizeof, u64

compile_for("long64")

ID_FLAG: Final = 0x20_0000
"""EFLAGS.ID: a CPU that has CPUID lets it be changed."""
HIGHEST_EXTENDED: Final = 0x8000_0000
EXTENDED_FEATURES: Final = 0x8000_0001
LONG_MODE: Final = 1 << 29
"""Of EDX, CPUID leaf 8000_0001h."""
LEVEL3_ENTRIES: Final = 4
"""Each has a table of level 2, for 1 GiB."""
TABLES: Final = offsetof(Workspace, "tables")
STACK_TOP: Final = sizeof(Workspace)

GDT: Final = array[u64](
    (
        0,
        0x00AF_9B00_0000_FFFF,
        0x00CF_9B00_0000_FFFF,
        0x00CF_9300_0000_FFFF,
    )
)
"""`layout`'s selectors up to DATA32, flat. All are marked as accessed: the CPU writes nothing to read-only data."""
GDT_LIMIT: Final = len(GDT) * 8 - 1


@fn(naked=True, symbol="pvh_start")
def pvh_start() -> None:
    """Say in EAX who it is, as Multiboot does."""
    asm(f"""
        .code32
        mov eax, {PVH_START}
        jmp {start}
        .code64
    """)


@fn(naked=True, section=".start")
def start() -> None:
    """Find out where we are, map memory, enter long mode, clear .bss, make addresses right, go on in slang.

    The only memory that is ours for certain is where we are, which is what we do not know: `call` needs a stack to tell
    it. So the first dword of the information is borrowed for one, kept in ECX and put back: one `call` writes exactly
    that dword. From there on everything is found by its distance from `door_here`, and nothing here is absolute.
    """
    asm(f"""
        .code32
        cli
        cld
        mov ecx, [ebx]
        lea esp, [ebx + 4]
        call door_here
    door_here:
        pop ebp
        mov [ebx], ecx

        mov edi, eax                        # EDI: who started us
        mov esi, ebx                        # ESI: its information
        door_places = door_distances - door_here
        mov esp, [ebp + door_places]
        add esp, ebp

        pushfd
        pop eax
        mov ecx, eax
        xor eax, {ID_FLAG}
        push eax
        popfd
        pushfd
        pop eax
        cmp eax, ecx
        je {no_long_mode}
        mov eax, {HIGHEST_EXTENDED}
        cpuid
        cmp eax, {EXTENDED_FEATURES}
        jb {no_long_mode}
        mov eax, {EXTENDED_FEATURES}
        cpuid
        test edx, {LONG_MODE}
        jz {no_long_mode}

        mov ebx, [ebp + door_places + 4]    # one table of level 4, one of level 3, four of level 2
        add ebx, ebp
        mov cr3, ebx
        mov edx, edi
        mov edi, ebx
        mov ecx, {2 * TABLE_BYTES // 4}
        xor eax, eax
        rep stosd
        mov edi, edx
        lea edx, [ebx + {TABLE_BYTES}]
        lea eax, [edx + {TABLE}]
        mov [ebx], eax
        mov ecx, {LEVEL3_ENTRIES}
    door_next_table:
        add eax, {TABLE_BYTES}
        mov [edx], eax
        add edx, 8
        loop door_next_table
        mov eax, {LARGE_PAGE}
        add ebx, {2 * TABLE_BYTES}
    door_next_page:
        mov [ebx], eax
        mov [ebx + 4], ecx                  # 0 by now
        add ebx, 8
        add eax, {LARGE_PAGE_BYTES}
        jnc door_next_page

        xor eax, eax
        mov cr4, eax                        # a UEFI may have had five levels of tables
        {ENTER_LONG_MODE}
        mov eax, [ebp + door_places + 8]
        add eax, ebp
        push eax
        push {GDT_LIMIT << 16}
        lgdt [esp + 2]
        door_long = door_long_mode - door_here
        lea eax, [ebp + door_long]
        push {CODE64}
        push eax
        retf

    door_distances:
        .long {workspace} + {STACK_TOP} - door_here
        .long {workspace} + {TABLES} - door_here
        .long {GDT} - door_here

        .code64
    door_long_mode:
        {LOAD_FLAT_DATA}
        mov esp, esp                        # what the upper halves hold is not defined
        mov ebx, edi
        mov ebp, esi
        add rsp, 8
        lea rdi, [rip + __bss_start]        # .bss: what lies before the workspace, and what behind it
        lea rcx, [rip + {workspace}]
        sub rcx, rdi
        shr ecx, 3
        xor eax, eax
        rep stosq
        lea rdi, [rip + {workspace} + {STACK_TOP}]
        lea rcx, [rip + __bss_end]
        sub rcx, rdi
        shr ecx, 3
        rep stosq
        lea rdi, [rip + __image_start]
        sub rdi, [rip + door_linked_at]
        call {relocate}
        lea rax, [rip + __image_start]
        cmp rax, [rip + door_linked_at]     # it is one of those that were made right
        jne door_stop
        mov edi, ebx
        mov esi, ebp
        call {main}
    door_stop:
        hlt
        jmp door_stop
        .balign 8
    door_linked_at:
        .quad __image_start
    """)
