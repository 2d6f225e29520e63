"""Memory that UEFI's boot services have used: RAM like any other once they are gone, and yet better spared.

The firmware's map calls it free, but Linux still reads tables there while it starts: the memory attributes, the ESRT,
the TPM's log, and what else the system table leads to without a type of its own. So the allocator takes it last; a
kernel that has but one place gets that place, and what a kernel is told of its memory is not changed. The map is the
copy of UEFI's own in `BootContext`, and nothing in it is trusted. Source: UEFI 2.10, 7.2.3.
"""

from __future__ import annotations

from typing import Final

from bootslang.boot.context import BootContext, MemoryRange
from bootslang.boot.lift.memory_map import PHYSICAL_END, overlaps
from bootslang.slang import Struct, compile_for, fn, sizeof, span, target, u8, u32, u64, usize

compile_for("protected32", "long64")

CODE: Final = 3
DATA: Final = 4
"""EfiBootServicesCode and EfiBootServicesData."""
PAGE_SHIFT: Final = 12
MAX_PAGES: Final = PHYSICAL_END >> PAGE_SHIFT


class Descriptor(Struct):
    """EFI_MEMORY_DESCRIPTOR; a firmware's may be longer."""

    type: u32
    reserved: u32
    base: u64
    virtual: u64
    pages: u64
    attributes: u64


@fn
def lowest_start(context: BootContext, base: u64, size: u64, limit: u64) -> u64:
    """The lowest start of such memory that overlaps the `size` bytes at `base`, if it is below `limit`; else that."""
    if target.bits == 64 and context.efi_map:
        rest = span[u8](usize(context.efi_map), usize(context.efi_map_size))
        step = max(usize(context.efi_descriptor_size), sizeof(Descriptor))
        while len(rest) >= step:
            found = Descriptor.of(rest)
            area = MemoryRange(base=found.base, size=min(found.pages, MAX_PAGES) << PAGE_SHIFT, kind=found.type)
            if area.kind in (CODE, DATA) and area.base < limit and overlaps(area, base, size):
                limit = area.base
            rest = rest[step:]
    return limit
