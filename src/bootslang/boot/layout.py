"""Where everything lies below 1 MiB, and the selectors of the one GDT that stages 2 to 4 share.

This is the only table of fixed addresses. The linker's bases, the checks on the machine and the book's picture come
from it. Nothing above 1 MiB has a fixed place: the allocator decides. The one address there is where the loader of the
other doors asks to be put, and it runs anywhere.
"""

from typing import Final

BOOT_SECTOR: Final = 0x7C00
"""Stage 1, where a BIOS puts the boot sector."""
BOOT_SECTOR_CODE_BYTES: Final = 440
"""The disk signature and the partition table follow."""
LOW_STACK_BOTTOM: Final = 0x1000
LOW_STACK_TOP: Final = 0x7C00
"""The stack of stages 1 to 3 and of every BIOS call, in real and in protected mode alike."""
STAGE2: Final = 0x8000
STAGE2_END: Final = 0x10000
"""Stage 2 and the BIOS gate stay below 64 KiB, so that real mode reaches them with segment 0."""
STAGE3: Final = 0x10000
STAGE3_END: Final = 0x18000
CONTEXT: Final = 0x18000
CONTEXT_END: Final = 0x1C000
STAGE4: Final = 0x20000
STAGE4_END: Final = 0x58000
STAGE4_STACK_BOTTOM: Final = 0x58000
STAGE4_STACK_TOP: Final = 0x60000
BOUNCE: Final = 0x60000
BOUNCE_END: Final = 0x70000
"""What INT 13h fills: 64 KiB that cross no 64 KiB boundary."""
PAGE_TABLES: Final = 0x70000
PAGE_TABLES_END: Final = 0x80000
LEAST_LOW_MEMORY: Final = 0x80000
"""Low memory, as INT 12h tells it, has to reach this far (512 KiB)."""

LOADER: Final = 0xC0_0000
"""Where the loader for Multiboot and PVH is linked: who cannot move it puts it here, QEMU and most monitors.

Kernels with places of their own want 16 MiB (Linux, since 2008) or 1 MiB (older ones, and many small kernels). This
leaves the first all of its room and the second 11 MiB, and keeps out of the hole at 15 MiB of some old machines.
"""
LOADER_MEMORY: Final = 0x20_0000
"""The most that it may take there, stack and page tables included."""

NULL_SELECTOR: Final = 0x00
CODE64: Final = 0x08
CODE32: Final = 0x10
DATA32: Final = 0x18
"""Flat, 4 GiB."""
CODE16: Final = 0x20
DATA16: Final = 0x28
"""Base 0, limit 0xFFFF: what a BIOS expects of segments."""

assert BOOT_SECTOR >= LOW_STACK_TOP > LOW_STACK_BOTTOM
assert STAGE2_END <= 0x10000, "real mode reaches the gate with segment 0"
assert STAGE2_END <= STAGE3 and STAGE3_END <= CONTEXT and CONTEXT_END <= STAGE4 and STAGE4_END <= STAGE4_STACK_BOTTOM
assert STAGE4_STACK_TOP <= BOUNCE and BOUNCE_END <= PAGE_TABLES and PAGE_TABLES_END <= LEAST_LOW_MEMORY
assert LOADER + LOADER_MEMORY <= 0xF0_0000, "clear of the hole at 15 MiB and of Linux at 16 MiB"
assert BOUNCE % 0x10000 == 0 and BOUNCE_END - BOUNCE <= 0x10000, "one transfer crosses no 64 KiB boundary"
