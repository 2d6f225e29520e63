"""Deflate's Huffman tables, and the memory that unpacking works in. Called by inflate.py, in 32 or 64 bits.

By RFC 1951. The next bits of the stream index a table, whose entry says everything: how many bits the code and its
extra bits take together, and what they mean. Codes of more bits than a table's lead on to a second table behind it.
This is how libdeflate does it, and entries are laid out nearly as there.
"""

from __future__ import annotations

from typing import Final

from bootslang.slang import BootError, Struct, array, compile_for, fn, length, span, u8, u16, u32

compile_for("protected32", "long64")

MAX_CODE_BITS: Final = 15
LENGTH_MASK: Final = 15
SYMBOL_BITS: Final = 11
DISTANCE_BITS: Final = 8
LENGTH_CODE_BITS: Final = 7
SYMBOL_ENTRIES: Final = 2342
"""The most that 288 codes of at most 15 bits can need behind 11 bits, as zlib's `enough` counts."""
DISTANCE_ENTRIES: Final = 402
"""The same for 32 codes behind 8 bits."""
SYMBOLS: Final = 288
DISTANCES: Final = 32
LENGTH_CODES: Final = 19

# An entry. Its lowest byte is how many bits it takes: of the code, and of extra bits behind it.
CODE_SHIFT: Final = 8
"""How many of these are the code's; for LONGER, how many bits index the second table."""
CODE_MASK: Final = 0x3F
LONGER: Final = 1 << 14
"""The code goes on: `value` is where the second table begins. It takes the first table's bits."""
SPECIAL: Final = 1 << 15
"""LONGER, the end of the block, or no code."""
END: Final = 1 << 13
VALUE_SHIFT: Final = 16
"""A literal, or what the extra bits are added to."""
LITERAL: Final = 1 << 31
NO_CODE: Final = SPECIAL

END_SYMBOL: Final = 256
LENGTHS: Final = (
    *((3 + count, 0) for count in range(8)),
    *((((4 + part) << bits) + 3, bits) for bits in range(1, 6) for part in range(4)),
)
"""For symbols from 257 on: the least length, and how many extra bits are added to it (section 3.2.5)."""
LONGEST: Final = 258
DISTANCE_STARTS: Final = (
    *((1 + count, 0) for count in range(4)),
    *((((2 + part) << bits) + 1, bits) for bits in range(1, 14) for part in range(2)),
)


def meanings(pairs: tuple[tuple[int, int], ...]) -> list[int]:
    """Entries that lack their codes' bits."""
    return [value << VALUE_SHIFT | extra for value, extra in pairs]


SYMBOL_MEANINGS: Final = array[u32](
    [
        *(LITERAL | byte << VALUE_SHIFT for byte in range(256)),
        SPECIAL | END,
        *meanings(LENGTHS[:28]),
        LONGEST << VALUE_SHIFT,
        NO_CODE,
        NO_CODE,
    ]
)
DISTANCE_MEANINGS: Final = array[u32]([*meanings(DISTANCE_STARTS), NO_CODE, NO_CODE])
LENGTH_CODE_MEANINGS: Final = array[u32](code << VALUE_SHIFT for code in range(LENGTH_CODES))


class Work(Struct):
    """The memory that unpacking takes; nothing in it outlives a block."""

    symbols: array[u32] = length(SYMBOL_ENTRIES)
    distances: array[u32] = length(DISTANCE_ENTRIES)
    length_codes: array[u32] = length(1 << LENGTH_CODE_BITS)
    """What the code lengths of the other two are coded with."""
    lengths: array[u8] = length(SYMBOLS + DISTANCES)
    """Of the codes, in bits; 0 for none. Symbols first, distances behind them."""
    sorted: array[u16] = length(SYMBOLS)
    """Symbols in the order of their codes."""


