"""The table of source lines: which function, file and line a place in the image's code belongs to.

The loader reads its own, to say where a CPU exception happened. It is made from DWARF and a tenth of its size: about
1.7 bytes a row. What is inlined is told as the function that the user wrote, not as the one that it was inlined into.

The section `.lines` holds, all numbers little-endian, without gaps:

    size        u32: how many bytes of rows follow
    rows        `size` bytes
    files       up to the section's end, in the order of their numbers from 0

A row says: from this address on, up to the next row's, the code is of this line of this file. Addresses are offsets
from the image's first byte and rise from row to row; before the first row, address, file and line are 0. Each row
begins with a byte: its low five bits tell how far it is from the previous row's address, its high three bits from its
line.

    low bits    0 to 30                 that many bytes and one more
                31                      a ULEB128 number of bytes follows
    high bits   0, 1, 2, 3, 4, 5        the line is -2, -1, +1, +2, +3, +4 from the previous row's, in the same file
                6                       a signed byte follows: so far from the previous row's line, in the same file
                7                       a file's number (u8) and the line (u16) follow

The ULEB128 stands before what the high bits ask for. Line 0 means that nobody knows, as behind the last function.

A file is its name (a u8 length, and the bytes) and its functions: their number (u16), then each, in rising order of
lines: by how much its first line is greater than the previous one's (ULEB128, from 0), and its name (a u8 length, and
the bytes). A line belongs to the last function that begins on it or before it. Files are named without the directories
that all of them share.
"""

from __future__ import annotations

import posixpath
import struct
from bisect import bisect_right
from io import BytesIO
from keyword import iskeyword
from typing import TYPE_CHECKING, Final, NamedTuple

from elftools.common.exceptions import DWARFError, ELFError
from elftools.elf.elffile import ELFFile

from bootslang.slang.link.elf import ET_EXEC, Executable
from bootslang.slang.link.errors import LinkError
from bootslang.slang.link.layout import LINES
from bootslang.slang.link.objects import SHF_ALLOC, SHT_PROGBITS, Section
from bootslang.slang.link.resolve import LINKER

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from elftools.dwarf.compileunit import CompileUnit
    from elftools.dwarf.dwarfinfo import DWARFInfo
    from elftools.dwarf.lineprogram import LineProgram

DISTANCE_BITS: Final = 5
FAR: Final = (1 << DISTANCE_BITS) - 1
"""The low bits that say: the distance follows."""
STEPS: Final = (-2, -1, 1, 2, 3, 4)
"""The distances of lines that need no further byte: with five bits for addresses, these are the most frequent."""
NEAR_LINE: Final = 6
OTHER_FILE: Final = 7
ALIGNMENT: Final = 4
"""Of the section; its first number is a u32."""
LARGEST_GAP: Final = 15
"""Functions are aligned to 16 bytes: what fills so few before one needs no row that says that nobody knows."""
DWARF5: Final = 5
"""From this version on, line programs count files and directories from 0."""
MOST_FILES, MOST_LINES = 0x100, 0x1_0000
DAMAGED: Final = (
    *(ELFError, DWARFError, ArithmeticError, AssertionError),
    *(AttributeError, LookupError, TypeError, ValueError),
)
"""What pyelftools, and who takes its word, raise over DWARF that is none."""


class Row(NamedTuple):
    """From `address` on: this line of this file; line 0 if there is none."""

    address: int
    file: str
    line: int


def line_table(image: str, machine: int, debug: Mapping[str, bytes], base: int, text_end: int) -> Section:
    """The section `.lines` for the code from `base` to `text_end`, by its DWARF.

    Raises:
        LinkError: The DWARF is damaged, or there are more files, or longer ones, than the table can tell.

    """
    try:
        dwarf = ELFFile(BytesIO(only_debug(machine, debug))).get_dwarf_info()
        rows = simplified([row for row in all_rows(dwarf) if base <= row.address <= text_end])
        functions = functions_by_file(dwarf)
    except DAMAGED as error:
        raise LinkError(f"{image}: the debug information of its objects is damaged") from error
    files = sorted({row.file for row in rows if row.line})
    if len(files) > MOST_FILES or not all(0 <= row.line < MOST_LINES for row in rows):
        raise LinkError(f"{image}: its table of lines has room for {MOST_FILES} files of {MOST_LINES - 1:,} lines each")
    program = encoded_rows(rows, files, base)
    names = b"".join(encoded_file(name, rows, functions.get(name, {}), shared(files)) for name in files)
    data = struct.pack("<I", len(program)) + program + names
    return Section(LINKER, LINES, SHT_PROGBITS, SHF_ALLOC, ALIGNMENT, len(data), data)


def only_debug(machine: int, debug: Mapping[str, bytes]) -> bytes:
    """An ELF file that holds DWARF alone, for who reads it."""
    return Executable(
        machine=machine,
        type=ET_EXEC,
        entry=0,
        base=0,
        head=0,
        data=b"",
        sections=(),
        segments=(),
        symbols=(),
        debug=debug,
    ).write()


