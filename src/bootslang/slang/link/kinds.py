"""The relocation kinds that LLVM uses for slang, as data: how wide, relative to what, which values fit.

Numbers and formulas: System V ABI, Intel386 supplement, table 4.9 "Relocation Types", and AMD64 supplement,
table 4.9. Ranges follow what the instructions can hold; where the processor wraps (a 16-bit jump, any sum in 32-bit
code), so may the value.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

Formula: TypeAlias = Literal["none", "absolute", "relative", "got"]

EM_386: Final = 3
EM_X86_64: Final = 62


@dataclass(frozen=True)
class RelocationKind:
    """One kind: `size` bytes are filled with a value from `least` to `most`, computed by `formula`.

    `absolute` is S + A, the address itself; `relative` is S + A - P, the distance from the place; `got` is the
    distance to a pointer in a table that our images do not have, and is rewritten to the distance itself.
    """

    name: str
    formula: Formula
    size: int
    least: int
    most: int


def signed(bits: int) -> tuple[int, int]:
    """The range of a signed number of `bits` bits."""
    return -(1 << (bits - 1)), (1 << (bits - 1)) - 1


def either(bits: int) -> tuple[int, int]:
    """The range of a number of `bits` bits that is read as signed here and as unsigned there."""
    return -(1 << (bits - 1)), (1 << bits) - 1


def wrapping(bits: int) -> tuple[int, int]:
    """The range of a distance between two places in a space of `bits` bits, around whose end it may go."""
    return 1 - (1 << bits), (1 << bits) - 1


I386: Final = {
    0: RelocationKind("R_386_NONE", "none", 0, 0, 0),
    1: RelocationKind("R_386_32", "absolute", 4, *either(32)),
    2: RelocationKind("R_386_PC32", "relative", 4, *wrapping(32)),
    4: RelocationKind("R_386_PLT32", "relative", 4, *wrapping(32)),
    20: RelocationKind("R_386_16", "absolute", 2, *either(16)),
    21: RelocationKind("R_386_PC16", "relative", 2, *wrapping(16)),
    22: RelocationKind("R_386_8", "absolute", 1, *either(8)),
    23: RelocationKind("R_386_PC8", "relative", 1, *signed(8)),
}

X86_64: Final = {
    0: RelocationKind("R_X86_64_NONE", "none", 0, 0, 0),
    1: RelocationKind("R_X86_64_64", "absolute", 8, *either(64)),
    2: RelocationKind("R_X86_64_PC32", "relative", 4, *signed(32)),
    4: RelocationKind("R_X86_64_PLT32", "relative", 4, *signed(32)),
    9: RelocationKind("R_X86_64_GOTPCREL", "got", 4, *signed(32)),
    10: RelocationKind("R_X86_64_32", "absolute", 4, 0, (1 << 32) - 1),
    11: RelocationKind("R_X86_64_32S", "absolute", 4, *signed(32)),
    12: RelocationKind("R_X86_64_16", "absolute", 2, *either(16)),
    13: RelocationKind("R_X86_64_PC16", "relative", 2, *wrapping(16)),
    14: RelocationKind("R_X86_64_8", "absolute", 1, *either(8)),
    15: RelocationKind("R_X86_64_PC8", "relative", 1, *signed(8)),
    24: RelocationKind("R_X86_64_PC64", "relative", 8, *wrapping(64)),
    41: RelocationKind("R_X86_64_GOTPCRELX", "got", 4, *signed(32)),
    42: RelocationKind("R_X86_64_REX_GOTPCRELX", "got", 4, *signed(32)),
}

KINDS: Final = {EM_386: I386, EM_X86_64: X86_64}
"""By ELF machine, then by number."""
