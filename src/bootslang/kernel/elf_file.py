"""The ELF format, as far as a kernel's reader needs it: the header, the program headers, the notes.

`ElfFile.of` believes nothing but what it has checked: that all of them lie in the file, and are of sizes that can be.
What the program headers ask for is for the readers of the two kinds of kernel to judge, `vmlinux` and `handoff`.
"""

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import NamedTuple, Self

from bootslang.kernel import identify
from bootslang.kernel.file import CUT_OFF, FileBytes
from bootslang.kernel.model import Extent, Segment

PROGRAM_HEADERS_MAX = 64
"""Linux's vmlinux has five; the loader on the machine keeps a table of this size."""
NOTES_BYTES_MAX = 0x1_0000
"""Of one PT_NOTE: Linux's have some 500 bytes."""

REL, EXEC, DYN, CORE = 1, 2, 3, 4
LOAD, DYNAMIC, INTERP, NOTE = 1, 2, 3, 4
GNU_RELRO = 0x6474_E552
_NAMES = {LOAD: "PT_LOAD", DYNAMIC: "PT_DYNAMIC", INTERP: "PT_INTERP", NOTE: "PT_NOTE", GNU_RELRO: "PT_GNU_RELRO"}
EXECUTE, WRITE = 1, 2

NOT_LINKED = "Look at it with `readelf -lh`; the linker script has to place code where the entry is."


class Header(NamedTuple):
    """The ELF header, field by field in the order of the file."""

    ident: bytes
    type: int
    machine: int
    version: int
    entry: int
    program_headers: int
    section_headers: int
    flags: int
    size: int
    program_header_size: int
    program_header_count: int
    section_header_size: int
    section_header_count: int
    names: int


class ProgramHeader(NamedTuple):
    """A program header; ELF32 and ELF64 have the same fields in different orders."""

    number: int
    type: int
    flags: int
    offset: int
    virtual: int
    physical: int
    file_bytes: int
    memory_bytes: int
    align: int

    def __str__(self) -> str:
        """As messages call it."""
        name = _NAMES.get(self.type, f"type {self.type:#x}")
        return f"program header {self.number} ({name})"

    @property
    def end(self) -> int:
        """The virtual address behind it."""
        return self.virtual + self.memory_bytes

    @property
    def file_end(self) -> int:
        """The virtual address behind what comes from the file."""
        return self.virtual + self.file_bytes

    @property
    def segment(self) -> Segment:
        """What the user is shown of it."""
        return Segment(
            offset=self.offset,
            physical=self.physical,
            virtual=self.virtual,
            file_bytes=self.file_bytes,
            memory_bytes=self.memory_bytes,
            flags=self.flags,
            align=self.align,
        )


class Note(NamedTuple):
    """An ELF note."""

    name: bytes
    """With the NUL that ends it."""
    kind: int
    value: bytes


@dataclass(frozen=True)
class Layout:
    """Where ELF32 and ELF64 differ."""

    bits: int
    machine: int
    header: struct.Struct
    program_header: struct.Struct
    fields: tuple[str, ...]


_FIELDS32 = ("type", "offset", "virtual", "physical", "file_bytes", "memory_bytes", "flags", "align")
_FIELDS64 = ("type", "flags", "offset", "virtual", "physical", "file_bytes", "memory_bytes", "align")
_LAYOUTS = {
    1: Layout(32, 3, struct.Struct("<16sHHIIIIIHHHHHH"), struct.Struct("<8I"), _FIELDS32),
    2: Layout(64, 62, struct.Struct("<16sHHIQQQIHHHHHH"), struct.Struct("<IIQQQQQQ"), _FIELDS64),
}


@dataclass(frozen=True)
class ElfFile:
    """An ELF file for x86 whose program headers and notes have been read."""

    file: FileBytes
    layout: Layout
    header: Header
    table: tuple[ProgramHeader, ...]

    @classmethod
    def of(cls, file: FileBytes) -> Self:
        """Read headers and notes, or raise `KernelInvalid`."""
        layout = layout_of(file)
        header = Header(*layout.header.unpack(file.read(0, layout.header.size)))
        _check_header(file, header, layout)
        elf = cls(file, layout, header, tuple(_program_headers(file, header, layout)))
        for entry in elf.table:
            if entry.type == LOAD and entry.memory_bytes:
                _check_load(file, entry)
        return elf

    @cached_property
    def loads(self) -> tuple[ProgramHeader, ...]:
        """What is to be loaded: the PT_LOADs, but for empty ones."""
        return tuple(entry for entry in self.table if entry.type == LOAD and entry.memory_bytes)

    @cached_property
    def notes(self) -> tuple[Note, ...]:
        """All notes."""
        return tuple(note for entry in self.table if entry.type == NOTE for note in _notes(self.file, entry))

    def of_type(self, kind: int) -> list[ProgramHeader]:
        """The program headers of a type."""
        return [entry for entry in self.table if entry.type == kind]

    def notes_in_loads(self) -> Iterator[tuple[ProgramHeader, ProgramHeader]]:
        """The PT_NOTEs that are loaded, each with the PT_LOAD whose bytes in the file hold it."""
        for note in self.of_type(NOTE):
            for load in self.loads:
                if load.offset <= note.offset and note.offset + note.file_bytes <= load.offset + load.file_bytes:
                    yield note, load
                    break

    def compacted(self, further: Iterable[tuple[ProgramHeader, ProgramHeader]]) -> tuple[bytes | Extent, ...]:
        """The compacted ELF: headers with rewritten offsets, then the contents of the PT_LOADs.

        Of other program headers those in `further` are kept, each given with the PT_LOAD that it moves with.
        """
        kept = list(further)
        size = self.layout.header.size
        position = size + (len(self.loads) + len(kept)) * self.layout.program_header.size
        moved: dict[int, int] = {}
        for load in self.loads:
            moved[load.number] = position - load.offset
            position += load.file_bytes
        pairs = [*((load, load) for load in self.loads), *kept]
        rows = [entry._replace(offset=entry.offset + moved[home.number]) for entry, home in pairs]
        header = self.header._replace(
            program_headers=size,
            program_header_count=len(rows),
            size=size,
            section_headers=0,
            section_header_size=0,
            section_header_count=0,
            names=0,
        )
        pack = self.layout.program_header.pack
        packed = b"".join(pack(*(getattr(row, field) for field in self.layout.fields)) for row in rows)
        extents = (Extent(load.offset, load.file_bytes) for load in self.loads if load.file_bytes)
        return (self.layout.header.pack(*header) + packed, *extents)


