"""The one allocator: memory that the map calls RAM and that nobody has reserved.

Every part of stage 4 takes its memory here. What is taken stands in the table of reservations in `BootContext`, which
the door has begun; nothing else is kept. Each call walks the map and the table, both of which are small and bounded.
All addresses are physical; a caller's `Zone` says what its payload or its page tables reach. Under UEFI, memory that
its boot services have used is taken only when nothing else is left.
"""

from __future__ import annotations

from typing import Final

from bootslang.boot.context import KERNEL, MAX_RESERVATIONS, RAM, RESERVED, SPENT_MEMORY, BootContext, MemoryRange
from bootslang.boot.lift import boot_services
from bootslang.boot.lift.memory_map import MemoryMap, end_of, overlaps
from bootslang.slang import BootError, Struct, compile_for, fn, span, target, u8, u32, u64

compile_for("protected32", "long64")

NOWHERE: Final = 0xFFFF_FFFF_FFFF_FFFF
"""No address: what a search gives that found nothing."""
KIB: Final = 1024


class Zone(Struct):
    """What an allocation is for, and where it may lie."""

    purpose: span[u8]
    """For messages: "the initrd"."""
    lowest: u64
    highest: u64
    """The first address behind the zone."""
    alignment: u64
    """A power of two."""
    kind: u32 = SPENT_MEMORY
    """What the reservation says: LOADER, KERNEL, MODULE; without more, what the kernel need not know of."""


@fn
def allocate(memory: MemoryMap, context: BootContext, size: u64, zone: Zone) -> u64:
    """Take `size` bytes, as high as possible in `zone`, and reserve them.

    An error says how much is missing.
    """
    place = find(memory, context, size, zone)
    if place == NOWHERE:
        largest = largest_gap(memory, context, zone)
        if largest >= size:
            raise BootError(
                f"no place for {zone.purpose}: {size:#x} free bytes aligned to {zone.alignment:#x} "
                f"between {zone.lowest:#x} and {zone.highest:#x} are needed"
            )
        raise BootError(
            f"not enough memory for {zone.purpose}: {round_up_kib(size)} KiB are needed "
            f"between {zone.lowest:#x} and {zone.highest:#x}, "
            f"the largest free piece has {largest // KIB} KiB, {round_up_kib(size - largest)} KiB are missing"
        )
    reserve(context, place, size, zone.kind)
    return place


@fn
def find(memory: MemoryMap, context: BootContext, size: u64, zone: Zone) -> u64:
    """Where `allocate` would put it; NOWHERE if it does not fit."""
    if size == 0 or zone.alignment == 0 or zone.alignment & (zone.alignment - 1) != 0:
        raise BootError(f"nobody can allocate {size} bytes aligned to {zone.alignment}")
    if target.bits == 64 and context.efi_map:
        place = search(memory, context, size, zone, spare_boot_services=True)
        if place != NOWHERE:
            return place
    return search(memory, context, size, zone, spare_boot_services=False)


@fn
def search(memory: MemoryMap, context: BootContext, size: u64, zone: Zone, spare_boot_services: bool) -> u64:
    """The highest place in `zone` for `size` bytes, or NOWHERE."""
    for index in reversed(range(memory.count)):
        area = memory.ranges[index]
        if area.kind != RAM:
            continue
        base = max(area.base, zone.lowest)
        end = min(area.base + area.size, zone.highest)
        while end > base and end - base >= size:
            place = (end - size) & ~(zone.alignment - 1)
            if place < base:
                break
            obstacle = lowest_obstacle(context, place, size)
            if spare_boot_services:
                obstacle = boot_services.lowest_start(context, place, size, obstacle)
            if obstacle == NOWHERE:
                return place
            end = obstacle
    return NOWHERE


