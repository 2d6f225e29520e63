"""The arena: copies of what the loader before us has told, its texts and tables.

Every door keeps here what is still needed once its own structures may be overwritten: they lie anywhere in memory, and
nobody reserves them. The arena belongs to the loader's image, so a kernel finds it typed as the loader's memory.
64-bit mode; native in tests.
"""

from __future__ import annotations

from typing import Final

from bootslang.slang import BootError, array, compile_for, fn, span, u8, usize

compile_for("long64")

ARENA_BYTES: Final = 0x1_0000
"""A UEFI memory map has up to 250 lines of 48 bytes, and command lines some KiB."""
ALIGNMENT: Final = 16
"""Of each copy: an ACPI root pointer lies at a multiple of 16."""

arena: array[u8] = array[u8](ARENA_BYTES + ALIGNMENT)
used: usize = 0


@fn
def keep(data: span[u8]) -> span[u8]:
    """Copy `data` into the arena; the copy stays for as long as the loader does."""
    global used
    start = aligned(used)
    if len(data) > ARENA_BYTES - start:
        raise BootError(f"the loader before us tells more than the {ARENA_BYTES} bytes that can be kept")
    used = start + len(data)
    copy = arena[aligned(arena.address) - arena.address :][start:used]
    copy[:] = data
    return copy


@fn
def aligned(place: usize) -> usize:
    return (place + (ALIGNMENT - 1)) // ALIGNMENT * ALIGNMENT
