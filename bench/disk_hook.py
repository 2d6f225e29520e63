"""A resident hook on INT 13h: it counts the calls, the sectors that they ask for, and the time in them. Real mode.

The harness (journey.py) puts it below the top of low memory before the first loader runs, at offset 0 of a segment of
its own, and takes that memory out of what INT 12h tells, as resident programs always did. It starts the loader through
`start`, so that the time is taken inside the machine. Of every register it changes nothing that the BIOS did not.
"""

from __future__ import annotations

from bootslang.slang import Struct, asm, compile_for, fn, offsetof, placed, u32, u64

compile_for("real16")


class Counters(Struct):
    """What the harness reads when the kernel starts. It writes `bios` when it puts the hook in place."""

    start: u64
    """The time stamp counter at the loader's first instruction."""
    spent: u64
    """The time in INT 13h."""
    began: u64
    bios: u32
    """The BIOS's own routine, segment and offset."""
    calls: u32
    reads: u32
    sectors: u32


counters: Counters = placed(".header", Counters.zeroed())
START = offsetof(Counters, "start")
SPENT = offsetof(Counters, "spent")
BEGAN = offsetof(Counters, "began")
BIOS = offsetof(Counters, "bios")
CALLS = offsetof(Counters, "calls")
READS = offsetof(Counters, "reads")
SECTORS = offsetof(Counters, "sectors")


@fn(naked=True, section=".start")
def start() -> None:
    """Take the time, and go where the BIOS went: to 0:7C00, with its registers."""
    asm(f"""
        push eax
        push edx
        rdtsc
        mov cs:[{START}], eax
        mov cs:[{START} + 4], edx
        pop edx
        pop eax
        .byte 0xEA                  # jmp 0:7C00
        .word 0x7C00, 0
        .word {hook}                # never run: it keeps the hook in the image
    """)


@fn(naked=True)
def hook() -> None:
    """INT 13h."""
    asm(f"""
        push eax
        push edx
        rdtsc
        mov cs:[{BEGAN}], eax
        mov cs:[{BEGAN} + 4], edx
        pop edx
        pop eax
        push eax
        inc dword ptr cs:[{CALLS}]
        cmp ah, 0x42
        je 2f
        cmp ah, 0x02
        jne 4f
        movzx eax, al
        jmp 3f
    2:  movzx eax, word ptr [si + 2]
    3:  inc dword ptr cs:[{READS}]
        add cs:[{SECTORS}], eax
    4:  pop eax
        pushf
        lcall cs:[{BIOS}]
        push bp
        mov bp, sp
        push eax
        push edx
        lahf
        mov [bp + 6], ah            # the caller's flags: carry above all
        rdtsc
        sub eax, cs:[{BEGAN}]
        sbb edx, cs:[{BEGAN} + 4]
        add cs:[{SPENT}], eax
        adc cs:[{SPENT} + 4], edx
        pop edx
        pop eax
        pop bp
        iret
    """)
