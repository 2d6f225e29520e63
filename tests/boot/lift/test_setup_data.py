"""Does stage 4 put into the zero page's list of setup data what it should?"""

import struct

from bootslang.boot.context import MemoryRange
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
