"""The way from a request to an image: read, resolve, keep what is reached, place, check, fill in, write."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from bootslang.slang.link.dynamic import DynamicTables
from bootslang.slang.link.elf import (
    ET_DYN,
    ET_EXEC,
    PF_R,
    PF_W,
    PF_X,
    ElfSymbol,
    Executable,
    Segment,
    load,
    page_segments,
)
from bootslang.slang.link.errors import LinkError
from bootslang.slang.link.kinds import EM_386
from bootslang.slang.link.layout import PAGE_BYTES, Layout, check, place
from bootslang.slang.link.lines import line_table
from bootslang.slang.link.listing import listing
from bootslang.slang.link.moving import RelocationTable
from bootslang.slang.link.objects import LoadedObject, Section, Symbol, read_object
from bootslang.slang.link.reach import named, reached_sections
from bootslang.slang.link.relocate import Relocator
from bootslang.slang.link.request import Image, LinkRequest
from bootslang.slang.link.resolve import LINKER, Names

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

PAGED: Final = {
    "flat": ("a relocatable image", 64),
    "elf32": ("a 32-bit executable", 32),
    "elf64": ("a 64-bit executable", 64),
}
"""What messages call an image whose rights change at pages, by its kind, and how wide its code is."""


def link(request: LinkRequest) -> Image:
    """Link `request`'s objects into an image. Raises `LinkError`, whose text is for the user.

    Example:
        >>> image = link(LinkRequest(name="stage 1", objects=(ObjectFile("stage1.o", code),), base=0x7C00))

    """
    objects = [read_object(file, request.name) for file in request.objects]
    machine = check_machines(request, objects)
    names = Names(request.name, objects, request.symbols)
    reached = reached_sections(request, objects, names)
    kept = [section for loaded in objects for section in loaded.sections if section in reached]
    tables = tables_of(request, kept, names)
    if tables:
        kept += tables.sections
    if request.lines:
        draft = place(request, kept, names)  # code lies before the table, and stays where it is
        debug = Relocator(request, draft, names).debug_sections(objects)
        kept.append(line_table(request.name, machine, debug, draft.base, names.table["__text_end"].value))
    layout = place(request, kept, names)
    check(request, layout)
    if layout.memory_end > 1 << width(objects[0]):
        raise LinkError(
            f"{request.name} lies from {layout.base:#x} to {layout.memory_end:#x}, "
            f"beyond what {width(objects[0])}-bit code can reach"
        )
    entry = entry_address(request, objects, names, layout)
    relocator = Relocator(request, layout, names)
    places = relocator.absolute_addresses()
    if tables:
        tables.fill(layout, places)
    data = relocator.image()
    text = listing(request, layout, entry)
    symbols = list(elf_symbols(objects, names, layout))
    segments = page_segments(layout) if request.paged else [whole(layout)]
    elf = Executable(
        machine=machine,
        type=ET_DYN if request.position_independent else ET_EXEC,
        entry=entry,
        base=layout.base,
        head=request.head if request.kind != "flat" else 0,
        data=data,
        sections=layout.sections,
        segments=segments if request.kind != "flat" else [whole(layout)],
        symbols=symbols,
        debug=relocator.debug_sections(objects),
    ).write()
    return Image(
        name=request.name,
        data=data if request.kind == "flat" else elf,
        base=layout.base,
        entry=entry,
        memory_bytes=layout.memory_end - layout.base,
        symbols=MappingProxyType(addresses(symbols)),
        relocations=tuple(places),
        segments=tuple(segments),
        elf=elf,
        map=text,
    )


def tables_of(
    request: LinkRequest, sections: Sequence[Section], names: Names
) -> RelocationTable | DynamicTables | None:
    """What the image has to hold so that it can be moved."""
    if not request.relocatable:
        return None
    tables = RelocationTable if request.kind == "flat" else DynamicTables
    return tables(request.name, sections, names)


def whole(layout: Layout) -> Segment:
    """One segment with every right: how a flat image lies in memory that nobody protects."""
    return load(PF_R | PF_W | PF_X, layout.base, layout.file_end, layout.memory_end)


def check_machines(request: LinkRequest, objects: Sequence[LoadedObject]) -> int:
    """The machine that all objects are for."""
    if not objects:
        raise LinkError(f"{request.name}: there is nothing to link")
    first = objects[0]
    for other in objects:
        if other.machine != first.machine:
            raise LinkError(
                f"{request.name}: {first.name} is {width(first)}-bit code and {other.name} is {width(other)}-bit code; "
                "one image cannot hold both"
            )
    if request.paged:
        check_paged(request, first)
    return first.machine


def check_paged(request: LinkRequest, first: LoadedObject) -> None:
    """An executable's class has to be its objects', what moves is 64-bit code, and both begin on pages."""
    what, bits = PAGED[request.kind]
    if width(first) != bits:
        raise LinkError(f"{request.name}: {first.name} is {width(first)}-bit code, which {what} cannot hold")
    if request.base % PAGE_BYTES:
        raise LinkError(
            f"{request.name}: the base of {what} is a multiple of {PAGE_BYTES:,}, and {request.base:#x} is not"
        )


def width(loaded: LoadedObject) -> int:
    """The width of an object's addresses, in bits."""
    return 32 if loaded.machine == EM_386 else 64


def entry_address(request: LinkRequest, objects: Sequence[LoadedObject], names: Names, layout: Layout) -> int:
    """Where the image is entered: at the symbol asked for, else at its `.start` section, else at its first byte."""
    if request.entry is not None:
        symbol = named(request, objects, names, request.entry)
        return layout.address_of(symbol) or 0
    starts = [output.address for output in layout.sections if output.name == ".start"]
    if not starts and not layout.sections:
        raise LinkError(
            f"{request.name}: it has neither an entry nor a section called .start or .header, so nothing is in it"
        )
    return starts[0] if starts else layout.base


def elf_symbols(objects: Sequence[LoadedObject], names: Names, layout: Layout) -> Iterator[ElfSymbol]:
    """Every named symbol that is in the image, in the objects' order, then the linker's own."""
    outputs = {section: output for output in layout.sections for section in output.inputs}
    for loaded in objects:
        for symbol in loaded.symbols:
            address = layout.address_of(symbol) if symbol.section in outputs else None
            if symbol.name and not symbol.private and address is not None and not replaced(symbol, names):
                output = outputs[symbol.section] if symbol.section else None
                yield ElfSymbol(symbol.name, address, symbol.size, symbol.type, symbol.binding, output)
    for symbol in names.table.values():
        if symbol.object == LINKER:
            yield ElfSymbol(symbol.name, symbol.value, 0, symbol.type, symbol.binding, None)


def replaced(symbol: Symbol, names: Names) -> bool:
    """Whether another object's definition took this one's place."""
    return not symbol.local and names.find(symbol.name) is not symbol


def addresses(symbols: Sequence[ElfSymbol]) -> dict[str, int]:
    """Each name's address. Where several objects use a name for themselves, the first one's; a global name wins."""
    found: dict[str, int] = {}
    for symbol in sorted(symbols, key=lambda one: one.binding == 0):
        found.setdefault(symbol.name, symbol.value)
    return found
