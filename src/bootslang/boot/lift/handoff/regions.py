"""The memory map that a kernel of your own gets: the firmware's, and in its RAM what loader, kernel and modules hold.

All else that was reserved on the way (staging, the file that the kernel came in, the loader before us) is plain RAM
again. What is held counts by whole pages; the firmware's own ranges keep their bounds to the byte.
"""

from bootslang.boot.context import KERNEL, LOADER, MODULE, RAM, BootContext, MemoryRange
from bootslang.boot.handoff import MemoryRegion
from bootslang.boot.lift import allocator
from bootslang.boot.lift.limits import PAGE
from bootslang.boot.lift.memory_map import MemoryMap
from bootslang.slang import compile_for, fn, span, u32, u64, usize

compile_for("long64")


@fn
def most_regions(memory: MemoryMap, context: BootContext) -> u64:
    """How many regions `write_regions` makes at most: what somebody holds may cut one into three."""
    count = memory.count
    for taken in context.reservations[: allocator.reservations(context)]:
        if is_held(taken):
            count += 2
    return count


@fn
def write_regions(memory: MemoryMap, context: BootContext, into: span[MemoryRegion]) -> usize:
    """Write the map; return how many regions it has."""
    count: usize = 0
    for area in memory.ranges[: memory.count]:
        start = area.base
        end = area.base + area.size
        while start < end:
            kind = area.kind
            stop = end
            if kind == RAM:
                kind = holder_of(context, start)
                stop = min(end, next_change(context, start))
            count = append(into, count, MemoryRegion(base=start, size=stop - start, kind=kind, reserved=0))
            start = stop
    return count


@fn
def append(into: span[MemoryRegion], count: usize, region: MemoryRegion) -> usize:
    """Add a region behind the others, joined to the last one where both are alike; return how many there are then."""
    if count:
        last = into[count - 1]
        if last.kind == region.kind and last.base + last.size == region.base:
            last.size += region.size
            return count
    into[count] = region
    return count + 1


@fn
def holder_of(context: BootContext, place: u64) -> u32:
    """Who holds the byte of RAM at `place`: LOADER, KERNEL, MODULE, or nobody (RAM)."""
    holder: u32 = RAM
    for taken in context.reservations[: allocator.reservations(context)]:
        if is_held(taken) and first_page(taken.base) <= place < behind_last_page(taken.base, taken.size):
            holder = max(holder, taken.kind)
    return holder


@fn
def next_change(context: BootContext, place: u64) -> u64:
    """The first address above `place` where somebody else may hold the memory."""
    change: u64 = allocator.NOWHERE
    for taken in context.reservations[: allocator.reservations(context)]:
        if is_held(taken):
            first = first_page(taken.base)
            behind = behind_last_page(taken.base, taken.size)
            if first > place:
                change = min(change, first)
            if behind > place:
                change = min(change, behind)
    return change


@fn
def is_held(taken: MemoryRange) -> bool:
    return taken.size != 0 and taken.kind in (LOADER, KERNEL, MODULE)


@fn
def first_page(base: u64) -> u64:
    return base // PAGE * PAGE


@fn
def behind_last_page(base: u64, size: u64) -> u64:
    return (base + size + PAGE - 1) // PAGE * PAGE
