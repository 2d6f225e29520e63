"""The memory below 1 MiB: how much there is, and what of it is taken. Stages 2 and 3, 32-bit protected mode.

Stage 2 makes sure that the loader fits; stage 3 begins the table of reservations that stage 4 goes on with.
"""

from typing import Final

from bootslang.boot.bios.calls import LOW_MEMORY, call_bios
from bootslang.boot.context import LOADER, MAX_RESERVATIONS, RESERVED, BootContext, GateRequest, MemoryRange
from bootslang.boot.layout import CONTEXT, LEAST_LOW_MEMORY, PAGE_TABLES, PAGE_TABLES_END
from bootslang.boot.lib.bios_data import bios_data
from bootslang.slang import BootError, compile_for, fn, u32, u64

compile_for("protected32")

VIDEO_MEMORY: Final = 0xA_0000
FIRST_MIB: Final = 0x10_0000


@fn
def low_memory_kib() -> u32:
    """Conventional memory from 0 upwards in KiB, by INT 12h."""
    request = GateRequest.zeroed()
    call_bios(LOW_MEMORY, request, 0)
    return request.eax & 0xFFFF


@fn
def require_low_memory() -> None:
    """Raise if conventional memory, by INT 12h, ends below what the loader's layout takes."""
    kibibytes = low_memory_kib()
    if kibibytes * 1024 < LEAST_LOW_MEMORY:
        raise BootError(f"{kibibytes} KiB of memory below 1 MiB are too few: {LEAST_LOW_MEMORY // 1024} KiB are needed")


@fn
def reserve_low_memory(context: BootContext) -> None:
    """Reserve what the BIOS and the loader hold; what lies between them is free. Tell stage 4 what is its own.

    The firmware's part starts where INT 12h's memory ends, or at the extended BIOS data area: not every BIOS counts it.
    """
    context.page_tables = PAGE_TABLES
    context.page_tables_end = PAGE_TABLES_END
    context.loader_base = CONTEXT
    context.loader_size = PAGE_TABLES_END - CONTEXT
    reserve(context, 0, CONTEXT, RESERVED)
    reserve(context, CONTEXT, PAGE_TABLES_END, LOADER)
    firmware = min(low_memory_kib() * 1024, VIDEO_MEMORY)
    ebda = u32(bios_data().ebda_segment) << 4
    if LEAST_LOW_MEMORY <= ebda < firmware:
        firmware = ebda
    reserve(context, firmware, FIRST_MIB, RESERVED)


@fn
def reserve(context: BootContext, start: u64, end: u64, kind: u32) -> None:
    """Add [start, end) to the table."""
    if context.reservation_count == MAX_RESERVATIONS:
        raise BootError(f"more than {MAX_RESERVATIONS} pieces of memory are reserved")
    context.reservations[context.reservation_count] = MemoryRange(base=start, size=end - start, kind=kind)
    context.reservation_count += 1
