"""Does the zero page say what Linux expects, where Linux expects it?"""

import struct

import pytest

from bootslang.boot.context import FLAG_EFI64, MAX_MEMORY_RANGES, BootContext, MemoryRange
from bootslang.boot.disk import KERNEL_BZIMAGE, KERNEL_ELF
from bootslang.boot.lift import kernel, zero_page
from bootslang.boot.lift.kernel import Kernel
from bootslang.boot.lift.zero_page import ScreenInfo, SetupData, SetupHeader, ZeroPage
from bootslang.slang import array, offsetof, sizeof, span, u8
from support.payloads import MIB, Elf, Load, bzimage


def test_the_structures_have_the_sizes_that_the_kernel_gives_them() -> None:
    assert (sizeof(ZeroPage), sizeof(ScreenInfo), sizeof(SetupData)) == (4096, 64, 16)
    assert 0x1F1 + sizeof(SetupHeader) == 0x26C


@pytest.mark.parametrize(
    ("name", "offset"),
    [
        ("boot_flag", 0x1FE),
        ("header", 0x202),
        ("version", 0x206),
        ("type_of_loader", 0x210),
        ("code32_start", 0x214),
        ("ramdisk_image", 0x218),
        ("cmd_line_ptr", 0x228),
        ("initrd_addr_max", 0x22C),
        ("xloadflags", 0x236),
        ("payload_offset", 0x248),
        ("setup_data", 0x250),
        ("init_size", 0x260),
        ("kernel_info_offset", 0x268),
    ],
)
def test_the_headers_fields_stand_where_boot_rst_puts_them(name: str, offset: int) -> None:
    assert 0x1F1 + offsetof(SetupHeader, name) == offset


def filled(context: BootContext) -> bytes:
    page = ZeroPage.zeroed()
    zero_page.fill(page, context)
    return bytes(page)


def test_text_mode_is_told() -> None:
    context = BootContext.zeroed()
    context.ext_mem_k = 0xFC00
    mode = context.text_mode
    mode.cursor_column, mode.cursor_row, mode.mode, mode.columns, mode.rows = 7, 24, 3, 80, 25
    mode.is_vga, mode.font_points, mode.ega_bx = 1, 16, 0x1003
    page = filled(context)
    assert page[0:2] == b"\x07\x18"
    assert page[2:4] == b"\x00\xfc"
    assert (page[6], page[7], page[0xE], page[0xF]) == (3, 80, 25, 1)
    assert page[0xA:0xC] == b"\x03\x10"
    assert page[0x10:0x12] == b"\x10\x00"


def test_a_framebuffer_is_told_as_vesa_does() -> None:
    context = BootContext.zeroed()
    frame = context.framebuffer
    frame.base, frame.size, frame.pitch = 0xFD00_0000, 800 * 600 * 4, 3200
    frame.width, frame.height, frame.depth = 800, 600, 32
    frame.red_size, frame.red_position, frame.blue_size, frame.attributes = 8, 16, 8, 0xBB
    page = filled(context)
    assert page[0xF] == 0x23
    assert struct.unpack_from("<HHHII", page, 0x12) == (800, 600, 32, 0xFD00_0000, 30)
    assert struct.unpack_from("<H", page, 0x24) == (3200,)
    assert page[0x26:0x28] == b"\x08\x10"
    assert struct.unpack_from("<HI", page, 0x34) == (0xBB, 0)


def test_a_framebuffer_above_4_gib_says_so() -> None:
    context = BootContext.zeroed()
    context.framebuffer.base = 0x12_FD00_0000
    page = filled(context)
    assert struct.unpack_from("<II", page, 0x36) == (2, 0x12)


def test_a_framebuffer_of_uefi_is_one_and_its_size_counts_bytes() -> None:
    context = BootContext.zeroed()
    context.efi_system_table = 0x7F9E_E018
    context.framebuffer.base, context.framebuffer.size = 0x8000_0000, 1280 * 800 * 4
    page = filled(context)
    assert page[0xF] == 0x70
    assert struct.unpack_from("<II", page, 0x18) == (0x8000_0000, 1280 * 800 * 4)
    assert page[0x1C0:0x1E0] == bytes(32), "without a memory map, the runtime services cannot be used"


@pytest.mark.parametrize(("flags", "signature"), [(FLAG_EFI64, b"EL64"), (0, b"EL32")])
def test_linux_finds_uefis_runtime_services(flags: int, signature: bytes) -> None:
    context = BootContext.zeroed()
    context.flags = flags
    context.efi_system_table, context.efi_map = 0x1_7F9E_E018, 0x2_0020_3000
    context.efi_map_size, context.efi_descriptor_size, context.efi_descriptor_version = 48 * 120, 48, 1
    page = filled(context)
    assert page[0x1C0:0x1C4] == signature
    assert struct.unpack_from("<7I", page, 0x1C4) == (0x7F9E_E018, 48, 1, 0x0020_3000, 48 * 120, 1, 2)


def test_without_uefi_nothing_is_said_of_it() -> None:
    assert filled(BootContext.zeroed())[0x1C0:0x1E0] == bytes(32)


