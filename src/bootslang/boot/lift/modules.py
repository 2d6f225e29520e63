"""Files in memory: what the loader before us put there, wherever it liked.

They are read where they are. One that lies where the kernel has to go is moved out of the way first. 64-bit doors alone
bring such files.
"""

from bootslang.boot.context import MODULE, SPENT_MEMORY, BootContext, MemoryRange
from bootslang.boot.lift import allocator, paging
from bootslang.boot.lift.allocator import NOWHERE, Zone
from bootslang.boot.lift.limits import FOUR_GIB, ONE_MIB, PAGE
from bootslang.boot.lift.memory_map import MemoryMap, overlaps
from bootslang.slang import compile_for, fn, span, text, u8, u64, usize

compile_for("protected32", "long64")


@fn
def move_out_of(way: MemoryRange, place: u64, size: u64, memory: MemoryMap, context: BootContext) -> u64:
    """Move the file of `size` bytes at `place` if a byte of it lies in `way`; return where it is then.

    Above the way, if there is room; else below it.
    """
    if not size or not overlaps(way, place, size):
        return place
    zone = Zone(
        purpose=text("a file that lies where the kernel has to be"),
        lowest=way.base + way.size,
        highest=FOUR_GIB,
        alignment=PAGE,
        kind=MODULE,
    )
    if allocator.find(memory, context, size, zone) == NOWHERE:
        zone.lowest = ONE_MIB
        zone.highest = way.base
    moved = allocator.allocate(memory, context, size, zone)
    copy(place, size, moved, memory, context)
    forget(place, size, context)
    return moved


@fn
def copy(place: u64, size: u64, to: u64, memory: MemoryMap, context: BootContext) -> None:
    """Copy a file, or a piece of it, that may lie above 4 GiB, to memory that is mapped."""
    paging.cover(place, size, memory, context)
    span[u8](usize(to), usize(size))[:] = span[u8](usize(place), usize(size))


@fn
def forget(place: u64, size: u64, context: BootContext) -> None:
    """Give back the memory of a file that nobody needs any more, as the door has reserved it."""
    for index in range(allocator.reservations(context)):
        taken = context.reservations[index]
        covers = taken.base <= place and size <= taken.size and place - taken.base <= taken.size - size
        if covers and taken.kind in (MODULE, SPENT_MEMORY):
            allocator.release_entry(context, index)
            return
