"""A progress bar for what takes over a second. Stage 4 calls it while it reads; flat 32- or 64-bit mode.

Seconds are those of the real-time clock, seen at each step: a processor's time stamp counter would have to be measured
first, and the BIOS's timer ticks stand still while interrupts are off. A machine without the clock gets no bar.
"""

from typing import Final

from bootslang.boot.lib import console
from bootslang.slang import compile_for, fn, inb, outb, text, u8, u32, u64

compile_for("protected32", "long64")

CLOCK_INDEX: Final = 0x70
CLOCK_DATA: Final = 0x71
SECONDS: Final = 0x00
STATUS_A: Final = 0x0A
UPDATING: Final = 0x80
MARKS: Final = 50
TICKS_UNTIL_SHOWN: Final = 2
"""The clock's second may be about to end when we start: the second change is the first that is a second away."""

step: u64 = 0
"""Bytes a mark."""
done: u64 = 0
marks: u32 = 0
ticks: u32 = 0
last_second: u8 = 0
shown: bool = False


@fn
def start(total: u64) -> None:
    """Begin: `total` bytes are to come."""
    global step, done, marks, ticks, last_second, shown
    step = total // MARKS + 1
    done = 0
    marks = 0
    ticks = 0
    shown = False
    last_second = second()


@fn
def advance(size: u64) -> None:
    """Count `size` more bytes; draw the bar once the clock says that it is worth it."""
    global done, ticks, last_second, shown
    done += size
    if not shown:
        now = second()
        if now != last_second:
            last_second = now
            ticks += 1
        if ticks < TICKS_UNTIL_SHOWN:
            return
        shown = True
    draw(done // step)


@fn
def finish() -> None:
    """Complete the bar, if there is one, and its line."""
    if shown:
        draw(MARKS)
        console.bar_open = False
        console.write(text("\n"))


@fn
def draw(wanted: u64) -> None:
    """Add marks up to `wanted`; a bar that a message has interrupted starts again below it."""
    global marks
    if not console.bar_open:
        console.write(text("["))
        for _ in range(MARKS):
            console.put(ord("."))
        console.write(text("]\r["))
        marks = 0
        console.bar_open = True
    while marks < min(wanted, MARKS):
        console.put(ord("#"))
        marks += 1


@fn
def second() -> u8:
    """The clock's second, in whatever notation; while the clock changes it, the last one that was seen."""
    outb(CLOCK_INDEX, STATUS_A)
    if inb(CLOCK_DATA) & UPDATING:
        return last_second
    outb(CLOCK_INDEX, SECONDS)
    return inb(CLOCK_DATA)