def test_what_the_bios_knows_is_passed_on() -> None:
    context = BootContext.zeroed()
    context.alt_mem_k = 0x1F_FC00
    context.rsdp = 0xF_5AD0
    context.keyboard_state = 0x20
    context.apm[0] = 2
    context.ist[3] = 0x1234_5678
    context.edd_count, context.mbr_signature_count = 2, 3
    context.edd[1].device = 0x81
    context.mbr_signatures[2] = 0xCAFE_BABE
    page = filled(context)
    assert struct.unpack_from("<I", page, 0x1E0) == (0x1F_FC00,)
    assert struct.unpack_from("<Q", page, 0x70) == (0xF_5AD0,)
    assert page[0x1EB] == 0x20
    assert page[0x40] == 2
    assert struct.unpack_from("<I", page, 0x6C) == (0x1234_5678,)
    assert (page[0x1E9], page[0x1EA]) == (2, 3)
    assert page[0xD00 + 82] == 0x81
    assert struct.unpack_from("<I", page, 0x298) == (0xCAFE_BABE,)
    assert page[0x1EF] == 0, "the sentinel"


def test_numbers_of_a_door_that_are_too_large_are_cut() -> None:
    context = BootContext.zeroed()
    context.edd_count, context.mbr_signature_count = 255, 255
    page = filled(context)
    assert (page[0x1E9], page[0x1EA]) == (6, 16)


def ranges(count: int) -> array[MemoryRange]:
    return array[MemoryRange](MemoryRange(base=n << 20, size=1 << 20, kind=1 + n % 2) for n in range(count))


@pytest.mark.parametrize(("count", "written"), [(0, 0), (1, 1), (128, 128), (129, 128), (255, 128)])
def test_the_memory_map_fills_the_page_and_no_more(count: int, written: int) -> None:
    assert MAX_MEMORY_RANGES == 128
    page = ZeroPage.zeroed()
    assert zero_page.set_memory_map(page, ranges(count)) == written
    data = bytes(page)
    assert data[0x1E8] == written
    for index in range(written):
        assert struct.unpack_from("<QQI", data, 0x2D0 + 20 * index) == (index << 20, 1 << 20, 1 + index % 2)
    assert not any(data[0x2D0 + 20 * written : 0xD00])


def test_setup_data_is_a_list_with_the_newest_first() -> None:
    page = ZeroPage.zeroed()
    room: span[u8] = span(bytearray(256))
    first = zero_page.setup_data_bytes(5)
    assert first == 24
    zero_page.add_setup_data(page, room, 1, 5)
    zero_page.add_setup_data(page, room[first:], 9, 32)
    assert page.header.setup_data == room.address + first
    assert struct.unpack_from("<QII", bytes(room), first) == (room.address, 9, 32)
    assert struct.unpack_from("<QII", bytes(room), 0) == (0, 1, 5)


def test_initrd_and_command_line_are_told_in_both_halves() -> None:
    page = ZeroPage.zeroed()
    zero_page.set_initrd(page, 0x1_2345_6000, 0x2_0000_0001)
    zero_page.set_command_line(page, 0x7FFF_0000)
    data = bytes(page)
    assert struct.unpack_from("<II", data, 0x218) == (0x2345_6000, 1)
    assert struct.unpack_from("<II", data, 0xC0) == (1, 2)
    assert struct.unpack_from("<I", data, 0x228) == (0x7FFF_0000,)


def header_of(kind: int, file: bytes, size: int) -> bytes:
    found = Kernel.zeroed()
    kernel.read_head(found, kind, span(file), size)
    page = ZeroPage.zeroed()
    kernel.fill_header(found, page)
    return bytes(page)


def test_a_bzimages_header_is_passed_on_as_it_is() -> None:
    file = bzimage()
    data = header_of(KERNEL_BZIMAGE, file[:2048], len(file))
    expected = bytearray(file[0x1F1:0x26C])
    expected[0x1FA - 0x1F1 : 0x1FC - 0x1F1] = b"\xff\xff"
    expected[0x210 - 0x1F1] = 0xFF
    assert data[0x1F1:0x26C] == bytes(expected)


def test_what_follows_the_header_in_the_file_stays_out_of_the_page() -> None:
    file = bytearray(bzimage())
    file[0x26C:0x300] = b"\xcc" * 0x94
    assert not any(header_of(KERNEL_BZIMAGE, bytes(file[:2048]), len(file))[0x26C:])


@pytest.mark.parametrize(("bits", "flags", "limit"), [(64, 3, 0xFFFF_FFFF), (32, 0, 0x37FF_FFFF)])
def test_an_elf_kernel_gets_a_header_of_our_own(bits: int, flags: int, limit: int) -> None:
    file = Elf([Load(16 * MIB, b"x" * 100, 2 * MIB)], bits=bits)
    data = header_of(KERNEL_ELF, file.head, file.size)
    assert struct.unpack_from("<H", data, 0x1FE) == (0xAA55,)
    assert data[0x202:0x206] == b"HdrS"
    assert struct.unpack_from("<H", data, 0x206) == (0x020F,)
    assert (data[0x210], data[0x211]) == (0xFF, 1)
    assert struct.unpack_from("<I", data, 0x22C) == (limit,)
    assert struct.unpack_from("<H", data, 0x236) == (flags,)
    assert struct.unpack_from("<I", data, 0x238) == (2047,)
    assert struct.unpack_from("<QI", data, 0x258) == (16 * MIB, 4 * MIB)
