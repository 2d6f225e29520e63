"""Which definition each name means: across objects, with weak symbols, and those that the linker itself defines."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Final

from bootslang.slang.link.errors import LinkError
from bootslang.slang.link.objects import STT_NOTYPE, LoadedObject, Relocation, Section, Symbol

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

LINKER: Final = "the linker"
"""The object to which the linker's own symbols belong."""
SET_PREFIX: Final = ".set."
SET_START: Final = "__start_set_"
SET_STOP: Final = "__stop_set_"
BOUNDS: Final = (
    "__image_start",
    "__text_end",  # behind the last byte that is executed; the next page where rights have pages of their own
    "__relocations_start",
    "__relocations_end",
    "__lines_start",
    "__lines_end",
    "__rodata_end",  # behind the last byte that is only read; likewise
    "__image_end",  # behind the last byte of the file part
    "__bss_start",
    "__bss_end",
)
"""The linker's own symbols, in the order of the places that they name."""


def set_of(section: Section) -> str | None:
    """The linker set that a section called `.set.NAME.ENTRY` belongs to."""
    return section.name.split(".")[2] if section.name.startswith(SET_PREFIX) else None


def number(name: str, value: int, owner: str = LINKER) -> Symbol:
    """A symbol that is a plain number."""
    return Symbol(object=owner, name=name, value=value, size=0, type=STT_NOTYPE, binding=1, section=None, defined=True)


class Names:
    """The global names of a program."""

    def __init__(self, image: str, objects: Iterable[LoadedObject], given: Mapping[str, int]) -> None:
        self.image = image
        self.table: dict[str, Symbol] = {name: number(name, 0) for name in BOUNDS}
        self.sets: dict[str, list[Section]] = {}
        for name, value in given.items():
            self.define(number(name, value, "the request"))
        for loaded in objects:
            for section in loaded.sections:
                self.collect(section)
            for symbol in loaded.symbols:
                if symbol.defined and not symbol.local:
                    self.define(symbol)

    def collect(self, section: Section) -> None:
        """Note that `section` is an entry of a linker set, if it is one."""
        name = set_of(section)
        if name is not None and section.allocated:
            self.sets.setdefault(name, []).append(section)

    def define(self, symbol: Symbol) -> None:
        """Enter a global definition; a strong one takes a weak one's place."""
        other = self.table.get(symbol.name)
        if other is None or (other.weak and not symbol.weak):
            self.table[symbol.name] = symbol
        elif not symbol.weak:
            raise LinkError(f"{self.image}: `{symbol.name}` is defined twice: by {other.object} and by {symbol.object}")

    def find(self, name: str) -> Symbol | None:
        """The definition of `name`. The bounds of a set are defined when they are asked for: it may be empty."""
        found = self.table.get(name)
        if found is None and name.startswith((SET_START, SET_STOP)):
            found = self.table[name] = number(name, 0)
        return found

    def definition(self, symbol: Symbol) -> Symbol | None:
        """What `symbol`, as an object uses it, means; None for a weak symbol that nobody defines."""
        if symbol.defined and symbol.local:
            return symbol
        return self.find(symbol.name)

    def moves(self, symbol: Symbol) -> bool:
        """Whether what `symbol` means lies in the image, and moves with it."""
        definition = self.definition(symbol)
        return definition is not None and (definition.section is not None or definition.object == LINKER)

    def holds_address(self, section: Section) -> bool:
        """Whether `section` holds the address of something that moves with the image."""
        return any(one.kind.formula == "absolute" and self.moves(one.symbol) for one in section.relocations)

    def report_missing(self, used: list[tuple[Section, int, Symbol]]) -> None:
        """Raise the error that tells all undefined names and where they are used, if there are any."""
        if not used:
            return
        lines = []
        for name in dict.fromkeys(symbol.name for _, _, symbol in used):
            lines.append(f"{self.image}: `{name}` is not defined{self.hint(name)}")
            places = dict.fromkeys(owner_at(section, offset) for section, offset, symbol in used if symbol.name == name)
            lines += [f"  used by {one}" for one in places]
        raise LinkError("\n".join(lines))

    def hint(self, name: str) -> str:
        """A question about the nearest defined name, if one is near."""
        near = difflib.get_close_matches(name, sorted(set(self.table) - set(BOUNDS)), n=1, cutoff=0.75)
        return f"; did you mean `{near[0]}`?" if near else ""


def target_name(relocation: Relocation) -> str:
    """What a message calls the thing that `relocation` refers to."""
    symbol = relocation.symbol
    if symbol.name or symbol.section is None:
        return symbol.name
    named = symbol.section.symbol_at(symbol.value + relocation.addend)
    return named.name if named else symbol.section.name


def owner_at(section: Section, offset: int) -> str:
    """The function or datum in which the byte at `offset` of `section` lies, in a message's words."""
    symbol = section.symbol_at(offset)
    return f"{symbol.name if symbol else section.name} in {section.object}"
