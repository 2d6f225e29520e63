"""The identity map of the 64-bit stage 4: what of the physical memory it can see, and what a 64-bit kernel starts with.

The entry maps the first 4 GiB; `cover` grows the map when something has to be read or written above. Tables come from
the door's memory first, then from the allocator.
"""

from typing import Final

from bootslang.boot.context import BootContext
from bootslang.boot.lift import allocator
from bootslang.boot.lift.allocator import Zone
from bootslang.boot.lift.limits import FOUR_GIB, ONE_MIB
from bootslang.boot.lift.memory_map import MemoryMap
from bootslang.slang import (
    BootError,
    checked,
    compile_for,
    fn,
    read_cr3,
    span,
    target,
    text,
    u32,
    u64,
    usize,
    write_cr3,
)

compile_for("protected32", "long64")

TABLE: Final = 0x03
"""Of an entry that points to a table: present, writable."""
LARGE_PAGE: Final = 0x83
"""Of an entry of level 2 that is a 2 MiB page: present, writable, large."""
LARGE_PAGE_BYTES: Final = 0x20_0000
TABLE_BYTES: Final = 0x1000
ENTRIES: Final = 512
FIRST_TABLES: Final = 6
"""What maps 4 GiB: one table of level 4, one of level 3, four of level 2."""
ADDRESS: Final = 0x000F_FFFF_FFFF_F000
"""The bits of an entry that hold an address."""
LEVEL4_LIMIT: Final = 1 << 47
"""The map of four levels to themselves ends here."""

CR0_PG: Final = 0x8000_0000
CR4_PAE: Final = 0x20
EFER: Final = 0xC000_0080
EFER_LME: Final = 0x100

tables_taken: u32 = FIRST_TABLES
"""Of the door's memory."""


@fn
def cover(base: u64, size: u64, memory: MemoryMap, context: BootContext) -> None:
    """Make [base, base + size) visible at its own addresses."""
    end = checked(base + size)
    if end <= FOUR_GIB:
        return
    if target.bits == 64:
        if end > LEVEL4_LIMIT:
            raise BootError(f"memory at {base:#x} lies beyond what four levels of page tables map")
        page = max(base, FOUR_GIB) // LARGE_PAGE_BYTES * LARGE_PAGE_BYTES
        while page < end:
            map_page(page, memory, context)
            page += LARGE_PAGE_BYTES
        write_cr3(read_cr3())
    else:
        raise BootError(f"memory at {base:#x} lies above 4 GiB, where this CPU's 32 bits do not reach")


@fn
def map_page(page: u64, memory: MemoryMap, context: BootContext) -> None:
    level4 = table_at(read_cr3())
    level3 = table_of(level4, page >> 39, memory, context)
    level2 = table_of(level3, page >> 30, memory, context)
    level2[usize(page >> 21) % ENTRIES] = page | LARGE_PAGE


@fn
def table_of(table: span[u64], index: u64, memory: MemoryMap, context: BootContext) -> span[u64]:
    """The table below `table` that its entry `index` (modulo 512) points to; made if there is none."""
    slot = usize(index) % ENTRIES
    if not table[slot]:
        table[slot] = new_table(memory, context) | TABLE
    return table_at(usize(table[slot] & ADDRESS))


@fn
def new_table(memory: MemoryMap, context: BootContext) -> u64:
    global tables_taken
    place: u64 = context.page_tables + tables_taken * TABLE_BYTES
    if place < context.page_tables_end:
        tables_taken += 1
    else:
        zone = Zone(purpose=text("page tables"), lowest=ONE_MIB, highest=FOUR_GIB, alignment=TABLE_BYTES)
        place = allocator.allocate(memory, context, TABLE_BYTES, zone)
    table_at(usize(place)).fill(0)
    return place


@fn
def table_at(place: usize) -> span[u64]:
    return span[u64](place, ENTRIES)
