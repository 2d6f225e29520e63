"""What a relocatable image carries about itself, so that its own code can move it.

Code that is position-independent still has data with addresses in it: tables of functions, constant spans, linker sets.
The section `.relocations` lists where in the image they stand: 32-bit offsets from the image's first byte, rising, each
of an 8-byte address. Who moves the image from where it was linked or last moved to adds the distance to each. There is
no other address in it that depends on its place: the linker refuses narrower ones.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

from bootslang.slang.link.errors import LinkError
from bootslang.slang.link.layout import RELOCATIONS
from bootslang.slang.link.objects import SHF_ALLOC, SHT_PROGBITS, Relocation, Section
from bootslang.slang.link.resolve import LINKER, Names, owner_at, target_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from bootslang.slang.link.layout import Layout
    from bootslang.slang.link.request import AbsoluteAddress

OFFSET: Final = struct.Struct("<I")
ADDRESS_BYTES: Final = 8


class RelocationTable:
    """The section `.relocations`: its size is known before the image's layout is, its contents after."""

    def __init__(self, image: str, sections: Iterable[Section], names: Names) -> None:
        size = OFFSET.size * count_addresses(image, sections, names)
        self.table = Section(LINKER, RELOCATIONS, SHT_PROGBITS, SHF_ALLOC, OFFSET.size, size, bytes(size))
        self.sections = [self.table] if size else []

    def fill(self, _: Layout, addresses: Mapping[AbsoluteAddress, int]) -> None:
        """Write what depends on places."""
        self.table.data = b"".join(OFFSET.pack(place.offset) for place in addresses)


def count_addresses(image: str, sections: Iterable[Section], names: Names) -> int:
    """How many addresses of the image's own parts `sections` hold, all of which can be adjusted.

    Raises:
        LinkError: One of them cannot.

    """
    count = 0
    for section in sections:
        for relocation in section.relocations:
            check_movable(image, section, relocation, names)
            count += relocation.kind.formula == "absolute" and names.moves(relocation.symbol)
    return count


def check_movable(image: str, section: Section, relocation: Relocation, names: Names) -> None:
    """Raise `LinkError` if what is right for one place of the image would be wrong for another."""
    kind, name = relocation.kind, target_name(relocation)
    where = owner_at(section, relocation.offset)
    moves = names.moves(relocation.symbol)
    if kind.formula == "absolute" and moves and kind.size != ADDRESS_BYTES:
        raise LinkError(
            f"{image}: {where} holds the address of `{name}` in {8 * kind.size} bits ({kind.name}), which cannot be "
            "adjusted when the image moves; compute it from where the code runs (lea rax, [rip + name])"
        )
    if kind.formula in ("relative", "got") and not moves and not relocation.symbol.weak:
        raise LinkError(
            f"{image}: {where} holds the distance to `{name}` ({kind.name}), which does not move with the image; "
            "use its address"
        )
