"""The way over: from the identity map of stage 4 to the address space of a kernel of your own.

The window is put into the present page tables too, the image's own addresses are moved there, and the code goes on
there, where it is in both address spaces. Then the last registers are set. Nothing comes back.
"""

from collections.abc import Callable
from typing import NoReturn

from bootslang.boot.handoff import STACK_BYTES
from bootslang.boot.lib import bios_data
from bootslang.boot.lib.image import image_start, relocate
from bootslang.boot.lift import exceptions
from bootslang.boot.lift.handoff import machine
from bootslang.boot.lift.handoff.tables import LEVEL4
from bootslang.boot.lift.handoff.window import Window
from bootslang.boot.lift.limits import PAGE
from bootslang.boot.lift.paging import ENTRIES, table_at
from bootslang.slang import Struct, address, asm, cast, compile_for, fn, halt, read_cr3, target, u64, usize

compile_for("long64")


class Departure(Struct):
    """What the last instructions need to know: virtual addresses, if nothing else is said."""

    entry: u64
    information: u64
    stack_top: u64
    direct_map: u64
    root: u64
    """Physical, for CR3."""


departure: Departure = Departure.zeroed()


@fn
def enter(window: Window) -> NoReturn:
    """Leave for the kernel; `departure` is filled. On the host the FakeMachine in force does it."""
    if target.host:
        asm("hand off", rdi=departure.information, rsi=departure.entry, rdx=departure.stack_top, rcx=departure.root)
        halt()
    machine.enable_nx()
    slot = usize(window.base >> LEVEL4) % ENTRIES
    table_at(read_cr3())[slot] = table_at(usize(departure.root))[slot]
    exceptions.kernel.stack_guard = window.stack_top - STACK_BYTES - PAGE
    machine.task.ist[: len(window.fault_stack_tops)] = window.fault_stack_tops
    distance = usize(window.base) - image_start()
    relocate(distance)
    go_on = cast(Callable[[], None], address(depart) + distance)
    go_on()
    halt()


@fn
def depart() -> None:
    """Runs in the window already."""
    machine.load_tables()
    exceptions.install(0, with_stacks=True)
    machine.silence()
    bios_data.low_memory_base = usize(departure.direct_map)
    machine.leave(departure.information, departure.entry, departure.stack_top, departure.root)
