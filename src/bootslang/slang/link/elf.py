"""Writing ELF executables: what gdb reads beside a flat image, and what a loader of ELF kernels is given.

Numbers and layouts: System V ABI, chapters 4 and 5. The file is: header, program headers, the sections with bytes, each
at an offset that equals its address modulo the page, DWARF, symbols, names, section headers.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from bootslang.slang.link.kinds import EM_X86_64
from bootslang.slang.link.layout import PAGE_BYTES, Layout, OutputSection, align
from bootslang.slang.link.objects import (
    SHF_EXECINSTR,
    SHF_WRITE,
    SHT_DYNAMIC,
    SHT_DYNSYM,
    SHT_HASH,
    SHT_NOBITS,
    SHT_NOTE,
    SHT_PROGBITS,
    SHT_RELA,
    SHT_STRTAB,
    STB_LOCAL,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ET_EXEC: Final = 2
ET_DYN: Final = 3
PT_LOAD: Final = 1
PT_DYNAMIC: Final = 2
PT_NOTE: Final = 4
PT_GNU_RELRO: Final = 0x6474_E552
"""What is to be read-only once its addresses are filled in."""
PF_X: Final = 1
PF_W: Final = 2
PF_R: Final = 4
SHT_SYMTAB: Final = 2
SHN_ABS: Final = 0xFFF1


RELATIONS: Final = {
    SHT_HASH: (".dynsym", 0, 4),
    SHT_DYNSYM: (".dynstr", 1, 24),
    SHT_RELA: (".dynsym", 0, 24),
    SHT_DYNAMIC: (".dynstr", 0, 16),
}
"""Of sections with a table in them: the section that they refer to, what is told of them, the size of an entry."""


@dataclass(frozen=True)
class Format:
    """The record layouts of one ELF class. Fields stand in `struct`'s order; the classes differ in it, too."""

    number: int
    header: struct.Struct
    program: struct.Struct
    section: struct.Struct
    symbol: struct.Struct
    word: int


ELF32: Final = Format(
    1, struct.Struct("<16sHHIIIIIHHHHHH"), struct.Struct("<8I"), struct.Struct("<10I"), struct.Struct("<IIIBBH"), 4
)
ELF64: Final = Format(
    2,
    struct.Struct("<16sHHIQQQIHHHHHH"),
    struct.Struct("<IIQQQQQQ"),
    struct.Struct("<IIQQQQIIQQ"),
    struct.Struct("<IBBHQQ"),
    8,
)


POINTED: Final = {SHT_NOTE: PT_NOTE, SHT_DYNAMIC: PT_DYNAMIC}
"""Sections that a loader finds by a segment of their own."""


@dataclass(frozen=True)
class ElfSymbol:
    """A symbol as it is written: `section` is None for a plain number."""

    name: str
    value: int
    size: int
    type: int
    binding: int
    section: OutputSection | None


@dataclass(frozen=True)
class Segment:
    """A program header: `start` to `end` have bytes in the file, up to `memory_end` zeros follow."""

    type: int
    flags: int
    start: int
    end: int
    memory_end: int
    alignment: int


def load(flags: int, start: int, end: int, memory_end: int | None = None) -> Segment:
    """A loaded segment, its bytes from `start` to `end`."""
    return Segment(PT_LOAD, flags, start, end, end if memory_end is None else memory_end, PAGE_BYTES)


def file_header(
    form: Format,
    machine: int,
    entry: int,
    segment_count: int,
    *,
    kind: int = ET_EXEC,
    sections: tuple[int, int] = (0, 0),
) -> bytes:
    """The ELF header of an executable. `sections` are the place of the section headers and their number."""
    place, count = sections
    return form.header.pack(
        b"\x7fELF" + bytes([form.number, 1, 1]),
        kind,
        machine,
        1,
        entry,
        form.header.size,
        place,
        0,
        form.header.size,
        form.program.size,
        segment_count,
        form.section.size if count else 0,
        count,
        max(count - 1, 0),
    )


def program_header(form: Format, segment: Segment, offset: int) -> bytes:
    """One program header. Physical and virtual addresses are the same."""
    place = (offset, segment.start, segment.start)
    sizes = (segment.end - segment.start, segment.memory_end - segment.start)
    if form is ELF64:
        return form.program.pack(segment.type, segment.flags, *place, *sizes, segment.alignment)
    return form.program.pack(segment.type, *place, *sizes, segment.flags, segment.alignment)


def append_segments(file: bytearray, segments: Sequence[Segment], base: int, data: bytes) -> list[tuple[Segment, int]]:
    """Put the loaded `segments` of an image at `base` behind what is in `file`; each with its place in the file.

    That place equals its address modulo the page, so that a page of the file is a page of memory.
    """
    placed = []
    for segment in segments:
        if segment.type == PT_LOAD:
            file += bytes((segment.start - len(file)) % PAGE_BYTES)
            placed.append((segment, len(file)))
            file += data[segment.start - base : segment.end - base]
    return placed


class Strings:
    """A string table in the making."""

    def __init__(self) -> None:
        self.data = bytearray(1)
        self._offsets: dict[str, int] = {"": 0}

    def add(self, text: str) -> int:
        """The offset of `text`, which is added unless it is there."""
        if text not in self._offsets:
            self._offsets[text] = len(self.data)
            self.data += text.encode() + b"\0"
        return self._offsets[text]


