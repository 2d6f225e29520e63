"""The initrds: where they go. Linux takes one; several are put one behind the other, each at a multiple of 4 bytes.

A single one that is in memory already, where Linux can take it, stays where it is.
"""

from typing import Final

from bootslang.boot.context import MODULE, BootContext
from bootslang.boot.lift import allocator
from bootslang.boot.lift.allocator import Zone
from bootslang.boot.lift.limits import ADDRESS_END, FOUR_GIB, ONE_MIB, PAGE
from bootslang.boot.lift.memory_map import MemoryMap
from bootslang.boot.lift.payload import Part, is_file
from bootslang.slang import checked, compile_for, fn, span, text, u64

compile_for("protected32", "long64")

ALIGNMENT: Final = 4
"""Of each cpio archive in a row of them: Linux skips zeros to the next multiple."""


@fn
def start_of_next(total: u64) -> u64:
    """Where the next initrd starts, counted from the first, when `total` bytes are there already."""
    rounded: u64 = checked(total + (ALIGNMENT - 1))
    return rounded // ALIGNMENT * ALIGNMENT


@fn
def total_bytes(parts: span[Part]) -> u64:
    """The exact length of all initrds together; 0 if there is none."""
    total: u64 = 0
    for part in parts:
        if part.size:
            total = checked(start_of_next(total) + part.size)
    return total


@fn
def place_as_it_is(parts: span[Part], limit: u64, may_lie_high: bool) -> u64:
    """Where the only initrd lies, if it can stay there; else 0."""
    place: u64 = 0
    for part in parts:
        if part.size:
            fits = may_lie_high or part.address + part.size <= limit
            if place or not is_file(part) or not fits or part.address < ONE_MIB or part.address % PAGE:
                return 0
            place = part.address
    return place


@fn
def place(total: u64, limit: u64, may_lie_high: bool, memory: MemoryMap, context: BootContext) -> u64:
    """Reserve `total` bytes, as high as possible below `limit`; above 4 GiB if there is no room and it is allowed."""
    low = Zone(purpose=text("the initrd"), lowest=ONE_MIB, highest=limit, alignment=PAGE, kind=MODULE)
    if may_lie_high and allocator.find(memory, context, total, low) == allocator.NOWHERE:
        high = Zone(purpose=text("the initrd"), lowest=FOUR_GIB, highest=ADDRESS_END, alignment=PAGE, kind=MODULE)
        return allocator.allocate(memory, context, total, high)
    return allocator.allocate(memory, context, total, low)
