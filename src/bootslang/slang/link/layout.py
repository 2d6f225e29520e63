"""Where everything goes: output sections in their order, and each input section's address.

The order is the same in every image: `.header`, `.start`, code, constants, the linker's own tables, linker sets, data,
zero-filled data. What a loader looks for comes first; what needs no bytes in the file comes last. In an executable and
in a relocatable image, sections of different rights start on different pages. In a position-independent executable,
constants with addresses in them can be written until its loader has filled them in: they begin the data, on pages of
their own.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from bootslang.slang.link.errors import LinkError
from bootslang.slang.link.objects import SHF_ALLOC, SHF_EXECINSTR, SHF_WRITE, SHT_NOBITS, SHT_NOTE, Section, Symbol
from bootslang.slang.link.resolve import BOUNDS, LINKER, SET_START, SET_STOP, Names, set_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bootslang.slang.link.request import LinkRequest

PAGE_BYTES: Final = 4096
BSS_ALIGNMENT: Final = 8
"""Entry code clears zero-filled data in whole words of up to 8 bytes."""
RELOCATIONS: Final = ".relocations"
"""The linker's table of absolute addresses: see `moving.py`."""
LINES: Final = ".lines"
"""The linker's table of source lines: see `lines.py`."""
RIGHTS: Final = {
    ".header": SHF_EXECINSTR,
    ".start": SHF_EXECINSTR,
    ".text": SHF_EXECINSTR,
    ".note": 0,
    ".rodata": 0,
    RELOCATIONS: 0,
    LINES: 0,
    ".hash": 0,
    ".dynsym": 0,
    ".dynstr": 0,
    ".rela.dyn": 0,
    ".set": 0,
    ".data.rel.ro": 0,
    ".dynamic": SHF_WRITE,
    ".data": SHF_WRITE,
    ".bss": SHF_WRITE,
}
"""The output sections in their order, and their rights beyond reading. Constants with addresses in them are read-only
where the linker fills them in."""
ORDER: Final = tuple(RIGHTS)
RELOCATED: Final = (".set", ".data.rel.ro", ".dynamic")
"""What the loader of a position-independent executable writes to, and then protects."""
NOTE_ALIGNMENT: Final = 4
TYPED: Final = {SHT_NOTE: ".note", SHT_NOBITS: ".bss"}
PREFIXES: Final = {
    ".data.rel.ro": ".rodata",  # constants with addresses in them
    ".header": ".header",
    ".start": ".start",
    ".text": ".text",
    ".rodata": ".rodata",
    ".data": ".data",
}
"""Where input sections go by their type, else by how their names begin."""


@dataclass(eq=False)
class OutputSection:
    """A run of input sections, and where it lies."""

    name: str
    type: int
    flags: int
    inputs: list[Section]
    address: int = 0
    size: int = 0

    @property
    def end(self) -> int:
        """The address behind its last byte."""
        return self.address + self.size

    @property
    def alignment(self) -> int:
        """The strictest alignment of what is in it."""
        least = NOTE_ALIGNMENT if self.type == SHT_NOTE else 1
        return max([least, *(section.alignment for section in self.inputs)])

    @property
    def rights(self) -> int:
        """What may be done with it beyond reading."""
        return self.flags & (SHF_WRITE | SHF_EXECINSTR)

    @property
    def is_relocated(self) -> bool:
        """Whether it can be written only until its loader has filled in its addresses."""
        return bool(self.rights) and group(self.name) in RELOCATED


@dataclass
class Layout:
    """A program's places: of each output section, of each input section, of the image's end in file and memory."""

    base: int
    sections: list[OutputSection] = field(default_factory=list)
    addresses: dict[Section, int] = field(default_factory=dict)
    file_end: int = 0
    memory_end: int = 0

    def address_of(self, symbol: Symbol) -> int | None:
        """The address of a defined symbol; None if its section was left out."""
        if symbol.section is None:
            return symbol.value
        address = self.addresses.get(symbol.section)
        return None if address is None else address + symbol.value


