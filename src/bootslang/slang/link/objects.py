"""Reading LLVM's relocatable objects: sections, symbols and relocations, as the linker's other parts see them.

pyelftools reads the headers. Symbols and relocations, of which DWARF has thousands, are unpacked straight from their
tables: that is twenty times faster.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from io import BytesIO
from typing import TYPE_CHECKING, Final

from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile

from bootslang.slang.link.errors import LinkError
from bootslang.slang.link.kinds import EM_386, EM_X86_64, KINDS, RelocationKind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from elftools.construct import Container

    from bootslang.slang.link.request import ObjectFile

SHT_PROGBITS: Final = 1
SHT_STRTAB: Final = 3
SHT_RELA: Final = 4
SHT_HASH: Final = 5
SHT_DYNAMIC: Final = 6
SHT_NOTE: Final = 7
SHT_NOBITS: Final = 8
SHT_DYNSYM: Final = 11
SHF_WRITE: Final = 1
SHF_ALLOC: Final = 2
SHF_EXECINSTR: Final = 4
SHN_UNDEF: Final = 0
SHN_COMMON: Final = 0xFFF2
STB_LOCAL: Final = 0
STB_WEAK: Final = 2
STT_NOTYPE: Final = 0
STT_FUNC: Final = 2
STT_SECTION: Final = 3

MACHINES: Final = {("EM_386", 32): EM_386, ("EM_X86_64", 64): EM_X86_64}
MOST_ALIGNMENT: Final = 1 << 21
"""A large page: nothing needs more, and a damaged number would make an image of gigabytes."""
TABLES: Final = ("SHT_NULL", "SHT_SYMTAB", "SHT_STRTAB", "SHT_REL", "SHT_RELA", "SHT_GROUP")
"""Sections that describe others. All the rest belongs to the program."""


@dataclass(eq=False)
class Section:
    """One section of an object. Two are the same only if they are one and the same."""

    object: str
    name: str
    type: int
    flags: int
    alignment: int
    size: int
    data: bytes
    relocations: list[Relocation] = field(default_factory=list)
    symbols: list[Symbol] = field(default_factory=list)

    @property
    def allocated(self) -> bool:
        """Whether it occupies memory when the program runs."""
        return bool(self.flags & SHF_ALLOC)

    def symbol_at(self, offset: int) -> Symbol | None:
        """The named function or datum that the byte at `offset` belongs to."""
        before = [
            one for one in self.symbols if one.value <= offset and (offset < one.value + one.size or not one.size)
        ]
        return max(before, key=lambda one: one.value, default=None)


@dataclass(eq=False)
class Symbol:
    """One symbol of an object: `value` is an offset into `section`, or a number where that is None."""

    object: str
    name: str
    value: int
    size: int
    type: int
    binding: int
    section: Section | None
    defined: bool

    @property
    def local(self) -> bool:
        """Whether other objects cannot see it."""
        return self.binding == STB_LOCAL

    @property
    def private(self) -> bool:
        """Whether it is a label of LLVM's, which people need not see."""
        return self.name.startswith(".L")

    @property
    def weak(self) -> bool:
        """Whether another definition may take its place, or, undefined, whether it may stay so."""
        return self.binding == STB_WEAK


@dataclass(frozen=True, slots=True)
class Relocation:
    """A place in a section that depends on a symbol's address."""

    offset: int
    kind: RelocationKind
    symbol: Symbol
    addend: int


@dataclass(eq=False)
class LoadedObject:
    """What an object file holds."""

    name: str
    machine: int
    sections: list[Section]
    symbols: list[Symbol]


def read_object(file: ObjectFile, image: str) -> LoadedObject:
    """What `file` holds. `image` is what messages call the program that it is for."""
    try:
        elf = ELFFile(BytesIO(file.data))
        machine = MACHINES.get((elf["e_machine"], elf.elfclass))
        if machine is None or elf["e_type"] != "ET_REL":
            raise LinkError(f"{image}: {file.name} is not a relocatable object for i386 or x86-64")
        return Reader(file, image, elf, machine).read()
    except (ELFError, struct.error, LookupError, ValueError, OverflowError) as error:
        raise LinkError(f"{image}: {file.name} is not an ELF object, or is damaged") from error