class Codes(Struct):
    """What a table is made of."""

    counts: array[u32] = length(MAX_CODE_BITS + 1)
    """By length: how many codes have it."""
    code: u32
    """The next to be entered, its highest bit lowest."""
    index: u32
    """So many have been entered."""


@fn(optimize="speed", inline=False)
def build_table(table: span[u32], bits: u32, lengths: span[u8], meanings: span[u32], order: span[u16]) -> None:
    """Make the table that `bits` bits index, of codes of these `lengths`; `order` is room for their order.

    As in zlib, a code has to be complete, but for a single code of one bit, and none at all.
    """
    codes = Codes.zeroed()
    counts = codes.counts
    for told in lengths:
        counts[told & LENGTH_MASK] += 1
    longest = check_counts(counts)
    places = array[u32](MAX_CODE_BITS + 2)
    for bit_length in range(u32(1), MAX_CODE_BITS + 1):
        places[bit_length + 1] = places[bit_length] + counts[bit_length]
    for symbol, told in enumerate(lengths):
        if told != 0:
            order[places[told & LENGTH_MASK]] = u16(symbol)
            places[told & LENGTH_MASK] += 1
    table[0] = NO_CODE
    for bit_length in range(1, bits + 1):
        half = u32(1) << (bit_length - 1)
        table[half : half * 2] = table[:half]
        for _ in range(counts[bit_length]):
            table[codes.code] = meanings[order[codes.index]] + (bit_length << CODE_SHIFT) + bit_length
            advance(codes, bit_length)
    if longest > bits:
        build_second_tables(table, bits, codes, meanings, order)


@fn
def check_counts(counts: span[u32]) -> u32:
    """Refuse codes that there cannot be; return the longest one's bits."""
    longest: u32 = 0
    left: u32 = 1
    for bit_length in range(u32(1), MAX_CODE_BITS + 1):
        left <<= 1
        if counts[bit_length] > left:
            raise BootError("deflate: an oversubscribed code table")
        left -= counts[bit_length]
        if counts[bit_length] != 0:
            longest = bit_length
    if left != 0 and longest > 1:
        raise BootError("deflate: an incomplete code table")
    return longest


@fn
def build_second_tables(table: span[u32], bits: u32, codes: Codes, meanings: span[u32], order: span[u16]) -> None:
    """Enter the codes of more than `bits` bits."""
    first_mask = (u32(1) << bits) - 1
    start = u32(1) << bits
    size: u32 = 0
    prefix = ~u32(0)
    for bit_length in range(bits + 1, MAX_CODE_BITS + 1):
        more = bit_length - bits
        for left in reversed(range(1, codes.counts[bit_length] + 1)):
            if codes.code & first_mask != prefix:
                prefix = codes.code & first_mask
                start += size
                second_bits = second_table_bits(codes.counts, bit_length, bits, left)
                size = u32(1) << second_bits
                table[prefix] = SPECIAL | LONGER | start << VALUE_SHIFT | second_bits << CODE_SHIFT | bits
            second = table[start : start + size]
            place = codes.code >> bits
            entry = meanings[order[codes.index]] + (more << CODE_SHIFT) + more
            while place < size:
                second[place] = entry
                place += u32(1) << more
            advance(codes, bit_length)


@fn
def second_table_bits(counts: span[u32], bit_length: u32, bits: u32, left: u32) -> u32:
    """How many bits index the second table that begins with the `left` last codes of `bit_length` bits."""
    found = bit_length - bits
    used = left
    while used < u32(1) << found and bits + found < MAX_CODE_BITS:
        found += 1
        used = used * 2 + counts[bits + found]
    return found


@fn(inline=True)
def advance(codes: Codes, bit_length: u32) -> None:
    """Go to the next code of the same length: they are counted up from their highest bit, which is read first."""
    bit = u32(1) << (bit_length - 1)
    while codes.code & bit != 0:
        bit >>= 1
    codes.code = codes.code & (bit - 1) | bit
    codes.index += 1
