"""Where in the 48-bit address space of a kernel of your own everything goes: kernel, direct map, window.

The kernel comes first. One that is linked at fixed addresses gets them, wherever they are; one that moves goes to
KERNEL. The window and the direct map then go where the kernel is not. All of this is arithmetic, and tested as such.
"""

from typing import Final

from bootslang.boot.lift.handoff.kernel import HIGH_HALF, HandoffKernel
from bootslang.boot.lift.limits import FOUR_GIB
from bootslang.boot.lift.memory_map import ACPI_NVS, ACPI_RECLAIMABLE, MemoryMap
from bootslang.boot.lift.paging import LARGE_PAGE_BYTES
from bootslang.slang import BootError, Struct, compile_for, fn, u64

compile_for("long64")

RAM: Final = 1
GIB: Final = 0x4000_0000

KERNEL: Final = 0xFFFF_FFFF_8000_0000
"""The upper 2 GiB, which code of the "kernel" model reaches with 32-bit addresses."""
KERNEL_END: Final = 0xFFFF_FFFF_FFE0_0000
"""A kernel at a random place ends below the last 2 MiB."""
WINDOW_BYTES: Final = 0x20_0000
WINDOW: Final = KERNEL - WINDOW_BYTES
"""Of the loader's own pages; a kernel that is linked there makes it go 1 GiB lower."""
DIRECT_MAP: Final = HIGH_HALF
DIRECT_MAP_STEP: Final = 0x80_0000_0000
"""512 GiB: what one entry of the highest table is for. The direct map has entries of its own."""
DIRECT_MAP_LIMIT: Final = 0xFFFF_FF80_0000_0000
"""The highest entry is the window's."""


class AddressSpace(Struct):
    """What is seen where: virtual addresses."""

    kernel: u64
    kernel_end: u64
    direct_map: u64
    direct_map_bytes: u64
    window: u64


@fn
def lay_out(space: AddressSpace, kernel: HandoffKernel, shown: u64) -> None:
    """Find places for all but the kernel, whose shift is known.

    shown: how much of physical memory the direct map shows.
    """
    space.kernel = kernel.low + kernel.shift
    space.kernel_end = kernel.end + kernel.shift
    space.direct_map = direct_map_for(shown, space.kernel, space.kernel_end)
    space.direct_map_bytes = shown
    space.window = window_for(space.kernel, space.kernel_end)


@fn
def kernel_shift(kernel: HandoffKernel, randomise: bool, random: u64) -> u64:
    """What to add to the kernel's addresses: a multiple of 2 MiB, 0 for one that does not move.

    random: any number; where the kernel is put at random, it alone decides.
    """
    if not kernel.is_movable():
        return 0
    low = kernel.low // LARGE_PAGE_BYTES * LARGE_PAGE_BYTES
    if not randomise:
        return 0 if low >= HIGH_HALF else KERNEL - low
    places = (KERNEL_END - KERNEL - (kernel.end - low)) // LARGE_PAGE_BYTES + 1
    return KERNEL - low + random % places * LARGE_PAGE_BYTES


@fn
def window_for(start: u64, end: u64) -> u64:
    """Where the window goes for a kernel that takes [start, end)."""
    window: u64 = WINDOW
    while window < end and start < window + WINDOW_BYTES:
        window -= GIB
    return window


@fn
def direct_map_bytes(memory: MemoryMap, also: u64) -> u64:
    """How much of physical memory the direct map shows: at least 4 GiB, all RAM, and what is below `also`."""
    end = max(FOUR_GIB, also)
    for area in memory.ranges[: memory.count]:
        if area.kind in (RAM, ACPI_RECLAIMABLE, ACPI_NVS):
            end = max(end, area.base + area.size)
    return (end + GIB - 1) // GIB * GIB


@fn
def direct_map_for(size: u64, start: u64, end: u64) -> u64:
    """Where a direct map of `size` bytes goes for a kernel that takes [start, end)."""
    base: u64 = DIRECT_MAP
    while size <= DIRECT_MAP_LIMIT - base:
        first = start // DIRECT_MAP_STEP * DIRECT_MAP_STEP
        if base + size <= first or end <= base:
            return base
        base += DIRECT_MAP_STEP
    raise BootError(
        f"{size // GIB} GiB of physical addresses are more than a direct map has room for beside the kernel"
    )
