"""The zero page: what Linux learns from its loader (`struct boot_params`, Documentation/arch/x86/zero-page.rst).

`bzimage.py` reads the header that a kernel file begins with; `fill` writes a page for either kind of kernel. Nothing
here depends on where the page lies or on which CPU mode runs it.
"""

from typing import Final

from bootslang.boot.context import FLAG_EFI64, BootContext, EddDevice, Framebuffer, MemoryRange
from bootslang.slang import Struct, array, at, compile_for, fn, sizeof, span, target, u8, u16, u32, u64, usize

compile_for("protected32", "long64")

HEADER_OFFSET: Final = 0x1F1
"""Of the setup header, in the kernel's file and in the zero page alike."""
HEADER_LIMIT: Final = 0x290
"""The page has other fields from here on."""
HEADER_MAGIC: Final = 0x5372_6448
"""HdrS"""
BOOT_FLAG: Final = 0xAA55
LOADED_HIGH: Final = 1
UNREGISTERED_LOADER: Final = 0xFF
NORMAL_VIDEO_MODE: Final = 0xFFFF

TEXT_SCREEN: Final = 0x01
VESA_FRAMEBUFFER: Final = 0x23
EFI_FRAMEBUFFER: Final = 0x70
"""Its lfb_size counts bytes."""
FRAMEBUFFER_UNIT_SHIFT: Final = 16
"""lfb_size of a VESA framebuffer counts 64 KiB."""
BASE_64_BIT: Final = 2
"""capabilities: ext_lfb_base counts."""

MAX_E820: Final = 128

EFI32_SIGNATURE: Final = int.from_bytes(b"EL32", "little")
EFI64_SIGNATURE: Final = int.from_bytes(b"EL64", "little")

SETUP_NONE: Final = 0
"""Linux reads nothing from such a node, and leaves its memory alone all the same."""
SETUP_E820_EXT: Final = 1
SETUP_RNG_SEED: Final = 9


class ScreenInfo(Struct):
    cursor_column: u8
    cursor_row: u8
    ext_mem_k: u16
    page: u16
    mode: u8
    columns: u8
    flags: u8
    unused: u8
    ega_bx: u16
    unused2: u16
    lines: u8
    kind: u8
    """orig_video_isVGA"""
    font_points: u16
    width: u16
    height: u16
    depth: u16
    base: u32
    size: u32
    command_line_magic: u16
    command_line_offset: u16
    line_length: u16
    red_size: u8
    red_position: u8
    green_size: u8
    green_position: u8
    blue_size: u8
    blue_position: u8
    reserved_size: u8
    reserved_position: u8
    vesa_segment: u16
    vesa_offset: u16
    pages: u16
    attributes: u16
    capabilities: u32
    base_high: u32
    reserved: u16


class SetupHeader(Struct):
    """What a bzImage has at 0x1F1, and the zero page too; each field since the protocol version in brackets."""

    setup_sects: u8
    root_flags: u16
    syssize: u32
    ram_size: u16
    vid_mode: u16
    root_dev: u16
    boot_flag: u16
    jump: u16
    """EB xx: the header ends at 0x202 + xx."""
    header: u32
    version: u16
    realmode_swtch: u32
    start_sys_seg: u16
    kernel_version: u16
    type_of_loader: u8
    loadflags: u8
    setup_move_size: u16
    code32_start: u32
    ramdisk_image: u32
    ramdisk_size: u32
    bootsect_kludge: u32
    heap_end_ptr: u16
    ext_loader_ver: u8
    ext_loader_type: u8
    cmd_line_ptr: u32
    initrd_addr_max: u32
    """[2.03] The highest address that a byte of the initrd may have."""
    kernel_alignment: u32
    """[2.05]"""
    relocatable_kernel: u8
    """[2.05]"""
    min_alignment: u8
    """[2.10] As a power of two."""
    xloadflags: u16
    """[2.12]"""
    cmdline_size: u32
    """[2.06] Without the final zero."""
    hardware_subarch: u32
    hardware_subarch_data: u64
    payload_offset: u32
    payload_length: u32
    setup_data: u64
    """[2.09] The first of a list of SetupData."""
    pref_address: u64
    """[2.10]"""
    init_size: u32
    """[2.10]"""
    handover_offset: u32
    kernel_info_offset: u32


class EfiInfo(Struct):
    """How a kernel that UEFI's boot services no longer serve finds its runtime services."""

    signature: u32
    """Without one, the rest is not looked at."""
    system_table: u32
    descriptor_size: u32
    descriptor_version: u32
    map: u32
    map_size: u32
    system_table_high: u32
    map_high: u32


class ZeroPage(Struct):
    screen: ScreenInfo = at(0x000)
    apm: array[u8] = at(0x040, count=20)
    ist: array[u32] = at(0x060, count=4)
    acpi_rsdp: u64 = at(0x070)
    ext_ramdisk_image: u32 = at(0x0C0)
    ext_ramdisk_size: u32 = at(0x0C4)
    ext_cmd_line_ptr: u32 = at(0x0C8)
    efi: EfiInfo = at(0x1C0)
    alt_mem_k: u32 = at(0x1E0)
    e820_entries: u8 = at(0x1E8)
    edd_entries: u8 = at(0x1E9)
    mbr_signature_entries: u8 = at(0x1EA)
    keyboard: u8 = at(0x1EB)
    sentinel: u8 = at(0x1EF)
    """Not zero: the kernel would take the page for one that was never cleared."""
    header: SetupHeader = at(0x1F1)
    mbr_signatures: array[u32] = at(0x290, count=16)
    e820: array[MemoryRange] = at(0x2D0, count=MAX_E820)
    edd: array[EddDevice] = at(0xD00, count=6)
    rest: array[u8] = at(0xEEC, count=0x114)
    """To the end of the page, 4096 bytes."""


