"""Does the loader find functions and lines as another reader of the same table does, in every place of a real image?"""

from __future__ import annotations

import struct

import pytest

from bootslang import rocket
from bootslang.boot.lift import lines
from bootslang.boot.lift.lines import Place
from bootslang.slang import BootError, span, u8
from support import line_table


@pytest.fixture(scope="module")
def table() -> bytes:
    """The table of the 64-bit stage 4."""
    image = rocket.lift64()
    return image.data[image.symbols["__lines_start"] - image.base : image.symbols["__lines_end"] - image.base]


def found(table: bytes, offset: int) -> line_table.Place | None:
    lent: span[u8] = span(bytearray(table))
    place = Place.zeroed()
    if not lines.find(lent, offset, place):
        return None
    function, function_bytes, file, file_bytes, line = struct.unpack("<QQQQI", bytes(place))
    start = lent.address
    return line_table.Place(
        table[function - start :][:function_bytes].decode(), table[file - start :][:file_bytes].decode(), line
    )


def test_what_is_found_is_what_the_table_says(table: bytes) -> None:
    """At the first byte of rows from all of the image, and at the byte before."""
    starts = [address for address, _, _ in line_table.rows_of(table)]
    assert len(starts) > 1000
    for start in [0, *starts[:20], *starts[20::41], starts[-1]]:
        for offset in (start - 1, start):
            if offset >= 0:
                assert found(table, offset) == line_table.find(table, offset), hex(offset)


def test_beyond_the_code_there_is_nothing(table: bytes) -> None:
    assert found(table, 0x1000_0000) is None


def test_without_a_table_nothing_is_found() -> None:
    assert found(b"", 0x1234) is None


@pytest.mark.parametrize("size", [1, 4, 5, 100, 3000])
def test_a_table_that_ends_too_early_is_not_read_beyond_its_end(table: bytes, size: int) -> None:
    with pytest.raises(BootError):
        found(table[:size], line_table.rows_of(table)[-2][0])