@fn
def allocate_at(memory: MemoryMap, context: BootContext, base: u64, size: u64, purpose: span[u8]) -> None:
    """Take exactly the `size` bytes at `base`, or raise an error that says what is in the way.

    Nothing but a kernel wants to be somewhere.
    """
    if not is_ram(memory, base, size):
        raise BootError(f"{purpose} needs {size:#x} bytes at {base:#x}: they are not all RAM")
    obstacle = lowest_obstacle(context, base, size)
    if obstacle != NOWHERE:
        raise BootError(f"{purpose} needs {size:#x} bytes at {base:#x}: {obstacle:#x} is taken")
    reserve(context, base, size, KERNEL)


@fn
def is_free(memory: MemoryMap, context: BootContext, base: u64, size: u64) -> bool:
    """Tell whether the `size` bytes at `base` are RAM that nobody has reserved, and need not be spared."""
    obstacle = lowest_obstacle(context, base, size)
    return is_ram(memory, base, size) and boot_services.lowest_start(context, base, size, obstacle) == NOWHERE


@fn
def reserve(context: BootContext, base: u64, size: u64, kind: u32 = RESERVED) -> None:
    """Enter a reservation, whatever lies there: for what a door or the firmware has already taken."""
    if context.reservation_count >= MAX_RESERVATIONS:
        raise BootError(f"all {MAX_RESERVATIONS} reservations of memory are taken")
    if base + size < base:
        raise BootError(f"a reservation of {size:#x} bytes at {base:#x} wraps around")
    if size == 0:
        return
    context.reservations[context.reservation_count] = MemoryRange(base=base, size=size, kind=kind)
    context.reservation_count += 1


@fn
def release(context: BootContext, base: u64) -> None:
    """Give back the reservation that starts at `base`; the last one moves to its place in the table."""
    for index in range(reservations(context)):
        if context.reservations[index].base == base:
            release_entry(context, index)
            return
    raise BootError(f"nothing is reserved at {base:#x}")


@fn
def release_entry(context: BootContext, index: u64) -> None:
    """Give back a reservation by its place in the table."""
    context.reservation_count -= 1
    context.reservations[index] = context.reservations[context.reservation_count]


@fn
def reservations(context: BootContext) -> u64:
    """How many reservations there are; the table comes from another stage, so the number is not believed blindly."""
    return min(u64(context.reservation_count), MAX_RESERVATIONS)


@fn
def is_ram(memory: MemoryMap, base: u64, size: u64) -> bool:
    """Tell whether one range of RAM holds all `size` bytes at `base`."""
    for index in range(memory.count):
        area = memory.ranges[index]
        if area.kind == RAM and base >= area.base and base - area.base < area.size:
            return size <= area.size - (base - area.base)
    return False


@fn
def lowest_obstacle(context: BootContext, base: u64, size: u64) -> u64:
    """The lowest start of a reservation that overlaps the `size` bytes at `base`; NOWHERE if there is none."""
    lowest: u64 = NOWHERE
    for index in range(reservations(context)):
        taken = context.reservations[index]
        if overlaps(taken, base, size):
            lowest = min(lowest, taken.base)
    return lowest


@fn
def largest_gap(memory: MemoryMap, context: BootContext, zone: Zone) -> u64:
    """The size of the largest free piece of RAM in `zone`, in bytes."""
    largest: u64 = 0
    for index in range(memory.count):
        area = memory.ranges[index]
        if area.kind != RAM:
            continue
        cursor = max(area.base, zone.lowest)
        end = min(area.base + area.size, zone.highest)
        while cursor < end:
            obstacle = min(lowest_obstacle(context, cursor, end - cursor), end)
            if obstacle > cursor:
                largest = max(largest, obstacle - cursor)
                cursor = obstacle
            else:
                cursor = end_of_obstacle(context, cursor)
    return largest


@fn
def end_of_obstacle(context: BootContext, place: u64) -> u64:
    """The first address behind the reservations that cover `place`, which at least one does."""
    end = place + 1
    for index in range(reservations(context)):
        taken = context.reservations[index]
        if taken.base <= place:
            end = max(end, end_of(taken))
    return end


@fn
def round_up_kib(size: u64) -> u64:
    return size // KIB + u64(size % KIB != 0)
