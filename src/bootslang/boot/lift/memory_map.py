"""The memory map as stage 4 works with it: sorted, without overlaps, from whatever the firmware told.

`normalise` runs once, at the start of stage 4 (32- or 64-bit), before anything is allocated. It reads the raw lines of
`BootContext` and leaves ranges in ascending order, each byte in at most one of them, the more restrictive kind where
the firmware said two things about the same byte. Without an E820 map one is built from what E801h or 88h said.
"""

from __future__ import annotations

from typing import Final

from bootslang.boot.context import MAX_MEMORY_RANGES, RAM, RESERVED, BootContext, MemoryRange
from bootslang.boot.layout import LEAST_LOW_MEMORY
from bootslang.slang import BootError, Struct, array, compile_for, fn, length, u32, u64

compile_for("protected32", "long64")

ACPI_RECLAIMABLE: Final = 3
ACPI_NVS: Final = 4
UNUSABLE: Final = 5
PERSISTENT: Final = 7
LEGACY_PERSISTENT: Final = 12

PHYSICAL_END: Final = 1 << 52
"""No x86 CPU addresses more than 52 bits of physical memory."""
MAX_BOUNDARIES: Final = 2 * MAX_MEMORY_RANGES
MAX_RANGES: Final = MAX_BOUNDARIES - 1
"""Between the ends of n ranges there are at most 2n - 1 stretches."""
HIGH_MEMORY: Final = 0x10_0000
"""Where memory goes on above the firmware's first MiB."""


class MemoryMap(Struct):
    """Ranges in ascending order that do not overlap; neighbours that touch are of different kinds."""

    count: u32
    ranges: array[MemoryRange] = length(MAX_RANGES)


class Boundaries(Struct):
    """Every address where a range starts or ends, ascending."""

    count: u32
    places: array[u64] = length(MAX_BOUNDARIES)


@fn
def normalise(context: BootContext, into: MemoryMap) -> None:
    """Build the map in `into` from the firmware's lines in `context`."""
    if context.memory_count > MAX_MEMORY_RANGES:
        raise BootError(f"the memory map has {context.memory_count} lines, at most {MAX_MEMORY_RANGES} are possible")
    into.count = 0
    boundaries = Boundaries.zeroed()
    for index in range(context.memory_count):
        line = context.memory[index]
        if is_credible(line):
            insert_boundary(boundaries, line.base)
            insert_boundary(boundaries, end_of(line))
    for index in range(1, boundaries.count):
        base = boundaries.places[index - 1]
        end = boundaries.places[index]
        kind = kind_at(context, base)
        if end > base and kind != 0:
            append_range(into, base, end, kind)
    if into.count == 0:
        map_without_e820(context, into)


@fn
def map_without_e820(context: BootContext, into: MemoryMap) -> None:
    """Fall back on what E801h, else 88h, said of the memory above 1 MiB; stage 2 has made sure of the memory below."""
    high_kib = context.alt_mem_k
    if high_kib == 0:
        high_kib = context.ext_mem_k
    append_range(into, 0, LEAST_LOW_MEMORY, RAM)
    append_range(into, LEAST_LOW_MEMORY, HIGH_MEMORY, RESERVED)
    if high_kib != 0:
        append_range(into, HIGH_MEMORY, HIGH_MEMORY + u64(high_kib) * 1024, RAM)


@fn
def is_credible(line: MemoryRange) -> bool:
    """Tell whether a line says anything: empty ones and memory that no CPU reaches do not.

    A line that wraps around 2^64 is nonsense. Where it claims RAM it is not believed; where it forbids, it is clipped.
    """
    if line.size == 0 or line.base >= PHYSICAL_END:
        return False
    wraps = line.base + line.size < line.base
    return not (wraps and line.kind == RAM)


@fn
def end_of(line: MemoryRange) -> u64:
    """The first address behind a line of the firmware's map, at most PHYSICAL_END."""
    if line.size > PHYSICAL_END - line.base:
        return PHYSICAL_END
    return line.base + line.size


@fn
def overlaps(taken: MemoryRange, base: u64, size: u64) -> bool:
    """Tell whether a reservation has a byte in common with the `size` bytes at `base`; no sum that could wrap."""
    if taken.base >= base:
        return taken.base - base < size and taken.size != 0
    return base - taken.base < taken.size


@fn
def insert_boundary(boundaries: Boundaries, place: u64) -> None:
    """Keep the boundaries sorted: an insertion sort, for at most 256 of them."""
    index = boundaries.count
    while index > 0 and boundaries.places[index - 1] > place:
        boundaries.places[index] = boundaries.places[index - 1]
        index -= 1
    boundaries.places[index] = place
    boundaries.count += 1


@fn
def kind_at(context: BootContext, place: u64) -> u32:
    """The most restrictive kind that the firmware gives the byte at `place`; 0 where it says nothing."""
    kind: u32 = 0
    for index in range(context.memory_count):
        line = context.memory[index]
        covers = is_credible(line) and line.base <= place and place < end_of(line)
        if covers and (kind == 0 or is_stricter(line.kind, kind)):
            kind = line.kind
    return kind


@fn
def is_stricter(kind: u32, than: u32) -> bool:
    """Order kinds by how little may be done with the memory; of two unknown ones the greater number is stricter."""
    first = strictness(kind)
    second = strictness(than)
    return first > second or (first == second and kind > than)


@fn
def strictness(kind: u32) -> u32:
    if kind == RAM:
        return 0
    if kind == ACPI_RECLAIMABLE:
        return 1
    if kind in (PERSISTENT, LEGACY_PERSISTENT):
        return 2
    if kind == ACPI_NVS:
        return 3
    if kind == UNUSABLE:
        return 5
    return 4


@fn
def append_range(into: MemoryMap, base: u64, end: u64, kind: u32) -> None:
    """Add the range from `base` to before `end` above all others, joined to the last one where both are alike."""
    if into.count > 0:
        last = into.ranges[into.count - 1]
        if last.kind == kind and last.base + last.size == base:
            last.size += end - base
            return
    into.ranges[into.count] = MemoryRange(base=base, size=end - base, kind=kind)
    into.count += 1
