"""Streams of deflate that are put together bit by bit, so that everything can be wrong. By RFC 1951."""

from __future__ import annotations

from dataclasses import dataclass, field

STORED, FIXED, DYNAMIC = 0, 1, 2
END = 256
ORDER = (16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15)
FIXED_LENGTHS = [8] * 144 + [9] * 112 + [7] * 24 + [8] * 8


@dataclass
class Bits:
    """What has been written, the lowest bit of each byte first."""

    bits: list[int] = field(default_factory=list)

    def number(self, value: int, count: int) -> Bits:
        self.bits += [value >> place & 1 for place in range(count)]
        return self

    def code(self, value: int, count: int) -> Bits:
        """Codes begin with their highest bit."""
        self.bits += [value >> place & 1 for place in reversed(range(count))]
        return self

    def align(self) -> Bits:
        self.bits += [0] * (-len(self.bits) % 8)
        return self

    def raw(self, data: bytes) -> Bits:
        self.align()
        for byte in data:
            self.number(byte, 8)
        return self

    def header(self, kind: int, *, last: bool = True) -> Bits:
        return self.number(int(last), 1).number(kind, 2)

    def symbol(self, symbol: int, lengths: list[int]) -> Bits:
        return self.code(codes(lengths)[symbol], lengths[symbol])

    def fixed(self, *symbols: int) -> Bits:
        for symbol in symbols:
            self.symbol(symbol, FIXED_LENGTHS)
        return self

    def bytes(self) -> bytes:
        made = bytearray(-(-len(self.bits) // 8))
        for place, bit in enumerate(self.bits):
            made[place // 8] |= bit << place % 8
        return bytes(made)


def codes(lengths: list[int]) -> list[int]:
    """Section 3.2.2."""
    found = [0] * len(lengths)
    code = 0
    for bits in range(1, 16):
        for symbol, length in enumerate(lengths):
            if length == bits:
                found[symbol] = code
                code += 1
        code <<= 1
    return found


def dynamic(lengths: list[int], distances: list[int]) -> Bits:
    """A block up to its symbols; the lengths of its codes are coded with four bits each."""
    made = Bits().header(DYNAMIC)
    made.number(len(lengths) - 257, 5).number(len(distances) - 1, 5).number(len(ORDER) - 4, 4)
    own = [4] * 16 + [0] * 3
    for code in ORDER:
        made.number(own[code], 3)
    for length in lengths + distances:
        made.symbol(length, own)
    return made