def layout_of(file: FileBytes) -> Layout:
    """Return the layout that the identification bytes tell, if it is one that an x86 kernel has."""
    head = file.peek(0, _LAYOUTS[1].header.size)
    if len(head) < _LAYOUTS[1].header.size or (head[4] == 2 and file.size < _LAYOUTS[2].header.size):
        raise file.fault(f"it ends after {file.size} bytes, inside the ELF header")
    if head[4] not in _LAYOUTS:
        raise file.fault(f"its ELF class is {head[4]}, neither 32-bit (1) nor 64-bit (2)")
    if head[5] not in (1, 2):
        raise file.fault(f"its ELF byte order is {head[5]}, neither little-endian (1) nor big-endian (2)")
    layout = _LAYOUTS[head[4]]
    if head[5] == 2 or int.from_bytes(head[18:20], "little") != layout.machine:
        raise identify.not_a_kernel(file)
    return layout


def check_apart(file: FileBytes, places: Iterable[tuple[int, range]]) -> None:
    """Refuse segments that overlap; each is told as the number of its program header and its addresses."""
    for (low, place), (high, other) in pairwise(sorted(places, key=lambda pair: pair[1].start)):
        if place.stop > other.start:
            raise file.fault(
                f"program headers {low} and {high} want the same memory: {place.start:#x} to {place.stop:#x},"
                f" and {other.start:#x} onwards",
                NOT_LINKED,
            )


def _check_header(file: FileBytes, header: Header, layout: Layout) -> None:
    for version in (header.ident[6], header.version):
        if version != 1:
            raise file.fault(f"its ELF version is {version}, and there is only 1")
    if header.type in (REL, CORE):
        raise identify.not_a_kernel(file)
    if header.type not in (EXEC, DYN):
        raise file.fault(f"its ELF type is {header.type}, and a kernel's is 2 (EXEC) or 3 (DYN)")
    if header.program_header_count == 0:
        raise file.fault("it has no program headers, so nothing says what to load", NOT_LINKED)
    if header.program_header_count > PROGRAM_HEADERS_MAX:
        raise file.fault(
            f"it has {header.program_header_count} program headers, and {PROGRAM_HEADERS_MAX} are the most", NOT_LINKED
        )
    native = layout.program_header.size
    if header.program_header_size != native:
        raise file.fault(f"its program headers have {header.program_header_size} bytes each instead of {native}")
    end = header.program_headers + header.program_header_count * native
    if end > file.size:
        raise file.fault(f"its program headers end at {end:#x}, but the file at {file.size:#x}")


def _program_headers(file: FileBytes, header: Header, layout: Layout) -> Iterator[ProgramHeader]:
    native = layout.program_header.size
    table = file.read(header.program_headers, header.program_header_count * native)
    for number, values in enumerate(layout.program_header.iter_unpack(table)):
        yield ProgramHeader(number=number, **dict(zip(layout.fields, values, strict=True)))


def _check_load(file: FileBytes, load: ProgramHeader) -> None:
    if load.file_bytes > load.memory_bytes:
        sizes = f"{load.file_bytes:#x} bytes in the file but only {load.memory_bytes:#x} in memory"
        raise file.fault(f"{load} has {sizes}")
    _check_in_file(file, load)
    if load.align & (load.align - 1):
        raise file.fault(f"{load} wants an alignment of {load.align:#x}, which is no power of two")


def _check_in_file(file: FileBytes, entry: ProgramHeader) -> None:
    end = entry.offset + entry.file_bytes
    if end > file.size:
        raise file.fault(f"{entry} ends at {end:#x}, but the file at {file.size:#x}", CUT_OFF)


def _notes(file: FileBytes, entry: ProgramHeader) -> Iterator[Note]:
    if entry.file_bytes > NOTES_BYTES_MAX:
        raise file.fault(f"{entry} has {entry.file_bytes:#x} bytes of notes, and {NOTES_BYTES_MAX:#x} are the most")
    _check_in_file(file, entry)
    data = file.read(entry.offset, entry.file_bytes)
    unit = 8 if entry.align == 8 else 4
    at = 0
    while at + 12 <= len(data):
        name_bytes, value_bytes, kind = struct.unpack_from("<III", data, at)
        value = at + _up(12 + name_bytes, unit)
        if value + value_bytes > len(data):
            claim = f"a name of {name_bytes:#x} and a value of {value_bytes:#x} bytes"
            raise file.fault(f"the note at {at:#x} of {entry} claims {claim}, more than there are")
        yield Note(data[at + 12 : at + 12 + name_bytes], kind, data[value : value + value_bytes])
        at = value + _up(value_bytes, unit)


def _up(number: int, unit: int) -> int:
    return -(-number // unit) * unit