@dataclass
class Executable:
    """What an ELF executable is written from. Each is written once."""

    machine: int
    type: int
    entry: int
    base: int
    head: int
    """Bytes at the image's beginning that are for the file's headers; 0 if those are not to be in memory."""
    data: bytes
    sections: Sequence[OutputSection]
    segments: Sequence[Segment]
    symbols: Sequence[ElfSymbol]
    debug: Mapping[str, bytes]
    file: bytearray = field(default_factory=bytearray, init=False)
    offsets: list[tuple[Segment, int]] = field(default_factory=list, init=False)
    """The loaded segments and where in the file each begins, in rising order."""
    headers: list[bytes] = field(default_factory=list, init=False)
    names: Strings = field(default_factory=Strings, init=False)

    @property
    def format(self) -> Format:
        """The record layouts of the machine's ELF class."""
        return ELF64 if self.machine == EM_X86_64 else ELF32

    def write(self) -> bytes:
        """The file's bytes."""
        form = self.format
        headers = form.header.size + form.program.size * len(self.segments)
        if headers > self.head:
            self.file += bytes(headers)
        self.offsets = append_segments(self.file, self.segments, self.base, self.data)
        self.headers = [bytes(form.section.size), *map(self.image_header, self.sections)]
        for name, data in self.debug.items():
            self.append(name, SHT_PROGBITS, data)
        table, strings, local_count = self.symbol_table()
        self.append(
            ".symtab",
            SHT_SYMTAB,
            table,
            link=len(self.headers) + 1,
            info=local_count,
            entry_size=form.symbol.size,
            alignment=form.word,
        )
        self.append(".strtab", SHT_STRTAB, strings)
        self.names.add(".shstrtab")
        self.append(".shstrtab", SHT_STRTAB, bytes(self.names.data))
        self.file += bytes(-len(self.file) % form.word)
        head = file_header(
            form,
            self.machine,
            self.entry,
            len(self.segments),
            kind=self.type,
            sections=(len(self.file), len(self.headers)),
        )
        head += b"".join(program_header(form, one, self.offset(one.start)) for one in self.segments)
        self.file[: len(head)] = head
        return bytes(self.file) + b"".join(self.headers)

    def offset(self, address: int) -> int:
        """Where in the file the image's byte at `address` stands; of zero-filled data, where it would."""
        load, offset = next(one for one in reversed(self.offsets) if one[0].start <= address)
        return offset + min(address, load.end) - load.start

    def image_header(self, section: OutputSection) -> bytes:
        """The header of a section of the image."""
        other, info, entry_size = RELATIONS.get(section.type, ("", 0, 0))
        return self.format.section.pack(
            self.names.add(section.name),
            section.type,
            section.flags,
            section.address,
            self.offset(section.address),
            section.size,
            [one.name for one in self.sections].index(other) + 1 if other else 0,
            info,
            section.alignment,
            entry_size,
        )

    def append(
        self,
        name: str,
        kind: int,
        data: bytes,
        *,
        link: int = 0,
        info: int = 0,
        entry_size: int = 0,
        alignment: int = 1,
    ) -> None:
        """Put a section that is not of the image at the file's end."""
        self.file += bytes(-len(self.file) % alignment)
        self.headers.append(
            self.format.section.pack(
                self.names.add(name), kind, 0, 0, len(self.file), len(data), link, info, alignment, entry_size
            )
        )
        self.file += data

    def symbol_table(self) -> tuple[bytes, bytes, int]:
        """The symbol table, local symbols first as the ABI wants it, their names, and how many are local."""
        form = self.format
        strings = Strings()
        ordered = sorted(self.symbols, key=lambda symbol: symbol.binding != STB_LOCAL)
        index = {id(section): number for number, section in enumerate(self.sections, 1)}
        table = bytearray(form.symbol.size)
        for symbol in ordered:
            section = SHN_ABS if symbol.section is None else index[id(symbol.section)]
            name, info = strings.add(symbol.name), symbol.binding << 4 | symbol.type
            if form is ELF64:
                table += form.symbol.pack(name, info, 0, section, symbol.value, symbol.size)
            else:
                table += form.symbol.pack(name, symbol.value, symbol.size, info, 0, section)
        local_count = 1 + sum(symbol.binding == STB_LOCAL for symbol in ordered)
        return bytes(table), bytes(strings.data), local_count


def page_segments(layout: Layout) -> list[Segment]:
    """A segment for each run of sections with the same rights, and those that lead to what is in them.

    The first begins at the image's base, the last goes to its end.
    """
    loads: list[Segment] = []
    others: list[Segment] = []
    for section in layout.sections:
        flags = PF_R | (PF_W if section.flags & SHF_WRITE else 0) | (PF_X if section.flags & SHF_EXECINSTR else 0)
        file_end = section.address if section.type == SHT_NOBITS else section.end
        if loads and loads[-1].flags == flags:
            last = loads.pop()
            start = last.start
            file_end = last.end if section.type == SHT_NOBITS else file_end
        else:
            start = section.address if loads else layout.base
        loads.append(load(flags, start, file_end, section.end))
        if section.type in POINTED:
            others.append(
                Segment(POINTED[section.type], flags, section.address, section.end, section.end, section.alignment)
            )
    loads[-1] = replace(loads[-1], memory_end=layout.memory_end)
    relocated = [section for section in layout.sections if section.is_relocated]
    if relocated:
        start, end = relocated[0].address, relocated[-1].end
        others.append(Segment(PT_GNU_RELRO, PF_R, start, end, align(end, PAGE_BYTES), 1))
    return loads + others
