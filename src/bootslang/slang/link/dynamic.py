"""What a position-independent executable tells its loader: where its addresses stand, in the tables of the ELF format.

System V ABI, chapter 5, "Dynamic Section" and "Relocation": `.rela.dyn` has a record for each 8-byte address, all of
kind R_X86_64_RELATIVE, and PT_DYNAMIC leads to it. The ABI wants a table of symbols with it, and their names and
hashes: there are none, so that each has the one entry that stands for nothing.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

from bootslang.slang.link.moving import count_addresses
from bootslang.slang.link.objects import (
    SHF_ALLOC,
    SHF_WRITE,
    SHT_DYNAMIC,
    SHT_DYNSYM,
    SHT_HASH,
    SHT_RELA,
    SHT_STRTAB,
    Section,
)
from bootslang.slang.link.resolve import LINKER, Names

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from bootslang.slang.link.layout import Layout
    from bootslang.slang.link.request import AbsoluteAddress

RELA: Final = struct.Struct("<QQq")
ENTRY: Final = struct.Struct("<QQ")
R_X86_64_RELATIVE: Final = 8
NO_SYMBOL: Final = bytes(24)
"""An Elf64_Sym that is all zero: number 0, which every table begins with."""
NO_HASHES: Final = struct.pack("<4I", 1, 1, 0, 0)
"""One bucket, one symbol; the bucket's chain begins and ends with number 0."""

DT_NULL: Final = 0
DT_HASH: Final = 4
DT_STRTAB: Final = 5
DT_SYMTAB: Final = 6
DT_RELA: Final = 7
DT_RELASZ: Final = 8
DT_RELAENT: Final = 9
DT_STRSZ: Final = 10
DT_SYMENT: Final = 11
DT_RELACOUNT: Final = 0x6FFF_FFF9
DT_FLAGS_1: Final = 0x6FFF_FFFB
DF_1_PIE: Final = 0x0800_0000
WORD_BYTES: Final = 8


def table(name: str, kind: int, data: bytes, *, alignment: int = WORD_BYTES, flags: int = SHF_ALLOC) -> Section:
    """A section of the linker's own."""
    return Section(LINKER, name, kind, flags, alignment, len(data), data)


class DynamicTables:
    """The tables of one executable: their sizes are known before its layout is, their contents after."""

    def __init__(self, image: str, sections: Iterable[Section], names: Names) -> None:
        count = count_addresses(image, sections, names)
        self.hashes = table(".hash", SHT_HASH, NO_HASHES)
        self.symbols = table(".dynsym", SHT_DYNSYM, NO_SYMBOL)
        self.names = table(".dynstr", SHT_STRTAB, b"\0", alignment=1)
        self.relocations = table(".rela.dyn", SHT_RELA, bytes(RELA.size * count))
        self.sections = [self.hashes, self.symbols, self.names]
        if count:
            self.sections.append(self.relocations)
        self.dynamic = table(".dynamic", SHT_DYNAMIC, self.entries({}), flags=SHF_ALLOC | SHF_WRITE)
        self.sections.append(self.dynamic)

    def fill(self, layout: Layout, addresses: Mapping[AbsoluteAddress, int]) -> None:
        """Write what depends on places."""
        self.relocations.data = b"".join(
            RELA.pack(layout.base + place.offset, R_X86_64_RELATIVE, value) for place, value in addresses.items()
        )
        self.dynamic.data = self.entries(layout.addresses)

    def entries(self, addresses: Mapping[Section, int]) -> bytes:
        """The dynamic section, with what addresses are known."""
        entries = [
            (DT_HASH, addresses.get(self.hashes, 0)),
            (DT_STRTAB, addresses.get(self.names, 0)),
            (DT_SYMTAB, addresses.get(self.symbols, 0)),
            (DT_STRSZ, self.names.size),
            (DT_SYMENT, len(NO_SYMBOL)),
        ]
        if self.relocations.size:
            entries += [
                (DT_RELA, addresses.get(self.relocations, 0)),
                (DT_RELASZ, self.relocations.size),
                (DT_RELAENT, RELA.size),
                (DT_RELACOUNT, self.relocations.size // RELA.size),
            ]
        entries += [(DT_FLAGS_1, DF_1_PIE), (DT_NULL, 0)]
        return b"".join(ENTRY.pack(tag, value) for tag, value in entries)
