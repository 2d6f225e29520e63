"""The BIOS data area at 0x400, as far as the loader reads or keeps it; 32- or 64-bit flat mode.

Its fields are the BIOS's own variables, and its interrupt handlers change them: hence volatile.
"""

from typing import Final

from bootslang.slang import Struct, at, u8, u16, volatile

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
