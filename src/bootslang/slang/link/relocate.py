"""Filling in addresses: the image's bytes, and the debug sections' beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from bootslang.slang.link.errors import LinkError
from bootslang.slang.link.layout import align
from bootslang.slang.link.objects import SHT_NOBITS, LoadedObject, Relocation, Section
from bootslang.slang.link.request import AbsoluteAddress
from bootslang.slang.link.resolve import Names, owner_at, target_name

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bootslang.slang.link.layout import Layout
    from bootslang.slang.link.request import LinkRequest

MOV: Final = 0x8B
LEA: Final = 0x8D
CALL_INDIRECT: Final = b"\xff\x15"
CALL_DIRECT: Final = b"\x67\xe8"
JUMP_INDIRECT: Final = b"\xff\x25"
JUMP_DIRECT: Final = b"\x90\xe9"
"""Instructions that read a pointer at [rip + x], and their twins of the same length that need none."""
PAIRS: Final = (".debug_ranges", ".debug_loc")
"""Lists that a pair of zeros ends: what was left out gets the address 1 there, as from other linkers."""


class Relocator:
    """One program while its addresses are filled in."""

    def __init__(self, request: LinkRequest, layout: Layout, names: Names) -> None:
        self.request = request
        self.layout = layout
        self.names = names

    def absolute_addresses(self) -> dict[AbsoluteAddress, int]:
        """Where absolute addresses of the image's own parts stand in it, in rising order, and what they are."""
        found = {
            AbsoluteAddress(address - self.layout.base + one.offset, one.kind.size): self.target(one) + one.addend
            for section, address in self.layout.addresses.items()
            for one in section.relocations
            if one.kind.formula == "absolute" and self.names.moves(one.symbol)
        }
        return dict(sorted(found.items()))

    def target(self, relocation: Relocation) -> int:
        """The address of what `relocation` refers to; 0 for a weak name that nobody defines."""
        definition = self.names.definition(relocation.symbol)
        return (self.layout.address_of(definition) if definition else 0) or 0

    def image(self) -> bytes:
        """The image's bytes from its base to the end of its file part."""
        base = self.layout.base
        data = bytearray([self.request.fill]) * (self.layout.file_end - base)
        for section, address in self.layout.addresses.items():
            if section.type == SHT_NOBITS:
                continue
            start = address - base
            data[start : start + section.size] = section.data
            for relocation in section.relocations:
                self.apply(data, start + relocation.offset, address + relocation.offset, relocation, section)
        return bytes(data)

    def apply(self, data: bytearray, at: int, address: int, relocation: Relocation, section: Section) -> None:
        """Fill in one place: `data[at:]`, which lies at `address` on the machine."""
        kind = relocation.kind
        if kind.formula == "none":
            return
        target = self.target(relocation)
        value = target + relocation.addend
        if kind.formula != "absolute":
            value -= address
        if kind.formula == "got":
            self.relax(data, at, relocation, section)
        if not kind.least <= value <= kind.most:
            raise LinkError(self.overflow(relocation, section, target))
        data[at : at + kind.size] = (value & ((1 << 8 * kind.size) - 1)).to_bytes(kind.size, "little")

    def relax(self, data: bytearray, at: int, relocation: Relocation, section: Section) -> None:
        """Turn an instruction that reads an address from a table into one that computes it."""
        opcode = bytes(data[at - 2 : at])
        if relocation.kind.name == "R_X86_64_GOTPCREL":
            opcode = b""  # nothing says that this belongs to an instruction at all
        if opcode[:1] == bytes([MOV]):
            data[at - 2] = LEA
        elif opcode == CALL_INDIRECT:
            data[at - 2 : at] = CALL_DIRECT
        elif opcode == JUMP_INDIRECT:
            data[at - 2 : at] = JUMP_DIRECT
        else:
            raise LinkError(
                f"{self.request.name}: {owner_at(section, relocation.offset)} reads the address of "
                f"`{relocation.symbol.name}` from a global offset table ({relocation.kind.name}), and there is none; "
                "declare it dso_local"
            )

    def overflow(self, relocation: Relocation, section: Section, target: int) -> str:
        """What to say of a value that does not fit."""
        kind, name = relocation.kind, target_name(relocation)
        where = owner_at(section, relocation.offset)
        bits = 8 * kind.size
        if kind.formula == "absolute":
            what = f"the address of `{name}`, {target + relocation.addend:#x}, does not fit into the {bits} bits"
        else:
            what = f"`{name}`, at {target:#x}, is too far away for the {bits}-bit distance"
        return f"{self.request.name}: {what} that {where} has for it ({kind.name})"

    def debug_sections(self, objects: Iterable[LoadedObject]) -> dict[str, bytes]:
        """DWARF, with the image's addresses filled in: each section's name and bytes, in the objects' order."""
        inputs: dict[str, list[Section]] = {}
        for loaded in objects:
            for section in loaded.sections:
                if section.name.startswith(".debug_"):
                    inputs.setdefault(section.name, []).append(section)
        # In DWARF, one section's place in another is an offset: each section begins at address 0.
        for sections in inputs.values():
            cursor = 0
            for section in sections:
                self.layout.addresses[section] = cursor = align(cursor, section.alignment)
                cursor += section.size
        return {name: self.debug_section(name, sections) for name, sections in inputs.items()}

    def debug_section(self, name: str, sections: list[Section]) -> bytes:
        """One section of DWARF, put together from the objects'."""
        data = bytearray()
        gone = 1 if name in PAIRS else 0
        for section in sections:
            start = self.layout.addresses[section]
            data += bytes(start - len(data)) + section.data
            for relocation in section.relocations:
                definition = self.names.definition(relocation.symbol)
                target = self.layout.address_of(definition) if definition else None
                value = gone if target is None else target + relocation.addend
                if relocation.kind.formula == "relative":
                    value -= start + relocation.offset
                size, at = relocation.kind.size, start + relocation.offset
                data[at : at + size] = (value & ((1 << 8 * size) - 1)).to_bytes(size, "little")
        return bytes(data)