class Reader:
    """One object file while it is being read."""

    def __init__(self, file: ObjectFile, image: str, elf: ELFFile, machine: int) -> None:
        self.file = file
        self.image = image
        self.machine = machine
        self.headers = [(section.name, section.header) for section in elf.iter_sections()]
        self.sections: dict[int, Section] = {}
        self.symbols: list[Symbol] = []

    def read(self) -> LoadedObject:
        """Sections first, then the symbols in them, then the relocations that name those."""
        for index, (name, header) in enumerate(self.headers):
            if header["sh_type"] not in TABLES:
                self.sections[index] = self.read_section(name, header)
        for _, header in self.headers:
            if header["sh_type"] == "SHT_SYMTAB":
                self.symbols = list(self.read_symbols(header))
        for _, header in self.headers:
            section = self.sections.get(header["sh_info"])
            if header["sh_type"] in ("SHT_REL", "SHT_RELA") and section is not None:
                section.relocations.extend(self.read_relocations(header, section))
        return LoadedObject(self.file.name, self.machine, list(self.sections.values()), self.symbols)

    def table(self, header: Container) -> bytes:
        """The bytes of the section that `header` describes."""
        start, size = header["sh_offset"], header["sh_size"]
        data = self.file.data[start : start + size]
        if len(data) != size:
            raise LinkError(f"{self.image}: {self.file.name} is cut short")
        return data

    def read_section(self, name: str, header: Container) -> Section:
        """One section with its bytes; of zero-filled data there are none."""
        if header["sh_addralign"] > MOST_ALIGNMENT or header["sh_addralign"] & (header["sh_addralign"] - 1):
            raise ValueError(header["sh_addralign"])
        kind = {"SHT_NOTE": SHT_NOTE, "SHT_NOBITS": SHT_NOBITS}.get(str(header["sh_type"]), SHT_PROGBITS)
        return Section(
            object=self.file.name,
            name=name,
            type=kind,
            flags=header["sh_flags"],
            alignment=max(header["sh_addralign"], 1),
            size=header["sh_size"],
            data=b"" if kind == SHT_NOBITS else self.table(header),
        )

    def read_symbols(self, header: Container) -> Iterator[Symbol]:
        """The symbols, in the table's order, which relocations count by."""
        names = self.table(self.headers[header["sh_link"]][1])
        for entry in struct.iter_unpack("<IIIBBH" if self.machine == EM_386 else "<IBBHQQ", self.table(header)):
            if self.machine == EM_386:
                name, value, size, info, _, index = entry
            else:
                name, info, _, index, value, size = entry
            symbol = Symbol(
                object=self.file.name,
                name=names[name : names.index(b"\0", name)].decode(),
                value=value,
                size=size,
                type=info & 15,
                binding=info >> 4,
                section=self.sections.get(index),
                defined=index != SHN_UNDEF,
            )
            if index == SHN_COMMON:
                raise LinkError(
                    f"{self.image}: `{symbol.name}` in {self.file.name} is common data, which has no place; "
                    "give it an initial value"
                )
            if symbol.section and symbol.name and not symbol.private and symbol.type < STT_SECTION:
                symbol.section.symbols.append(symbol)
            yield symbol

    def read_relocations(self, header: Container, section: Section) -> Iterator[Relocation]:
        """The relocations of `section`. On i386 the addend stands in the place that is to be filled."""
        data = self.table(header)
        with_addend = str(header["sh_type"]) == "SHT_RELA"
        for offset, info, *addend in struct.iter_unpack("<QQq" if with_addend else "<II", data):
            symbol, number = (info >> 32, info & 0xFFFFFFFF) if with_addend else (info >> 8, info & 0xFF)
            kind = self.kind(number, section)
            place = section.data[offset : offset + kind.size]
            if len(place) != kind.size:
                raise ValueError(offset)
            yield Relocation(
                offset, kind, self.symbols[symbol], *(addend or [int.from_bytes(place, "little", signed=True)])
            )

    def kind(self, number: int, section: Section) -> RelocationKind:
        """The relocation kind with this number."""
        kind = KINDS[self.machine].get(number)
        if kind is None:
            raise LinkError(
                f"{self.image}: {self.file.name} has a relocation of kind {number} in {section.name}, "
                "which this linker does not know"
            )
        return kind
