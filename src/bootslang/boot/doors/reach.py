"""Physical memory as a door sees it: every pointer of the loader before us is followed through here.

What it hands over is linked by plain numbers, and a wrong one must not lead anywhere. So a piece of memory becomes a
span only if it lies as a whole between `lowest` and `end`, which is what the entry stub has mapped: the first 4 GiB.
It need not be RAM by the memory map: QEMU has its PVH start info in the shadow of an option ROM. 64-bit mode; native in
tests, which narrow the bounds to memory of their own.
"""

from __future__ import annotations

from typing import Final

from bootslang.slang import BootError, compile_for, fn, span, u8, u64, usize

compile_for("long64")

MAX_TEXT_BYTES: Final = 0x2000
"""The longest text that is followed, its end included: four times the longest command line of Linux."""

lowest: u64 = 1
"""No structure lies at address 0: it means that there is none."""
end: u64 = 0x1_0000_0000


@fn
def view(what: span[u8], base: u64, size: u64) -> span[u8]:
    """The `size` bytes at `base`; an error names them as `what` if they are not all within reach."""
    if base < lowest or base > end or size > end - base:
        raise BootError(f"{what}: {size} bytes at {base:#x} lie outside the memory that a loader below 4 GiB can use")
    return span[u8](usize(base), usize(size))


@fn
def text_at(what: span[u8], base: u64) -> span[u8]:
    """The text at `base`, without the zero that ends it."""
    view(what, base, 1)
    room = view(what, base, min(MAX_TEXT_BYTES, end - base))
    for index in range(len(room)):
        if room[index] == 0:
            return room[:index]
    raise BootError(f"{what}: the text at {base:#x} has no end within {len(room)} bytes")


@fn
def text_in(data: span[u8]) -> span[u8]:
    """The text at the start of `data`: up to a zero, else all of it."""
    for index in range(len(data)):
        if data[index] == 0:
            return data[:index]
    return data
