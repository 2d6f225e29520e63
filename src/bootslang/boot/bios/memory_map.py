"""The firmware's memory map, by INT 15h: E820 line by line, E801h and 88h. Stage 3 calls `read_memory_map`.

32-bit protected mode, BIOS calls through the gate. The lines go into BootContext as they were told, in their order;
stage 4 sorts them, and falls back on E801h and 88h where a BIOS has no E820.
"""

from typing import Final

from bootslang.boot.bios.calls import SYSTEM, call_bios
from bootslang.boot.context import MAX_MEMORY_RANGES, BootContext, GateRequest, MemoryRange
from bootslang.boot.lib import console
from bootslang.slang import BootError, Struct, address, compile_for, fn, sizeof, u16, u32, u64

compile_for("protected32")

GET_MAP: Final = 0xE820
SMAP: Final = 0x534D_4150
GET_SIZES: Final = 0xE801
GET_EXTENDED_KIB: Final = 0x8800
OLD_LINE_BYTES: Final = 20
"""Before ACPI 3.0 a line had no attributes."""
VALID: Final = 1
"""Attribute bit 0; a line without it is to be ignored."""
MOST_CALLS: Final = 256
"""A BIOS that never comes to an end must not hang the boot; empty lines are not kept, but count here."""

KIB_BELOW_16_MIB: Final = 15 * 1024
"""What E801h says at most of the memory from 1 to 16 MiB."""


class Line(Struct):
    base: u64
    size: u64
    kind: u32
    attributes: u32


@fn
def read_memory_map(context: BootContext) -> None:
    """Fill `memory`, `alt_mem_k` and `ext_mem_k`; raise if the BIOS tells nothing at all."""
    read_e820(context)
    context.alt_mem_k = read_e801()
    context.ext_mem_k = read_88()
    if context.memory_count == 0 and context.alt_mem_k == 0 and context.ext_mem_k == 0:
        raise BootError("the BIOS tells no memory size (INT 15h AX=E820h, E801h, AH=88h)")
    if console.verbose:
        print(f"stage 3: {context.memory_count} lines of memory map, {context.alt_mem_k} KiB by E801h")


@fn
def read_e820(context: BootContext) -> None:
    """Take the lines until the BIOS ends them: by EBX = 0, by carry, or by an answer that is none."""
    count: u32 = 0
    continuation: u32 = 0
    for _ in range(MOST_CALLS):
        line = Line.zeroed()
        line.attributes = VALID
        request = GateRequest.zeroed()
        request.eax = GET_MAP
        request.ebx = continuation
        request.ecx = sizeof(Line)
        request.edx = SMAP
        failed = call_bios(SYSTEM, request, address(line))
        if failed:
            break
        if request.eax != SMAP:
            # The call is not what it seems: what came before is no more trusted than this.
            count = 0
            break
        if request.ecx < OLD_LINE_BYTES:
            break
        if line.size != 0 and line.attributes & VALID:
            context.memory[count] = MemoryRange(base=line.base, size=line.size, kind=line.kind)
            count += 1
        continuation = request.ebx
        if continuation == 0 or count == MAX_MEMORY_RANGES:
            break
    context.memory_count = count


@fn
def read_e801() -> u32:
    """KiB above 1 MiB without a gap, as Linux' `alt_mem_k` wants them; 0 if the BIOS does not know."""
    request = GateRequest.zeroed()
    request.eax = GET_SIZES
    if call_bios(SYSTEM, request, 0):
        return 0
    below_16_mib: u32 = request.eax & 0xFFFF
    above_in_64_kib: u32 = request.ebx & 0xFFFF
    if below_16_mib == 0 and above_in_64_kib == 0:
        below_16_mib = request.ecx & 0xFFFF
        above_in_64_kib = request.edx & 0xFFFF
    if below_16_mib > KIB_BELOW_16_MIB:
        return 0
    if below_16_mib < KIB_BELOW_16_MIB:
        return below_16_mib
    return below_16_mib + above_in_64_kib * 64


@fn
def read_88() -> u16:
    """KiB above 1 MiB, at most 64 MiB; 0 if the BIOS does not know."""
    request = GateRequest.zeroed()
    request.eax = GET_EXTENDED_KIB
    if call_bios(SYSTEM, request, 0):
        return 0
    return u16(request.eax)
