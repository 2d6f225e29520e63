"""The screen: what text mode the BIOS has set, and the linear framebuffer that `build --framebuffer` asks for (VBE).

Stage 3 calls `read_text_mode`, then `set_framebuffer`; 32-bit protected mode, BIOS calls through the gate. The text
mode is for the zero page's `screen_info`; the framebuffer replaces it where a mode was set.
"""

from typing import Final

from bootslang.boot.bios.calls import VIDEO, call_bios
from bootslang.boot.context import Framebuffer, GateRequest, TextMode
from bootslang.boot.lib import console, screen
from bootslang.boot.lib.bios_data import bios_data
from bootslang.slang import Struct, address, at, compile_for, fn, ptr, sizeof, span, u8, u16, u32, usize, volatile

compile_for("protected32")

GET_CURSOR: Final = 0x0300
GET_MODE: Final = 0x0F00
GET_EGA: Final = 0x1200
GET_EGA_FUNCTION: Final = 0x10
GET_DISPLAY: Final = 0x1A00
DISPLAY_KNOWN: Final = 0x1A

VBE_CONTROLLER: Final = 0x4F00
VBE_MODE: Final = 0x4F01
VBE_SET_MODE: Final = 0x4F02
VBE_PROTECTED_MODE: Final = 0x4F0A
VBE_DONE: Final = 0x004F
"""AL = 4Fh: the call exists; AH = 0: it worked."""
VBE2: Final = 0x3245_4256
VESA: Final = 0x4153_4556
VBE_2: Final = 0x0200
VBE_3: Final = 0x0300
LINEAR: Final = 0x4000
"""In a mode number to set: with the linear framebuffer."""
END_OF_MODES: Final = 0xFFFF
MOST_MODES: Final = 512
"""A BIOS whose list of modes has no end must not hang the boot."""

SUPPORTED: Final = 0x01
GRAPHICS: Final = 0x10
HAS_LINEAR: Final = 0x80
PACKED_PIXEL: Final = 4
DIRECT_COLOUR: Final = 6


class Size(Struct):
    """What `build --framebuffer` asked for; zero for text mode."""

    width: u16
    height: u16
    depth: u16
    """Bits a pixel."""


class Controller(Struct):
    """VBE 3.0, VbeInfoBlock: 512 bytes."""

    signature: u32
    version: u16 = at(0x04)
    modes_offset: u16 = at(0x0E)
    modes_segment: u16 = at(0x10)
    memory_in_64_kib: u16 = at(0x12)
    end: u8 = at(0x1FF)


class Mode(Struct):
    """VBE 3.0, ModeInfoBlock: 256 bytes."""

    attributes: u16
    pitch: u16 = at(0x10)
    width: u16 = at(0x12)
    height: u16 = at(0x14)
    depth: u8 = at(0x19)
    memory_model: u8 = at(0x1B)
    pages: u8 = at(0x1D)
    red_size: u8 = at(0x1F)
    red_position: u8 = at(0x20)
    green_size: u8 = at(0x21)
    green_position: u8 = at(0x22)
    blue_size: u8 = at(0x23)
    blue_position: u8 = at(0x24)
    reserved_size: u8 = at(0x25)
    reserved_position: u8 = at(0x26)
    base: u32 = at(0x28)
    linear_pitch: u16 = at(0x32)
    linear_red_size: u8 = at(0x36)
    linear_red_position: u8 = at(0x37)
    linear_green_size: u8 = at(0x38)
    linear_green_position: u8 = at(0x39)
    linear_blue_size: u8 = at(0x3A)
    linear_blue_position: u8 = at(0x3B)
    linear_reserved_size: u8 = at(0x3C)
    linear_reserved_position: u8 = at(0x3D)
    end: u8 = at(0xFF)


@fn
def read_text_mode(text_mode: TextMode) -> None:
    """Ask INT 10h and the BIOS's data area what the screen shows, as Linux' own setup code does."""
    bios = bios_data()
    mode = GateRequest.zeroed()
    mode.eax = GET_MODE
    call_bios(VIDEO, mode, 0)
    text_mode.mode = u8(mode.eax) & 0x7F
    text_mode.page = u16(mode.ebx >> 8 & 0xFF)
    cursor = GateRequest.zeroed()
    cursor.eax = GET_CURSOR
    cursor.ebx = mode.ebx & 0xFF00
    call_bios(VIDEO, cursor, 0)
    text_mode.cursor_column = u8(cursor.edx)
    text_mode.cursor_row = u8(cursor.edx >> 8)
    text_mode.columns = u8(bios.columns)
    text_mode.rows = 25
    text_mode.font_points = bios.font_points
    read_adapter(text_mode)
    if text_mode.is_vga:
        text_mode.rows = bios.last_row + 1


