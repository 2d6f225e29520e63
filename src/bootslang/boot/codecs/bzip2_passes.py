"""The four passes over a bzip2 block, and the memory that they work in. Called by bzip2.py, in 32 or 64 bits.

A block is a Burrows-Wheeler transform of at most 900,000 bytes, moved to front, its zeros run-length coded, Huffman
coded with up to six tables that take turns every 50 symbols. Each pass undoes its part of that: `read_symbols`
(Huffman, runs, move to front), `link_block` and `write_block` (Burrows-Wheeler, the outermost run lengths), `crc_of`.
These are the loops that cost the time: they are compiled for speed, all around them for size.
"""

from __future__ import annotations

from typing import Final

from bootslang.slang import (
    BootError,
    Struct,
    array,
    be,
    compile_for,
    fn,
    length,
    span,
    target,
    u8,
    u16,
    u32,
    u64,
    usize,
)

compile_for("protected32", "long64")

BLOCK_UNIT: Final = 100_000
"""The digit in a stream's header counts the largest block in these."""
MAX_BLOCK: Final = 9 * BLOCK_UNIT
MAX_TABLES: Final = 6
MAX_SYMBOLS: Final = 258
MAX_CODE_BITS: Final = 20
MAX_SELECTORS: Final = 1 << 15
"""What the 15-bit count can say; a block has use for 18,001."""
GROUP: Final = 50
"""Symbols that are read with one table before the next selector."""
FAST_BITS: Final = 10
"""Codes up to this long are looked up in one step."""
FAST_MASK: Final = (1 << FAST_BITS) - 1
LENGTH_BITS: Final = 5
LENGTH_MASK: Final = (1 << LENGTH_BITS) - 1
MAX_WEIGHT: Final = 1 << 20
"""A run with more digits than this is longer than any block."""
RUN: Final = 4
"""So many equal bytes are followed by a count of further ones."""
NO_BYTE: Final = 0x100
CRC_POLYNOMIAL: Final = 0x04C1_1DB7
CRC_TABLES: Final = 8


class Table(Struct):
    """One Huffman table. Codes of a length are consecutive numbers, shorter ones first."""

    fast: array[u16] = length(1 << FAST_BITS)
    """By the next FAST_BITS bits: symbol and length of the code that they begin with; 0 if it is longer."""
    limits: array[u32] = length(MAX_CODE_BITS + 1)
    """By length: the first number behind its codes, shifted left to MAX_CODE_BITS."""
    offsets: array[u32] = length(MAX_CODE_BITS + 1)
    """By length: what makes a code an index of `symbols` (modulo 2^32)."""
    symbols: array[u16] = length(MAX_SYMBOLS)
    """In the order of their codes."""


class Work(Struct):
    """The memory that decoding takes; nothing in it outlives a call."""

    links: array[u32] = length(MAX_BLOCK)
    """The inverse Burrows-Wheeler transform: where the next byte is << 8 | this byte."""
    recent: array[u64] = length(32)
    """The move-to-front list, 8 bytes a word, the latest in the lowest byte; word 0 lives in a register meanwhile."""
    crc: array[u32] = length(256 * CRC_TABLES)
    starts: array[u32] = length(256)
    """By byte value: how often it occurs, then where its next link goes."""
    tables: array[Table] = length(MAX_TABLES)
    lengths: array[u8] = length(MAX_SYMBOLS)
    selectors: array[u8] = length(MAX_SELECTORS)
    block: array[u8] = length(MAX_BLOCK)
    """The transformed bytes."""


class Bits(Struct):
    """The packed bytes as a stream of bits, the most significant first."""

    source: span[u8]
    position: usize
    """The next byte to go into the window."""
    window: usize
    held: u32
    """So many of the window's low bits are still to be read."""


class BigWord(Struct):
    value: be[u32]


class BigPair(Struct):
    first: be[u32]
    second: be[u32]


