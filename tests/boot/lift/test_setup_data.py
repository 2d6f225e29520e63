"""Does stage 4 put into the zero page's list of setup data what it should?"""

import struct

from bootslang.boot.context import BootContext, MemoryRange
from bootslang.boot.lift import linux, zero_page
from bootslang.boot.lift.zero_page import ZeroPage
from bootslang.slang import array, span, u8


def test_memory_ranges_beyond_the_page_stand_in_the_list() -> None:
    extra = array[MemoryRange](MemoryRange(base=n << 30, size=4096, kind=1) for n in range(1, 4))
    page = ZeroPage.zeroed()
    room: span[u8] = span(bytearray(zero_page.setup_data_bytes(60) + zero_page.setup_data_bytes(32)))
    linux.add_setup_data(page, room, extra)
    assert page.header.setup_data == room.address
    data = bytes(room)
    assert struct.unpack_from("<QII", data) == (0, 1, 60)
    assert [struct.unpack_from("<QQI", data, 16 + 20 * n) for n in range(3)] == [(n << 30, 4096, 1) for n in (1, 2, 3)]


def test_without_such_ranges_and_without_a_generator_the_list_is_empty() -> None:
    page = ZeroPage.zeroed()
    none: span[MemoryRange] = array[MemoryRange](0)
    linux.add_setup_data(page, span(bytearray(64)), none)
    assert page.header.setup_data == 0


def rsdp_told(rsdp: span[u8], loader_bytes: int) -> tuple[int, bytes]:
    """Where a root pointer is told that lies at the start of a loader's memory of so many bytes; the list's memory."""
    context = BootContext.zeroed()
    context.rsdp = context.loader_base = rsdp.address
    context.loader_size = loader_bytes
    page = ZeroPage.zeroed()
    page.acpi_rsdp = context.rsdp
    room: span[u8] = span(bytearray(zero_page.setup_data_bytes(linux.RSDP_BYTES)))
    linux.keep_rsdp(page, room, context)
    assert page.header.setup_data in {0, room.address}
    return page.acpi_rsdp - (room.address if page.header.setup_data else rsdp.address), bytes(room)


def test_a_root_pointer_that_the_loader_keeps_goes_where_linux_spares_it() -> None:
    rsdp: span[u8] = span(b"RSD PTR " + bytes(range(28)))
    place, room = rsdp_told(rsdp, 4096)
    assert place == 16
    assert struct.unpack_from("<QII", room) == (0, 0, 36)
    assert room[16:52] == b"RSD PTR " + bytes(range(28))


def test_one_that_the_firmware_keeps_stays() -> None:
    assert rsdp_told(span(b"RSD PTR " + bytes(28)), 0) == (0, bytes(56))
