"""The BIOS data area at 0x400, as far as the loader reads or keeps it, and where low memory is seen; flat modes.

Its fields are the BIOS's own variables, and its interrupt handlers change them: hence volatile.
"""

from typing import Final

from bootslang.slang import Struct, at, compile_for, fn, target, u8, u16, usize, volatile

compile_for("protected32", "long64")

BIOS_DATA: Final = 0x400


class BiosData(Struct):
    """IBM PC/AT BIOS data area; offsets from 0x400."""

    ebda_segment: volatile[u16] = at(0x0E)
    video_mode: volatile[u8] = at(0x49)
    columns: volatile[u16] = at(0x4A)
    page_offset: volatile[u16] = at(0x4E)
    """Where the page that is shown starts in the screen's memory, in bytes."""
    cursor: volatile[u16] = at(0x50)
    """Of page 0: column in the low byte, row in the high one."""
    page: volatile[u8] = at(0x62)
    crtc_port: volatile[u16] = at(0x63)
    """0x3D4 in colour, 0x3B4 in monochrome."""
    hard_disks: volatile[u8] = at(0x75)
    last_row: volatile[u8] = at(0x84)
    """Rows less one; 0 on adapters older than EGA, which have 25."""
    font_points: volatile[u16] = at(0x85)


low_memory_base: usize = 0
"""Where the first MiB is seen. The 64-bit hand-off, which ends the identity map, sets it to the direct map's base."""


@fn
def low_memory() -> usize:
    """Where physical address 0 is seen; in 32 bits, there is nothing to look up."""
    if target.bits == 64:
        return low_memory_base
    return 0


@fn
def bios_data() -> BiosData:
    return BiosData.at(low_memory() + BIOS_DATA)
