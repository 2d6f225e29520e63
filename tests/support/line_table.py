"""Reading the linker's table of source lines, as `bootslang.slang.link.lines` describes it."""

from __future__ import annotations

import struct
from typing import NamedTuple

STEPS = (-2, -1, 1, 2, 3, 4)


class Place(NamedTuple):
    """Where in the source something is."""

    function: str
    file: str
    line: int


class Cursor:
    """A place in the table."""

    def __init__(self, data: bytes, at: int = 0) -> None:
        self.data = data
        self.at = at

    def number(self, form: str) -> int:
        (value,) = struct.unpack_from(form, self.data, self.at)
        self.at += struct.calcsize(form)
        return int(value)

    def uleb128(self) -> int:
        value = shift = 0
        while True:
            byte = self.number("<B")
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    def name(self) -> str:
        size = self.number("<B")
        self.at += size
        return self.data[self.at - size : self.at].decode()


def rows_of(table: bytes) -> list[tuple[int, int, int]]:
    """All rows: address, number of the file, line."""
    cursor = Cursor(table)
    end = cursor.number("<I") + 4
    rows = []
    address = file = line = 0
    while cursor.at < end:
        code, distance = divmod(cursor.number("<B"), 32)
        address += cursor.uleb128() if distance == 31 else distance + 1
        if code == 7:
            file, line = cursor.number("<B"), cursor.number("<H")
        else:
            line += cursor.number("<b") if code == 6 else STEPS[code]
        rows.append((address, file, line))
    assert cursor.at == end
    return rows


def files_of(table: bytes) -> list[tuple[str, dict[int, str]]]:
    """All files: the name, and the functions by their first lines."""
    (size,) = struct.unpack_from("<I", table)
    cursor = Cursor(table, 4 + size)
    files = []
    while cursor.at < len(table):
        name, functions, line = cursor.name(), {}, 0
        for _ in range(cursor.number("<H")):
            line += cursor.uleb128()
            functions[line] = cursor.name()
        files.append((name, functions))
    return files


def find(table: bytes, offset: int) -> Place | None:
    """What the byte at `offset` of the image belongs to."""
    before = [row for row in rows_of(table) if row[0] <= offset]
    if not before or not before[-1][2]:
        return None
    _, number, line = before[-1]
    name, functions = files_of(table)[number]
    starts = [start for start in functions if start <= line]
    return Place(functions[max(starts)] if starts else "", name, line)