def align(address: int, alignment: int) -> int:
    """The least multiple of `alignment` from `address` on."""
    return -(-address // alignment) * alignment


def output_name(section: Section) -> str:
    """The output section that an input section goes into: by its name, else by its rights."""
    if section.object == LINKER:
        return section.name
    if (name := set_of(section)) is not None:
        return f".set.{name}"
    if section.type in TYPED:
        return TYPED[section.type]
    for name, output in PREFIXES.items():
        if section.name == name or section.name.startswith(f"{name}."):
            return output
    if section.flags & SHF_EXECINSTR:
        return ".text"
    return ".data" if section.flags & SHF_WRITE else ".rodata"


def group(name: str) -> str:
    """The place in `ORDER` of the output section called `name`."""
    return ".set" if name.startswith(".set.") else name


def place(request: LinkRequest, sections: Iterable[Section], names: Names) -> Layout:
    """Give every one of `sections` an address, in their order, and the linker's symbols their values."""
    layout = Layout(base=request.base)
    layout.sections = collect(request, sections, names)
    cursor = request.base + request.head
    before: OutputSection | None = None
    for output in layout.sections:
        if request.paged and before and output.rights != before.rights:
            cursor = other_page(cursor)
        elif before and before.is_relocated and not output.is_relocated:
            cursor = align(cursor, PAGE_BYTES)
        before = output
        if output.type == SHT_NOBITS:
            cursor = align(cursor, BSS_ALIGNMENT)
        cursor = place_output(output, cursor, layout.addresses)
        if output.type != SHT_NOBITS:
            layout.file_end = cursor
    layout.file_end = layout.file_end or request.base
    layout.memory_end = align(cursor, PAGE_BYTES) if request.paged else cursor
    define_bounds(layout, names, paged=request.paged)
    return layout


def other_page(address: int) -> int:
    """The nearest address on a page that is still empty, at the same place in it: then an ELF file needs no gap."""
    return address + PAGE_BYTES if address % PAGE_BYTES else address


def collect(request: LinkRequest, sections: Iterable[Section], names: Names) -> list[OutputSection]:
    """The output sections in their order, each with its inputs in theirs."""
    outputs: dict[str, OutputSection] = {}
    for section in sections:
        name = output_name(section)
        rights = RIGHTS[group(name)]
        if request.position_independent and not rights and (group(name) == ".set" or names.holds_address(section)):
            name = ".data.rel.ro" if name == ".rodata" else name
            rights = SHF_WRITE
        if name not in outputs:
            outputs[name] = OutputSection(name, section.type, SHF_ALLOC | rights, [])
        outputs[name].inputs.append(section)
    for output in outputs.values():
        if group(output.name) == ".set":
            output.inputs.sort(key=lambda section: section.name)
        elif output.name in (".rodata", ".data.rel.ro", ".data", ".bss"):
            output.inputs.sort(key=lambda section: -section.alignment)  # leaves the fewest gaps
    return sorted(outputs.values(), key=lambda output: (ORDER.index(group(output.name)), output.name))


def place_output(output: OutputSection, cursor: int, addresses: dict[Section, int]) -> int:
    """Place one output section and what is in it from `cursor` on; the address behind it."""
    output.address = cursor = align(cursor, output.alignment)
    for section in output.inputs:
        cursor = addresses[section] = align(cursor, section.alignment)
        cursor += section.size
    if output.type == SHT_NOBITS:
        cursor = align(cursor, BSS_ALIGNMENT)
    output.size = cursor - output.address
    return cursor


def end_of(layout: Layout, rights: int) -> int | None:
    """The address behind the last section with these rights."""
    return next((one.end for one in reversed(layout.sections) if one.rights == rights), None)


def bounds_of(layout: Layout, name: str, otherwise: int) -> tuple[int, int]:
    """Where the section called `name` begins and ends; if there is none, the same place twice."""
    found = next((output for output in layout.sections if output.name == name), None)
    return (found.address, found.end) if found else (otherwise, otherwise)


def define_bounds(layout: Layout, names: Names, *, paged: bool) -> None:
    """Give the linker's own symbols their values."""
    text_end = end_of(layout, SHF_EXECINSTR) or layout.base
    rodata_end = end_of(layout, 0) or text_end
    page = PAGE_BYTES if paged else 1
    bss = next((output.address for output in layout.sections if output.type == SHT_NOBITS), layout.memory_end)
    places = (
        *(layout.base, align(text_end, page)),
        *bounds_of(layout, RELOCATIONS, rodata_end),
        *bounds_of(layout, LINES, rodata_end),
        *(align(rodata_end, page), layout.file_end, bss, layout.memory_end),
    )
    for name, value in zip(BOUNDS, places, strict=True):
        names.table[name].value = value
    sets = {output.name.removeprefix(".set."): output for output in layout.sections if group(output.name) == ".set"}
    for symbol in names.table.values():
        for prefix, attribute in ((SET_START, "address"), (SET_STOP, "end")):
            output = sets.get(symbol.name.removeprefix(prefix))
            if symbol.section is None and symbol.name.startswith(prefix):
                symbol.value = getattr(output, attribute) if output else layout.base


def check(request: LinkRequest, layout: Layout) -> None:
    """Raise `LinkError` when the image is too large, or runs into memory that is not its own."""
    file_bytes, memory_bytes = layout.file_end - layout.base, layout.memory_end - layout.base
    for size, limit, what in (
        (file_bytes, request.file_limit, ""),
        (memory_bytes, request.memory_limit, " in memory"),
    ):
        if limit is not None and size > limit:
            raise LinkError(
                f"{request.name} is {size:,} bytes{what}, {size - limit:,} more than the {limit:,} that fit\n"
                f"{largest(layout)}"
            )
    for other in request.reserved:
        if layout.base < other.end and other.start < layout.memory_end:
            raise LinkError(
                f"{request.name} lies from {layout.base:#x} to {layout.memory_end:#x} "
                f"and overlaps {other.name}, {other.start:#x} to {other.end:#x}"
            )


def largest(layout: Layout, count: int = 8) -> str:
    """The largest functions and data, for who has to make room."""
    symbols = [(symbol.size, symbol.name) for section in layout.addresses for symbol in section.symbols if symbol.size]
    lines = [f"  {size:>7,}  {name}" for size, name in sorted(symbols, key=lambda one: (-one[0], one[1]))[:count]]
    return "\n".join(["the largest parts:", *lines])
