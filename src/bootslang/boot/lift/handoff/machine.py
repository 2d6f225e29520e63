"""The machine that a kernel of your own starts on: what is asked of the CPU, and its registers in their last state.

The tables here (GDT, TSS) stay in force until the kernel loads its own; they are filled by code that runs at the
addresses at which the kernel sees the loader. docs/handoff.md, "The state of the machine", promises what is set here.
"""

from typing import Final

from bootslang.boot.layout import CODE64
from bootslang.boot.lift.handover import TablePointer
from bootslang.boot.lift.paging import CR0_PG, CR4_PAE, EFER, EFER_LME
from bootslang.slang import (
    BootError,
    Struct,
    address,
    array,
    asm,
    compile_for,
    cpuid,
    fn,
    length,
    outb,
    sizeof,
    target,
    u16,
    u32,
    u64,
    usize,
    write_msr,
)

compile_for("long64")

EXTENDED_FEATURES: Final = 0x8000_0001
"""The CPUID leaf, and bits of its EDX."""
FEATURE_NX: Final = 1 << 20
FEATURE_HUGE_PAGES: Final = 1 << 26
"""Pages of 1 GiB."""

EFER_LMA: Final = 0x400
EFER_NXE: Final = 0x800
FS_BASE: Final = 0xC000_0100
GS_BASE: Final = 0xC000_0101
KERNEL_GS_BASE: Final = 0xC000_0102
CR0: Final = CR0_PG | 0x1_0013
"""PE, MP, ET (always 1), WP, PG."""
CR4: Final = CR4_PAE | 0x600
"""PAE, OSFXSR, OSXMMEXCPT."""
MXCSR: Final = 0x1F80
"""As after a reset: all exceptions masked, round to nearest."""
FLAGS: Final = 2
"""Bit 1 is always 1."""

DATA: Final = 0x10
TASK: Final = 0x18
"""Selectors; the code's is CODE64, as in the stages before."""
CODE_DESCRIPTOR: Final = 0x00AF_9B00_0000_FFFF
DATA_DESCRIPTOR: Final = 0x00CF_9300_0000_FFFF
TASK_KIND: Final = 0x8900_0000_0000
"""Present, an available 64-bit TSS (Intel SDM vol. 3A, figure 8-4)."""
STACKS: Final = 3
"""Entries 1 to 3 of the IST: lift/exceptions.py says which exception takes which."""

FIRST_PIC_MASK: Final = 0x21
SECOND_PIC_MASK: Final = 0xA1
ALL_LINES: Final = 0xFF


class TaskState(Struct):
    """The TSS of 64-bit mode (Intel SDM vol. 3A, figure 8-11)."""

    reserved: u32
    rsp: array[u64] = length(3)
    reserved2: u64
    ist: array[u64] = length(7)
    """The first is IST 1."""
    reserved3: u64
    reserved4: u16
    io_map: u16


gdt: array[u64] = array[u64](5)
task: TaskState = TaskState.zeroed()


@fn
def require_nx() -> None:
    """Without NX there is no W^X: say so on a CPU that has none."""
    if not extended_features() & FEATURE_NX:
        raise BootError(
            "this CPU has no NX (execute disable): switch it on in the firmware's set-up, or take another CPU"
        )


@fn
def has_huge_pages() -> bool:
    return extended_features() & FEATURE_HUGE_PAGES != 0


@fn
def extended_features() -> u32:
    if target.host:
        return FEATURE_NX
    _, _, _, edx = cpuid(EXTENDED_FEATURES)
    return edx


@fn
def enable_nx() -> None:
    """Let the CPU accept page tables with NX; nothing else of EFER stays set."""
    write_msr(EFER, EFER_LME | EFER_LMA | EFER_NXE)


@fn
def load_tables() -> None:
    """Fill and load GDT and TSS at the addresses that this code runs at; `task.ist` is filled already."""
    base = address(task)
    task.io_map = sizeof(TaskState)
    gdt[CODE64 // 8] = CODE_DESCRIPTOR
    gdt[DATA // 8] = DATA_DESCRIPTOR
    gdt[TASK // 8] = TASK_KIND | sizeof(TaskState) - 1 | (base & 0xFF_FFFF) << 16 | (base >> 24 & 0xFF) << 56
    gdt[TASK // 8 + 1] = base >> 32
    pointer = TablePointer(limit=u16(len(gdt) * 8 - 1), base=address(gdt))
    load_selectors(address(pointer))


@fn(naked=True)
def load_selectors(pointer: usize) -> None:
    """The argument comes in RDI."""
    asm(f"""
        lgdt [rdi]
        push {CODE64}
        lea rax, [rip + handoff_code]
        push rax
        retfq
    handoff_code:
        mov eax, {DATA}
        mov ds, eax
        mov es, eax
        mov ss, eax
        xor eax, eax
        mov fs, eax
        mov gs, eax
        mov eax, {TASK}
        ltr ax
        ret
    """)


@fn
def silence() -> None:
    """Mask every line of both PICs, and give FS and GS the base 0."""
    outb(FIRST_PIC_MASK, ALL_LINES)
    outb(SECOND_PIC_MASK, ALL_LINES)
    write_msr(FS_BASE, 0)
    write_msr(GS_BASE, 0)
    write_msr(KERNEL_GS_BASE, 0)


@fn(naked=True)
def leave(information: u64, entry: u64, stack: u64, root: u64) -> None:
    """The kernel's first instruction is the next: arguments come in RDI, RSI, RDX and RCX.

    This code and the stack are in the kernel's page tables, at these very addresses.
    """
    asm(f"""
        cli
        mov eax, {CR4}
        mov cr4, rax
        mov eax, {CR0}
        mov cr0, rax
        mov cr3, rcx
        mov rsp, rdx
        push 0                          # where `entry` would return to
        push rsi
        fninit
        push {MXCSR}
        ldmxcsr [rsp]
        mov qword ptr [rsp], {FLAGS}
        xor eax, eax
        xor ebx, ebx
        xor ecx, ecx
        xor edx, edx
        xor esi, esi
        xor ebp, ebp
        xor r8d, r8d
        xor r9d, r9d
        xor r10d, r10d
        xor r11d, r11d
        xor r12d, r12d
        xor r13d, r13d
        xor r14d, r14d
        xor r15d, r15d
        popfq
        ret
    """)