@fn(optimize="speed", inline=False)
def read_symbols(bits: Bits, area: Work, last: u32, selectors: span[u8], block: span[u8]) -> usize:
    """Read the coded symbols up to `last`, the end of block, and leave the bytes that they mean in `block`.

    Symbols 0 and 1 are digits of a run of the latest byte, in the bijective base 2; symbol n is the byte at place n - 1
    of the move-to-front list. Returns how many bytes the block has.
    """
    source = bits.source
    window, held, position = bits.window, bits.held, bits.position
    front = area.recent[0]
    table = area.tables[0]
    count: usize = 0
    run: u32 = 0
    weight: u32 = 1
    group: usize = 0
    left: u32 = 0
    while True:
        if left == 0:
            check_not_ended(source, held, position)
            table = table_of_group(area, selectors, group)
            group += 1
            left = GROUP
        left -= 1
        window, held, position = refill(source, window, held, position)
        code = next_code(table, window, held)
        held -= code & LENGTH_MASK
        symbol = code >> LENGTH_BITS
        if symbol < 2:
            run += weight << symbol
            weight <<= 1
            if weight > MAX_WEIGHT:
                raise BootError("bzip2: a run is longer than a block")
            continue
        if run != 0:
            count = append_run(block, count, run, u8(front))
            run = 0
            weight = 1
        if symbol == last:
            break
        front = move_to_front(area, front, symbol - 1)
        if count >= len(block):
            raise BootError("bzip2: a block is larger than its stream allows")
        block[count] = u8(front)
        count += 1
    check_not_ended(source, held, position)
    keep(bits, window, held, position)
    return count


@fn
def table_of_group(area: Work, selectors: span[u8], group: usize) -> Table:
    """The table that the next GROUP symbols are coded with."""
    if group >= len(selectors):
        raise BootError("bzip2: a block has more symbols than its selectors cover")
    return area.tables[selectors[group]]


@fn(inline=True)
def refill(source: span[u8], window: usize, held: u32, position: usize) -> tuple[usize, u32, usize]:
    """Hold at least MAX_CODE_BITS bits, zeros behind the end of the data: `check_not_ended` finds out who took them."""
    if target.bits == 64 and held <= 32 and position <= len(source) and len(source) - position >= 4:
        return window << 32 | BigWord.of(source[position : position + 4]).value, held + 32, position + 4
    while held <= 24:
        window <<= 8
        if position < len(source):
            window |= source[position]
        held += 8
        position += 1
    return window, held, position


@fn
def check_not_ended(source: span[u8], held: u32, position: usize) -> None:
    """Refuse to have read bits that are not there."""
    if position > len(source) and (position - len(source)) * 8 > held:
        raise BootError("bzip2: the data end too early")


@fn
def keep(bits: Bits, window: usize, held: u32, position: usize) -> None:
    """Note where reading goes on, without the zeros that `refill` has put behind the end."""
    if position > len(bits.source):
        padding = u32(position - len(bits.source)) * 8
        window >>= padding
        held -= padding
        position = len(bits.source)
    bits.window = window
    bits.held = held
    bits.position = position


@fn(inline=True)
def next_code(table: Table, window: usize, held: u32) -> u32:
    """Symbol << LENGTH_BITS | length of the code that the window's bits begin with."""
    code = table.fast[window >> (held - FAST_BITS) & FAST_MASK]
    if code != 0:
        return code
    return long_code(table, u32(window >> (held - MAX_CODE_BITS)) & ((1 << MAX_CODE_BITS) - 1))


@fn
def long_code(table: Table, code: u32) -> u32:
    """The same for a code longer than FAST_BITS; `code` holds the next MAX_CODE_BITS bits."""
    for bit_length in range(FAST_BITS + 1, MAX_CODE_BITS + 1):
        if code < table.limits[bit_length]:
            index = (code >> (MAX_CODE_BITS - bit_length)) + table.offsets[bit_length]
            return u32(table.symbols[index]) << LENGTH_BITS | u32(bit_length)
    raise BootError("bzip2: a code that its table does not have")


@fn(inline=True)
def append_run(block: span[u8], count: usize, run: u32, byte: u8) -> usize:
    """Write a run of `byte` behind the first `count` bytes; return how many there are then."""
    if run > len(block) - count:
        raise BootError("bzip2: a block is larger than its stream allows")
    block[count : count + run].fill(byte)
    return count + run


