"""Time, as the CPU's time stamp counter tells it: when a stage began, and what stage 4 spends it on.

A CPU without one, which another door than the BIOS's may meet, leaves all at 0.
"""

from typing import Final

from bootslang.boot.context import FLAG_TSC, BootContext
from bootslang.slang import compile_for, fn, read_tsc, u64, usize

compile_for("protected32", "long64")

STAMP_LIFT: Final = 4
STAMP_KERNEL: Final = 5
"""Indices of BootContext.stamps."""


@fn
def stamp(context: BootContext, index: usize) -> None:
    """Note the time as one of `BootContext.stamps`."""
    context.stamps[index] = now(context)


@fn
def now(context: BootContext) -> u64:
    """The counter, or 0 where there is none."""
    return read_tsc() if context.flags & FLAG_TSC else u64(0)


@fn
def spend(context: BootContext, activity: usize, since: u64) -> None:
    """Add what has passed since `since` to one of `BootContext.spent`."""
    context.spent[activity] += now(context) - since