class SetupData(Struct):
    """A node of the list at `setup_data`; `size` bytes follow."""

    next: u64
    type: u32
    size: u32


@fn
def fill(page: ZeroPage, context: BootContext) -> None:
    """Fill in what the door has found out; the memory map, the header and the payload's places are others' to set."""
    fill_screen(page.screen, context)
    page.apm[:] = context.apm
    page.ist[:] = context.ist
    page.acpi_rsdp = context.rsdp
    page.alt_mem_k = context.alt_mem_k
    page.keyboard = context.keyboard_state
    page.edd_entries = u8(min(u32(context.edd_count), u32(len(page.edd))))
    page.edd[:] = context.edd
    page.mbr_signature_entries = u8(min(u32(context.mbr_signature_count), u32(len(page.mbr_signatures))))
    page.mbr_signatures[:] = context.mbr_signatures
    if target.bits == 64 and context.efi_system_table and context.efi_map:
        fill_efi(page.efi, context)


@fn
def fill_efi(efi: EfiInfo, context: BootContext) -> None:
    efi.signature = EFI64_SIGNATURE if context.flags & FLAG_EFI64 else EFI32_SIGNATURE
    efi.system_table = u32(context.efi_system_table)
    efi.system_table_high = u32(context.efi_system_table >> 32)
    efi.descriptor_size = context.efi_descriptor_size
    efi.descriptor_version = context.efi_descriptor_version
    efi.map = u32(context.efi_map)
    efi.map_high = u32(context.efi_map >> 32)
    efi.map_size = context.efi_map_size


@fn
def fill_screen(screen: ScreenInfo, context: BootContext) -> None:
    text = context.text_mode
    screen.cursor_column = text.cursor_column
    screen.cursor_row = text.cursor_row
    screen.ext_mem_k = context.ext_mem_k
    screen.page = text.page
    screen.mode = text.mode
    screen.columns = text.columns
    screen.lines = text.rows
    screen.ega_bx = text.ega_bx
    screen.font_points = text.font_points
    screen.kind = TEXT_SCREEN if text.is_vga else 0
    if context.framebuffer.base:
        fill_framebuffer(screen, context.framebuffer)
        if target.bits == 64 and context.efi_system_table:
            screen.kind = EFI_FRAMEBUFFER
            screen.size = context.framebuffer.size


@fn
def fill_framebuffer(screen: ScreenInfo, framebuffer: Framebuffer) -> None:
    screen.kind = VESA_FRAMEBUFFER
    screen.width = framebuffer.width
    screen.height = framebuffer.height
    screen.depth = framebuffer.depth
    screen.base = u32(framebuffer.base)
    screen.base_high = u32(framebuffer.base >> 32)
    if screen.base_high:
        screen.capabilities |= BASE_64_BIT
    screen.size = framebuffer.size + 0xFFFF >> FRAMEBUFFER_UNIT_SHIFT
    screen.line_length = u16(framebuffer.pitch)
    screen.red_size = framebuffer.red_size
    screen.red_position = framebuffer.red_position
    screen.green_size = framebuffer.green_size
    screen.green_position = framebuffer.green_position
    screen.blue_size = framebuffer.blue_size
    screen.blue_position = framebuffer.blue_position
    screen.reserved_size = framebuffer.reserved_size
    screen.reserved_position = framebuffer.reserved_position
    screen.vesa_segment = framebuffer.protected_mode_segment
    screen.vesa_offset = framebuffer.protected_mode_offset
    screen.pages = framebuffer.pages
    screen.attributes = framebuffer.attributes


@fn
def set_memory_map(page: ZeroPage, ranges: span[MemoryRange]) -> usize:
    """Write as much of the map as the page holds; return how many ranges that are."""
    count = min(len(ranges), MAX_E820)
    page.e820_entries = u8(count)
    page.e820[:count] = ranges[:count]
    return count


@fn
def setup_data_bytes(payload: usize) -> usize:
    """What a node of the setup data list with `payload` bytes takes, the next one's alignment included."""
    return sizeof(SetupData) + payload + 7 & ~7


@fn
def add_setup_data(page: ZeroPage, room: span[u8], kind: u32, payload: usize) -> span[u8]:
    """Make a node in `room`, at the head of the page's list; return its payload, to be filled."""
    node = SetupData.of(room)
    node.next = page.header.setup_data
    node.type = kind
    node.size = u32(payload)
    page.header.setup_data = room.address
    return room[sizeof(SetupData) : sizeof(SetupData) + payload]


@fn
def set_initrd(page: ZeroPage, place: u64, size: u64) -> None:
    page.header.ramdisk_image = u32(place)
    page.header.ramdisk_size = u32(size)
    page.ext_ramdisk_image = u32(place >> 32)
    page.ext_ramdisk_size = u32(size >> 32)


@fn
def set_command_line(page: ZeroPage, place: u64) -> None:
    """Tell where the command line is; Linux wants a line, be it empty."""
    page.header.cmd_line_ptr = u32(place)
    page.ext_cmd_line_ptr = u32(place >> 32)
