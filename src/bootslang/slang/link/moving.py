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
    from collections.abc import Iterable

    from bootslang.slang.link.request import AbsoluteAddress

OFFSET: Final = struct.Struct("<I")
ADDRESS_BYTES: Final = 8


def relocation_table(image: str, sections: Iterable[Section], names: Names) -> Section | None:
    """The section `.relocations` for `sections`, its size known and its offsets still to come; None if it is empty.

    Raises:
        LinkError: Something in `sections` cannot be adjusted when the image moves.

    """
    count = 0
    for section in sections:
        for relocation in section.relocations:
            check_movable(image, section, relocation, names)
            count += relocation.kind.formula == "absolute" and names.moves(relocation.symbol)
    if not count:
        return None
    size = OFFSET.size * count
    return Section(LINKER, RELOCATIONS, SHT_PROGBITS, SHF_ALLOC, OFFSET.size, size, bytes(size))


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


def offsets(relocations: Iterable[AbsoluteAddress]) -> bytes:
    """The content of `.relocations`."""
    return b"".join(OFFSET.pack(offset) for offset, _ in relocations)
