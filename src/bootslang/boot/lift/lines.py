"""Which function, file and line a place in the image's code belongs to, by the table that the linker has put into it.

`exceptions.py` asks it. slang/link/lines.py describes the table, which is empty in an image that is linked without one.
Runs in the 64-bit lift, and natively in tests.
"""

from typing import Final

from bootslang.slang import Struct, array, compile_for, fn, i8, i32, sizeof, span, u8, u16, u32, usize

compile_for("long64")

DISTANCE_BITS: Final = 5
"""The low bits of a row's first byte are the distance of its address, the high ones that of its line."""
FAR: Final = (1 << DISTANCE_BITS) - 1
"""The low bits that say: the distance follows."""
STEPS: Final = array[i32]((-2, -1, 1, 2, 3, 4))
"""What the lowest of the high bits' numbers mean."""
NEAR_LINE: Final = 6
OTHER_FILE: Final = 7
MORE: Final = 0x80
"""In a byte of a ULEB128 number: another one follows."""
ULEB128_BITS: Final = 7


class Place(Struct):
    """Where in the source something is."""

    function: span[u8]
    file: span[u8]
    line: u32


class Head(Struct):
    """The table's first number."""

    row_bytes: u32


class Cursor(Struct):
    """How far a part of the table is read."""

    data: span[u8]
    position: usize = 0

    @fn
    def byte(self) -> u8:
        self.position += 1
        return self.data[self.position - 1]

    @fn
    def half_word(self) -> u16:
        low = self.byte()
        return low | u16(self.byte()) << 8

    @fn
    def uleb128(self) -> u32:
        value: u32 = 0
        shift: u32 = 0
        while True:
            byte = self.byte()
            value |= u32(byte & (MORE - 1)) << shift
            if byte < MORE:
                return value
            shift += ULEB128_BITS

    @fn
    def name(self) -> span[u8]:
        size = usize(self.byte())
        self.position += size
        return self.data[self.position - size : self.position]


@fn
def find(table: span[u8], offset: usize, place: Place) -> bool:
    """Fill `place` for the code `offset` bytes behind the image's start; False if the table does not know it."""
    if not table:
        return False
    rows_end = sizeof(Head) + usize(Head.of(table).row_bytes)
    rows = Cursor(data=table[sizeof(Head) : rows_end])
    address: usize = 0
    file: u32 = 0
    place.line = 0
    while rows.position < len(rows.data):
        head = rows.byte()
        distance = head & FAR
        address += rows.uleb128() if distance == FAR else u32(distance) + 1
        if address > offset:
            break
        change = head >> DISTANCE_BITS
        if change == OTHER_FILE:
            file = rows.byte()
            place.line = rows.half_word()
        elif change == NEAR_LINE:
            place.line += u32(i32(i8(rows.byte())))
        else:
            place.line += u32(STEPS[change])
    if place.line == 0:
        return False
    find_function(table[rows_end:], file, place)
    return True


@fn
def find_function(names: span[u8], number: u32, place: Place) -> None:
    """Fill in the name of the file that has this number, and the last of its functions that begins before the line."""
    files = Cursor(data=names)
    for file in range(number + 1):
        place.file = files.name()
        place.function = place.file[:0]
        start: u32 = 0
        for _ in range(files.half_word()):
            start += files.uleb128()
            function = files.name()
            if file == number and start <= place.line:
                place.function = function