@fn(inline=True)
def move_to_front(area: Work, front: u64, place: u32) -> u64:
    """Move the byte at `place` of the list to its front; returns word 0 of the list, `front` before."""
    if place >= 8:
        return move_far(area, front, place)
    shift = place * 8
    below = (u64(1) << shift) - 1
    return front & ~(below << 8 | 0xFF) | (front & below) << 8 | front >> shift & 0xFF


@fn(optimize="speed", inline=False)
def move_far(area: Work, front: u64, place: u32) -> u64:
    """The same for a byte that is not in word 0: the words before its own move up as a whole."""
    between = area.recent[1 : place >> 3]
    carry = front >> 56
    for index in range(len(between)):
        word = between[index]
        between[index] = word << 8 | carry
        carry = word >> 56
    shift = (place & 7) * 8
    below = (u64(1) << shift) - 1
    word = area.recent[place >> 3]
    area.recent[place >> 3] = word & ~(below << 8 | 0xFF) | (word & below) << 8 | carry
    return front << 8 | word >> shift & 0xFF


@fn(optimize="speed", inline=False)
def link_block(area: Work, block: span[u8]) -> None:
    """Undo the sorting: byte k of the sorted block comes from place n, and n is where the text goes on after it."""
    area.starts.fill(0)
    for byte in block:
        area.starts[byte] += 1
    total: u32 = 0
    for value in range(256):
        occurrences = area.starts[value]
        area.starts[value] = total
        total += occurrences
    for index, byte in enumerate(block):
        place = area.starts[byte]
        area.starts[byte] = place + 1
        area.links[place] = u32(index) << 8 | byte


@fn(optimize="speed", inline=False)
def write_block(links: span[u32], origin: u32, out: span[u8], written: usize) -> usize:
    """Follow the links from `origin`, expand the runs, and write; return how much is written then."""
    place = origin
    previous: u32 = NO_BYTE
    equal: u32 = 0
    for _ in range(len(links)):
        link = links[place]
        byte = link & 0xFF
        place = link >> 8
        if equal == RUN:
            if byte > len(out) - written:
                raise BootError(f"bzip2: the data unpack to more than {len(out)} bytes")
            out[written : written + byte].fill(u8(previous))
            written += byte
            previous = NO_BYTE
            equal = 0
            continue
        if written >= len(out):
            raise BootError(f"bzip2: the data unpack to more than {len(out)} bytes")
        out[written] = u8(byte)
        written += 1
        equal = equal + 1 if byte == previous else 1
        previous = byte
    if equal == RUN:
        raise BootError("bzip2: a run lacks its length")
    return written


@fn
def make_crc_tables(area: Work) -> None:
    """Table k holds the CRC-32 of each byte with k zero bytes behind it: so 8 bytes go in one step."""
    for byte in range(256):
        crc = u32(byte) << 24
        for _ in range(8):
            crc = crc << 1 ^ (crc >> 31) * CRC_POLYNOMIAL
        area.crc[byte] = crc
    for index in range(256, 256 * CRC_TABLES):
        crc = area.crc[index - 256]
        area.crc[index] = crc << 8 ^ area.crc[crc >> 24]


@fn(optimize="speed", inline=False)
def crc_of(area: Work, data: span[u8]) -> u32:
    """The CRC-32 of `data` as bzip2 takes it: the most significant bit first."""
    tables = area.crc
    crc: u32 = 0xFFFF_FFFF
    for pair in data.cast(BigPair):
        first = crc ^ pair.first
        second = pair.second
        crc = tables[0x700 + (first >> 24)] ^ tables[0x600 + (first >> 16 & 0xFF)]
        crc ^= tables[0x500 + (first >> 8 & 0xFF)] ^ tables[0x400 + (first & 0xFF)]
        crc ^= tables[0x300 + (second >> 24)] ^ tables[0x200 + (second >> 16 & 0xFF)]
        crc ^= tables[0x100 + (second >> 8 & 0xFF)] ^ tables[second & 0xFF]
    for byte in data[len(data) & ~usize(7) :]:
        crc = crc << 8 ^ tables[crc >> 24 ^ byte]
    return ~crc
