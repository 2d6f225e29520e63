"""The text screen, written straight into its memory; the console of stages 2 to 4 uses it. Flat 32- or 64-bit mode.

The BIOS's own cursor is kept up to date (the data area at 0x400 and the CRT controller), so that every stage goes on
where the last one stopped, and so does whatever the BIOS or the kernel prints.
"""

from typing import Final

from bootslang.boot.lib.bios_data import bios_data, low_memory
from bootslang.slang import compile_for, fn, outb, span, u8, u16, usize, volatile

compile_for("protected32", "long64")

COLOUR_MEMORY: Final = 0xB8000
MONOCHROME_MEMORY: Final = 0xB0000
MEMORY_BYTES: Final = 0x8000
LAST_COLOUR_TEXT_MODE: Final = 3
MONOCHROME_TEXT_MODE: Final = 7

GREY_ON_BLACK: Final = 0x0700
SPACE: Final = 0x20
BACKSPACE: Final = 0x08
LINE_FEED: Final = 0x0A
CARRIAGE_RETURN: Final = 0x0D

CRTC_CURSOR_HIGH: Final = 0x0E
CRTC_CURSOR_LOW: Final = 0x0F

present: bool = False
memory: usize = COLOUR_MEMORY
columns: usize = 80
rows: usize = 25


@fn
def start() -> None:
    """Take the screen as the BIOS has set it; anything but a text mode counts as no screen."""
    global present, memory, columns, rows
    bios = bios_data()
    mode = bios.video_mode & 0x7F
    memory = MONOCHROME_MEMORY if mode == MONOCHROME_TEXT_MODE else COLOUR_MEMORY
    memory += bios.page_offset
    columns = bios.columns
    rows = usize(bios.last_row) + 1
    if rows == 1:
        rows = 25
    page_fits = usize(bios.page_offset) + columns * rows * 2 <= MEMORY_BYTES
    text = mode <= LAST_COLOUR_TEXT_MODE or mode == MONOCHROME_TEXT_MODE
    present = text and page_fits and columns != 0 and bios.page == 0


@fn
def stop() -> None:
    """Leave the screen alone from now on: it shows graphics."""
    global present
    present = False


@fn
def put(byte: u8) -> None:
    """Show one character where the cursor is; scroll at the end of the screen."""
    if not present:
        return
    bios = bios_data()
    cursor = bios.cursor
    column: usize = min(cursor & 0xFF, columns - 1)
    row: usize = min(cursor >> 8, rows - 1)
    if byte == LINE_FEED:
        row += 1
    elif byte == CARRIAGE_RETURN:
        column = 0
    elif byte == BACKSPACE:
        column -= 1 if column else 0
    else:
        cells()[row * columns + column] = GREY_ON_BLACK | u16(byte)
        column += 1
    if column == columns:
        column = 0
        row += 1
    if row == rows:
        scroll()
        row -= 1
    bios.cursor = u16(row << 8 | column)
    show_cursor(u16(row * columns + column) + bios.page_offset // 2)


@fn
def cells() -> span[volatile[u16]]:
    return span[volatile[u16]](low_memory() + memory, columns * rows)


@fn
def scroll() -> None:
    """Move every row up by one and clear the last."""
    screen = cells()
    kept = columns * (rows - 1)
    for index in range(kept):
        screen[index] = screen[index + columns]
    for index in range(kept, kept + columns):
        screen[index] = GREY_ON_BLACK | SPACE


@fn
def show_cursor(cell: u16) -> None:
    port = bios_data().crtc_port
    outb(port, CRTC_CURSOR_HIGH)
    outb(port + 1, u8(cell >> 8))
    outb(port, CRTC_CURSOR_LOW)
    outb(port + 1, u8(cell))
