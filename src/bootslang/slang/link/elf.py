"""Writing ELF executables: what gdb reads beside a flat image, and what a loader of ELF kernels is given.

Numbers and layouts: System V ABI, chapters 4 and 5. The file is: header, program headers, the sections with bytes, each
at an offset that equals its address modulo the page, DWARF, symbols, names, section headers.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from bootslang.slang.link.kinds import EM_X86_64
from bootslang.slang.link.layout import PAGE_BYTES, OutputSection, align
from bootslang.slang.link.objects import SHF_EXECINSTR, SHF_WRITE, SHT_NOBITS, SHT_NOTE, SHT_PROGBITS, STB_LOCAL

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ET_EXEC: Final = 2
PT_LOAD: Final = 1
PT_NOTE: Final = 4
PF_X: Final = 1
PF_W: Final = 2
PF_R: Final = 4
SHT_SYMTAB: Final = 2
SHT_STRTAB: Final = 3
SHN_ABS: Final = 0xFFF1


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
    entry: int
    base: int
    data: bytes
    sections: Sequence[OutputSection]
    segments: Sequence[Segment]
    symbols: Sequence[ElfSymbol]
    debug: Mapping[str, bytes]
    file: bytearray = field(default_factory=bytearray, init=False)
    headers: list[bytes] = field(default_factory=list, init=False)
    names: Strings = field(default_factory=Strings, init=False)

    @property
    def format(self) -> Format:
        """The record layouts of the machine's ELF class."""
        return ELF64 if self.machine == EM_X86_64 else ELF32

    @property
    def start(self) -> int:
        """Where in the file the image begins: its bytes lie as on the machine, so that a page is a page of memory."""
        head = self.format.header.size + self.format.program.size * len(self.segments)
        return align(head, PAGE_BYTES) + self.base % PAGE_BYTES

    def write(self) -> bytes:
        """The file's bytes."""
        form = self.format
        self.file += bytes(self.start) + self.data
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
        head = b"".join([self.header(len(self.file), len(self.headers)), *map(self.program_header, self.segments)])
        self.file[: len(head)] = head
        return bytes(self.file) + b"".join(self.headers)

    def header(self, section_headers: int, section_count: int) -> bytes:
        """The ELF header."""
        form = self.format
        identity = b"\x7fELF" + bytes([form.number, 1, 1])
        return form.header.pack(
            identity,
            ET_EXEC,
            self.machine,
            1,
            self.entry,
            form.header.size if self.segments else 0,
            section_headers,
            0,
            form.header.size,
            form.program.size,
            len(self.segments),
            form.section.size,
            section_count,
            section_count - 1,
        )

    def offset(self, address: int) -> int:
        """Where in the file the image's byte at `address` stands."""
        return self.start + min(address - self.base, len(self.data))

    def program_header(self, segment: Segment) -> bytes:
        """One program header. Physical and virtual addresses are the same."""
        sizes = (segment.end - segment.start, segment.memory_end - segment.start)
        # A segment without bytes still needs an offset that equals its address modulo the page.
        offset = self.offset(segment.start) if sizes[0] else segment.start % PAGE_BYTES
        place = (offset, segment.start, segment.start)
        if self.format is ELF64:
            return self.format.program.pack(segment.type, segment.flags, *place, *sizes, segment.alignment)
        return self.format.program.pack(segment.type, *place, *sizes, segment.flags, segment.alignment)

    def image_header(self, section: OutputSection) -> bytes:
        """The header of a section of the image."""
        return self.format.section.pack(
            self.names.add(section.name),
            section.type,
            section.flags,
            section.address,
            self.offset(section.address),
            section.size,
            0,
            0,
            section.alignment,
            0,
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


def flat_segments(sections: Sequence[OutputSection], base: int, file_end: int, memory_end: int) -> list[Segment]:
    """One segment with every right: how a flat image lies in memory that nobody protects."""
    return [Segment(PT_LOAD, PF_R | PF_W | PF_X, base, file_end, memory_end, PAGE_BYTES)] if sections else []


def page_segments(sections: Sequence[OutputSection]) -> list[Segment]:
    """A segment for each run of sections with the same rights, and one for each note section."""
    loads: list[Segment] = []
    notes: list[Segment] = []
    for section in sections:
        flags = PF_R | (PF_W if section.flags & SHF_WRITE else 0) | (PF_X if section.flags & SHF_EXECINSTR else 0)
        file_end = section.address if section.type == SHT_NOBITS else section.end
        if loads and loads[-1].flags == flags:
            last = loads.pop()
            start = last.start
            file_end = last.end if section.type == SHT_NOBITS else file_end
        else:
            start = section.address
        loads.append(Segment(PT_LOAD, flags, start, file_end, section.end, PAGE_BYTES))
        if section.type == SHT_NOTE:
            notes.append(Segment(PT_NOTE, PF_R, section.address, section.end, section.end, section.alignment))
    return loads + notes