@fn
def read_adapter(text_mode: TextMode) -> None:
    """Tell a VGA from an EGA and what is older."""
    ega = GateRequest.zeroed()
    ega.eax = GET_EGA
    ega.ebx = GET_EGA_FUNCTION
    call_bios(VIDEO, ega, 0)
    text_mode.ega_bx = u16(ega.ebx)
    if u8(ega.ebx) == GET_EGA_FUNCTION:
        return
    display = GateRequest.zeroed()
    display.eax = GET_DISPLAY
    call_bios(VIDEO, display, 0)
    text_mode.is_vga = 1 if u8(display.eax) == DISPLAY_KNOWN else 0


@fn
def set_framebuffer(framebuffer: Framebuffer, wanted: Size, scratch: span[u8]) -> None:
    """Set the linear graphics mode of this size; without one, say so and stay in text mode.

    scratch: 768 bytes below 1 MiB that the BIOS may fill.
    """
    if wanted.width == 0 or wanted.height == 0:
        return
    controller = Controller.of(scratch)
    mode = Mode.of(scratch[sizeof(Controller) :])
    number = find_mode(controller, mode, wanted)
    if number == END_OF_MODES:
        print(f"No framebuffer of {wanted.width}x{wanted.height}x{wanted.depth} on this machine: text mode stays.")
        return
    if not vbe_call(VBE_SET_MODE, number | LINEAR, 0, 0):
        print(f"The BIOS cannot set {wanted.width}x{wanted.height}x{wanted.depth}: text mode stays.")
        return
    describe(framebuffer, mode, controller.version)
    read_protected_mode_interface(framebuffer)
    screen.stop()
    if console.verbose:
        print(f"stage 3: framebuffer {wanted.width}x{wanted.height}x{wanted.depth} at {framebuffer.base:#x}")


@fn
def find_mode(controller: Controller, mode: Mode, wanted: Size) -> u32:
    """The number of the mode of this size, with `mode` describing it; END_OF_MODES if there is none."""
    controller.signature = VBE2
    there = vbe_call(VBE_CONTROLLER, 0, 0, address(controller))
    if not there or controller.signature != VESA or controller.version < VBE_2:
        return END_OF_MODES
    modes = ptr[volatile[u16]]((u32(controller.modes_segment) << 4) + controller.modes_offset)
    for index in range(MOST_MODES):
        number = modes[index]
        if number == END_OF_MODES:
            break
        mode.attributes = 0
        if vbe_call(VBE_MODE, 0, number, address(mode)) and is_wanted(mode, wanted):
            return number
    return END_OF_MODES


@fn
def is_wanted(mode: Mode, wanted: Size) -> bool:
    """Whether a mode has this size and can be drawn into by whoever comes after us."""
    needed = SUPPORTED | GRAPHICS | HAS_LINEAR
    return (
        mode.attributes & needed == needed
        and mode.memory_model in (PACKED_PIXEL, DIRECT_COLOUR)
        and mode.width == wanted.width
        and mode.height == wanted.height
        and mode.depth == wanted.depth
        and mode.base != 0
    )


@fn
def describe(framebuffer: Framebuffer, mode: Mode, version: u16) -> None:
    """Take over the mode's layout; from VBE 3.0 on, linear modes have fields of their own."""
    linear = version >= VBE_3 and mode.linear_pitch != 0
    framebuffer.base = mode.base
    framebuffer.pitch = mode.linear_pitch if linear else mode.pitch
    framebuffer.size = framebuffer.pitch * mode.height
    framebuffer.width = mode.width
    framebuffer.height = mode.height
    framebuffer.depth = mode.depth
    framebuffer.attributes = mode.attributes
    framebuffer.pages = mode.pages
    framebuffer.red_size = mode.linear_red_size if linear else mode.red_size
    framebuffer.red_position = mode.linear_red_position if linear else mode.red_position
    framebuffer.green_size = mode.linear_green_size if linear else mode.green_size
    framebuffer.green_position = mode.linear_green_position if linear else mode.green_position
    framebuffer.blue_size = mode.linear_blue_size if linear else mode.blue_size
    framebuffer.blue_position = mode.linear_blue_position if linear else mode.blue_position
    framebuffer.reserved_size = mode.linear_reserved_size if linear else mode.reserved_size
    framebuffer.reserved_position = mode.linear_reserved_position if linear else mode.reserved_position


@fn
def read_protected_mode_interface(framebuffer: Framebuffer) -> None:
    """Where VBE's 32-bit routines are, if it has them: Linux pans the screen with them."""
    request = GateRequest.zeroed()
    request.eax = VBE_PROTECTED_MODE
    call_bios(VIDEO, request, 0)
    if u16(request.eax) == VBE_DONE:
        framebuffer.protected_mode_segment = request.es
        framebuffer.protected_mode_offset = u16(request.edi)


@fn
def vbe_call(function: u16, ebx: u32, ecx: u32, memory: usize) -> bool:
    """Make a VBE call about `memory`; True if it exists and worked."""
    request = GateRequest.zeroed()
    request.eax = function
    request.ebx = ebx
    request.ecx = ecx
    call_bios(VIDEO, request, memory)
    return u16(request.eax) == VBE_DONE
