"""The screen as Multiboot 1 and 2 tell it: a text screen, or a linear framebuffer with its colours. Both doors use it.

A screen that cannot be used is told and passed over: a boot does not fail for it. 64-bit mode; native in tests.
"""

from __future__ import annotations

from typing import Final

from bootslang.boot.context import LOG_SCREEN, BootContext
from bootslang.slang import Struct, compile_for, fn, span, u8, u16, u32, u64

compile_for("long64")

DIRECT_COLOURS: Final = 1
TEXT: Final = 2
"""Multiboot 2, 3.6.12: an EGA text screen, its sizes in characters. 0 is a framebuffer with a palette."""
PIXEL_DEPTHS: Final = (15, 16, 24, 32)
MOST_PIXELS: Final = 0xFFFF
"""Of a line, and of lines: BootContext and Linux' screen_info have 16 bits for them."""
MOST_BYTES: Final = 0xFFFF_FFFF

COLOUR_TEXT_MODE: Final = 3
COLUMNS: Final = 80
ROWS: Final = 25
FONT_POINTS: Final = 16
"""The text mode that a BIOS sets, and leaves where a loader says nothing of the screen."""


class Screen(Struct):
    """What stands alike in the information of both: Multiboot 1 from offset 88 on, Multiboot 2 in tag 8."""

    base: u64
    pitch: u32
    """Bytes from a line to the next."""
    width: u32
    height: u32
    depth: u8
    kind: u8


class Colours(Struct):
    """Where the bits of each colour stand in a pixel."""

    red_position: u8
    red_size: u8
    green_position: u8
    green_size: u8
    blue_position: u8
    blue_size: u8


@fn
def take(context: BootContext, screen: Screen, colours: span[u8]) -> None:
    """Enter the screen; `colours` holds a Colours where the framebuffer has direct ones."""
    if screen.kind == TEXT:
        take_text(context, u8(min(screen.width, 255)), u8(min(screen.height, 255)))
    elif screen.kind == DIRECT_COLOURS and is_usable(screen):
        take_framebuffer(context, screen, Colours.of(colours))
    else:
        print(f"the framebuffer at {screen.base:#x} is not used: kind {screen.kind}, ", end="")
        print(f"{screen.width}x{screen.height}x{screen.depth}, {screen.pitch} bytes a line")


@fn
def is_usable(screen: Screen) -> bool:
    """Tell whether its numbers fit together, and into the fields that a kernel is told them in."""
    if screen.base == 0 or screen.depth not in PIXEL_DEPTHS:
        return False
    if not 0 < screen.width <= MOST_PIXELS or not 0 < screen.height <= MOST_PIXELS or screen.pitch > MOST_PIXELS:
        return False
    size = u64(screen.pitch) * screen.height
    whole_lines = screen.pitch >= screen.width * (screen.depth + 7 >> 3)
    return whole_lines and size <= MOST_BYTES and screen.base + size > screen.base


@fn
def take_text(context: BootContext, columns: u8, rows: u8) -> None:
    """Describe a VGA's text screen, on which the console may write; where its cursor is, the console finds out."""
    mode = context.text_mode
    mode.mode = COLOUR_TEXT_MODE
    mode.columns = columns
    mode.rows = rows
    mode.is_vga = 1
    mode.font_points = FONT_POINTS
    context.log |= LOG_SCREEN


@fn
def take_framebuffer(context: BootContext, screen: Screen, colours: Colours) -> None:
    framebuffer = context.framebuffer
    framebuffer.base = screen.base
    framebuffer.size = screen.pitch * screen.height
    framebuffer.pitch = screen.pitch
    framebuffer.width = u16(screen.width)
    framebuffer.height = u16(screen.height)
    framebuffer.depth = screen.depth
    framebuffer.red_position = colours.red_position
    framebuffer.red_size = colours.red_size
    framebuffer.green_position = colours.green_position
    framebuffer.green_size = colours.green_size
    framebuffer.blue_position = colours.blue_position
    framebuffer.blue_size = colours.blue_size
