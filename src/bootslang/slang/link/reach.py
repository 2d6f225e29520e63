"""Which sections an image needs: those that its roots reach. The rest of the objects is left out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bootslang.slang.link.errors import LinkError
from bootslang.slang.link.objects import SHT_NOTE, LoadedObject, Section, Symbol
from bootslang.slang.link.resolve import SET_START, SET_STOP, Names

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from bootslang.slang.link.request import LinkRequest


def reached_sections(request: LinkRequest, objects: Iterable[LoadedObject], names: Names) -> set[Section]:
    """The allocated sections that `request`'s image needs. Raises `LinkError` for names that nobody defines."""
    reached: set[Section] = set()
    missing: list[tuple[Section, int, Symbol]] = []
    waiting = list(roots(request, objects, names))
    while waiting:
        section = waiting.pop()
        if section in reached:
            continue
        reached.add(section)
        for relocation in section.relocations:
            definition = names.definition(relocation.symbol)
            if definition is not None:
                waiting.extend(needed_by(definition, names))
            elif not relocation.symbol.weak:
                missing.append((section, relocation.offset, relocation.symbol))
    # The search's order follows the stack; the user's is that of the objects.
    order = {section: index for index, section in enumerate(one for loaded in objects for one in loaded.sections)}
    names.report_missing(sorted(missing, key=lambda use: (order[use[0]], use[1])))
    return reached


def roots(request: LinkRequest, objects: Iterable[LoadedObject], names: Names) -> Iterator[Section]:
    """The sections that are kept although nothing refers to them."""
    for loaded in objects:
        for section in loaded.sections:
            if section.allocated and (section.type == SHT_NOTE or is_first(section.name)):
                yield section
    for name in (*request.keep, *([request.entry] if request.entry else ())):
        yield from needed_by(named(request, objects, names, name), names)


def is_first(name: str) -> bool:
    """Whether a section stands at the image's beginning, for whoever loads it."""
    return name in (".header", ".start") or name.startswith((".header.", ".start."))


def named(request: LinkRequest, objects: Iterable[LoadedObject], names: Names, name: str) -> Symbol:
    """The symbol that the request calls `name`; a local one will do."""
    local = (one for loaded in objects for one in loaded.symbols if one.local and one.defined and one.name == name)
    found = names.find(name) or next(local, None)
    if found is None:
        what = "entry" if name == request.entry else "symbol to keep"
        raise LinkError(f"{request.name}: its {what}, `{name}`, is not defined{names.hint(name)}")
    return found


def needed_by(definition: Symbol, names: Names) -> Iterator[Section]:
    """The sections that a reference to `definition` needs: its own, or all entries of a linker set."""
    if definition.section is not None and definition.section.allocated:
        yield definition.section
    for prefix in (SET_START, SET_STOP):
        if definition.section is None and definition.name.startswith(prefix):
            yield from names.sets.get(definition.name.removeprefix(prefix), ())
