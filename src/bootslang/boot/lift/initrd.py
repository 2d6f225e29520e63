"""The initrds: where they go. Linux takes one; several are put one behind the other, each at a multiple of 4 bytes."""

from typing import Final

from bootslang.boot.context import BootContext
from bootslang.boot.disk import INITRD, Manifest
from bootslang.boot.lift import allocator
from bootslang.boot.lift.allocator import Zone
from bootslang.boot.lift.limits import ADDRESS_END, FOUR_GIB, ONE_MIB, PAGE
from bootslang.boot.lift.memory_map import MemoryMap
from bootslang.slang import checked, compile_for, fn, text, u64

compile_for("protected32", "long64")

ALIGNMENT: Final = 4
"""Of each cpio archive in a row of them: Linux skips zeros to the next multiple."""


@fn
def start_of_next(total: u64) -> u64:
    """Where the next initrd starts, counted from the first, when `total` bytes are there already."""
    rounded: u64 = checked(total + (ALIGNMENT - 1))
    return rounded // ALIGNMENT * ALIGNMENT


@fn
def total_bytes(manifest: Manifest) -> u64:
    """The exact length of all initrds together; 0 if there is none."""
    total: u64 = 0
    for record in manifest.blobs[: manifest.blob_count]:
        if record.kind == INITRD and record.size:
            total = checked(start_of_next(total) + record.size)
    return total


@fn
def place(total: u64, limit: u64, may_lie_high: bool, memory: MemoryMap, context: BootContext) -> u64:
    """Reserve `total` bytes, as high as possible below `limit`; above 4 GiB if there is no room and it is allowed."""
    low = Zone(purpose=text("the initrd"), lowest=ONE_MIB, highest=limit, alignment=PAGE)
    if may_lie_high and allocator.find(memory, context, total, low) == allocator.NOWHERE:
        high = Zone(purpose=text("the initrd"), lowest=FOUR_GIB, highest=ADDRESS_END, alignment=PAGE)
        return allocator.allocate(memory, context, total, high)
    return allocator.allocate(memory, context, total, low)
