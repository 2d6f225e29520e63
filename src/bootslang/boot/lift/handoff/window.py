"""The window: what of the loader a kernel of your own still finds mapped, at most 2 MiB of it.

From its base upwards: the running image, each page with its rights; then the stacks of the exception handlers and the
kernel's own, a page below each that is not mapped, so that a stack that overflows faults instead of growing into what
lies there.
"""

from typing import Final

from bootslang.boot.handoff import STACK_BYTES
from bootslang.boot.lib.image import bss_end, image_start, rodata_end, text_end
from bootslang.boot.lift.handoff.addresses import WINDOW_BYTES
from bootslang.boot.lift.handoff.machine import STACKS
from bootslang.boot.lift.handoff.tables import CODE_RIGHTS, DATA_RIGHTS, READ_ONLY_RIGHTS, PageTables
from bootslang.boot.lift.limits import PAGE
from bootslang.slang import BootError, Struct, array, compile_for, fn, length, u64

compile_for("long64")

FAULT_STACK_BYTES: Final = 0x2000
"""Of each exception handler with a stack of its own: it prints, and no more."""
ALL_STACKS_BYTES: Final = STACKS * FAULT_STACK_BYTES + STACK_BYTES


class Window(Struct):
    base: u64
    """Virtual, as the next two."""
    stack_top: u64
    fault_stack_tops: array[u64] = length(STACKS)


@fn
def image_bytes() -> u64:
    return bss_end() - image_start()


@fn
def map_window(window: Window, tables: PageTables, stacks: u64) -> None:
    """Map the window, whose base is set; note where the stacks end.

    stacks: ALL_STACKS_BYTES of physical memory.
    """
    map_image(window.base, tables)
    place = window.base + image_bytes()
    for index in range(STACKS):
        place = map_stack(tables, place, stacks, FAULT_STACK_BYTES)
        window.fault_stack_tops[index] = place
        stacks += FAULT_STACK_BYTES
    window.stack_top = map_stack(tables, place, stacks, STACK_BYTES)
    if window.stack_top > window.base + WINDOW_BYTES:
        raise BootError(f"the loader takes {window.stack_top - window.base:#x} bytes of addresses: 2 MiB are its limit")


@fn
def map_image(base: u64, tables: PageTables) -> None:
    """Map the image that runs now: code, constants, variables."""
    start = image_start()
    tables.map(base, start, text_end() - start, CODE_RIGHTS)
    tables.map(base + text_end() - start, text_end(), rodata_end() - text_end(), READ_ONLY_RIGHTS)
    tables.map(base + rodata_end() - start, rodata_end(), bss_end() - rodata_end(), DATA_RIGHTS)


@fn
def map_stack(tables: PageTables, below: u64, physical: u64, size: u64) -> u64:
    """Map a stack behind a page that is not mapped; return its end."""
    tables.map(below + PAGE, physical, size, DATA_RIGHTS)
    return below + PAGE + size
