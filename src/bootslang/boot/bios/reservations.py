"""What is taken of the memory below 1 MiB: stage 3 begins the table of reservations that every later stage sees."""

from typing import Final

from bootslang.boot.bios.calls import low_memory_kib
from bootslang.boot.context import MAX_RESERVATIONS, RESERVED, BootContext, MemoryRange
from bootslang.boot.layout import LEAST_LOW_MEMORY, PAGE_TABLES_END
from bootslang.boot.lib.bios_data import BIOS_DATA, BiosData
from bootslang.slang import BootError, compile_for, fn, u32, u64

compile_for("protected32")

VIDEO_MEMORY: Final = 0xA_0000
FIRST_MIB: Final = 0x10_0000


@fn
def reserve_low_memory(context: BootContext) -> None:
    """Reserve what the BIOS and the loader hold; what lies between them is free.

    The firmware's part starts where INT 12h's memory ends, or at the extended BIOS data area: not every BIOS counts it.
    """
    reserve(context, 0, PAGE_TABLES_END)
    firmware = min(low_memory_kib() * 1024, VIDEO_MEMORY)
    ebda = u32(BiosData.at(BIOS_DATA).ebda_segment) << 4
    if LEAST_LOW_MEMORY <= ebda < firmware:
        firmware = ebda
    reserve(context, firmware, FIRST_MIB)


@fn
def reserve(context: BootContext, start: u64, end: u64) -> None:
    """Add [start, end) to the table."""
    if context.reservation_count == MAX_RESERVATIONS:
        raise BootError(f"more than {MAX_RESERVATIONS} pieces of memory are reserved")
    context.reservations[context.reservation_count] = MemoryRange(base=start, size=end - start, kind=RESERVED)
    context.reservation_count += 1