# Out of DWARF


def all_rows(dwarf: DWARFInfo) -> Iterator[Row]:
    """What the line programs say; line 0 at the end of each run of code."""
    for unit in dwarf.iter_CUs():
        program = dwarf.line_program_for_CU(unit)
        paths = paths_of(unit, program) if program else []
        for entry in program.get_entries() if program else ():
            state = entry.state
            if state is not None and state.end_sequence:
                yield Row(state.address, "", 0)
            elif state is not None and state.line:  # line 0 is the compiler's own: part of what is before it
                yield Row(state.address, paths[state.file], state.line)


def paths_of(unit: CompileUnit, program: LineProgram) -> list[str]:
    """The files of a compile unit by their numbers."""
    directories = [name.decode() for name in program["include_directory"]]
    if program["version"] < DWARF5:
        directories.insert(0, unit.get_top_DIE().attributes["DW_AT_comp_dir"].value.decode())
    home, *others = directories
    folders = [home, *(posixpath.join(home, other) for other in others)]
    paths = [
        posixpath.normpath(posixpath.join(folders[file.dir_index], file.name.decode()))
        for file in program["file_entry"]
    ]
    return paths if program["version"] >= DWARF5 else ["", *paths]


def functions_by_file(dwarf: DWARFInfo) -> dict[str, dict[int, str]]:
    """The functions of each file by their first lines, those among them that were inlined everywhere."""
    found: dict[str, dict[int, str]] = {}
    for unit in dwarf.iter_CUs():
        program = dwarf.line_program_for_CU(unit)
        if program:
            for path, line, name in declarations(unit, paths_of(unit, program)):
                found.setdefault(path, {})[line] = name
    return found


def declarations(unit: CompileUnit, paths: Sequence[str]) -> Iterator[tuple[str, int, str]]:
    """The functions that a compile unit declares: path, line and name."""
    for entry in unit.iter_DIEs():
        attributes = entry.attributes
        if entry.tag == "DW_TAG_subprogram" and "DW_AT_decl_line" in attributes:
            name = attributes["DW_AT_name"].value.decode()
            if not iskeyword(name):  # the body of a `try` is a function of its own to LLVM, not to the user
                yield paths[attributes["DW_AT_decl_file"].value], attributes["DW_AT_decl_line"].value, name


# Into the table


def simplified(rows: Iterable[Row]) -> list[Row]:
    """Rows in rising order, each of which says something new."""
    kept: list[Row] = []
    # At one address, the end of one function stands before the beginning of the next; else the last one said holds.
    for row in sorted(rows, key=lambda row: (row.address, row.line != 0)):
        if kept and (kept[-1].address == row.address or is_padding(kept[-1], row)):
            kept.pop()
        if not kept or kept[-1][1:] != row[1:]:
            kept.append(row)
    return kept


def is_padding(row: Row, after: Row) -> bool:
    """Whether `row` says no more than that a few bytes belong to nobody."""
    return not row.line and after.address - row.address <= LARGEST_GAP


def encoded_rows(rows: Iterable[Row], files: Sequence[str], base: int) -> bytes:
    """The rows as bytes."""
    data = bytearray()
    numbers = {name: number for number, name in enumerate(files)} | {"": 0}
    address, file, line = base, 0, 0
    for row in rows:
        number, step, distance = numbers[row.file], row.line - line, row.address - address
        near = distance - 1 if 0 < distance <= FAR else FAR
        if number == file and step in STEPS:
            code, rest = STEPS.index(step), b""
        elif number == file and -0x80 <= step < 0x80:
            code, rest = NEAR_LINE, struct.pack("<b", step)
        else:
            code, rest = OTHER_FILE, struct.pack("<BH", number, row.line)
        data.append(code << DISTANCE_BITS | near)
        data += (uleb128(distance) if near == FAR else b"") + rest
        address, file, line = row.address, number, row.line
    return bytes(data)


def encoded_file(name: str, rows: Iterable[Row], functions: Mapping[int, str], root: str) -> bytes:
    """A file's name, and those of its functions that have code."""
    starts = sorted(functions)
    places = (bisect_right(starts, row.line) for row in rows if row.file == name)
    used = sorted({starts[place - 1] for place in places if place})
    data = text(name.removeprefix(root)) + struct.pack("<H", len(used))
    for before, start in zip([0, *used], used, strict=False):
        data += uleb128(start - before) + text(functions[start])
    return data


def shared(files: Sequence[str]) -> str:
    """The directories that all files lie in."""
    directory = posixpath.commonpath([posixpath.dirname(name) for name in files]) if files else ""
    return f"{directory}/" if directory else ""


def text(name: str) -> bytes:
    """A name with its length before it; of a very long one, the end."""
    data = name.encode()[-0xFF:]
    return bytes([len(data)]) + data


def uleb128(number: int) -> bytes:
    """An unsigned number, seven bits a byte, the low ones first; all bytes but the last have their high bit set."""
    data = bytearray()
    while number > 0x7F:
        data.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*data, number])
