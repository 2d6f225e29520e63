"""bzip2: a chunk packed as one bzip2 stream. Called by stage 4 for each such chunk, in 32 or 64 bits.

A stream is a header, blocks, and an end mark with a checksum. Here are the headers and the Huffman tables;
bzip2_passes.py unpacks a block's contents.

As bzip2 and Python's `bz2` do, streams that follow each other are unpacked one after the other; unlike there, anything
else behind the last stream is an error, and so are randomised blocks, which bzip2 has not written since 1999. An
incomplete Huffman table is accepted as long as none of its missing codes is used; an oversubscribed one is not.
"""

from __future__ import annotations

from typing import Final

from bootslang.boot.codecs.bzip2_passes import (
    BLOCK_UNIT,
    FAST_BITS,
    LENGTH_BITS,
    MAX_CODE_BITS,
    MAX_TABLES,
    Bits,
    Table,
    Work,
    crc_of,
    link_block,
    make_crc_tables,
    read_symbols,
    write_block,
)
from bootslang.boot.codecs.registry import Codec
from bootslang.boot.disk import CODEC_BZIP2
from bootslang.slang import (
    BootError,
    array,
    compile_for,
    fn,
    placed,
    rotate_left,
    sizeof,
    span,
    text,
    u8,
    u16,
    u32,
    u64,
    usize,
)

compile_for("protected32", "long64")

BLOCK_MARK: Final = (0x314159, 0x265359)
"""Pi, in BCD: a block begins."""
END_MARK: Final = (0x177245, 0x385090)
"""Its root: the stream ends."""
WORK_BYTES: Final = sizeof(Work)


@fn
def decode(packed: span[u8], out: span[u8], work: span[u8]) -> None:
    """Unpack all of `packed` into exactly all of `out`; `work` is at least WORK_BYTES."""
    area = Work.of(work)
    make_crc_tables(area)
    bits = Bits(source=packed, position=0, window=0, held=0)
    written: usize = 0
    more = True
    while more:
        written = decode_stream(bits, area, out, written)
        bits.held -= bits.held & 7
        more = bits.held != 0 or bits.position < len(packed)
    if written != len(out):
        raise BootError(f"bzip2: the data unpack to {written} bytes instead of {len(out)}")


@fn
def decode_stream(bits: Bits, area: Work, out: span[u8], written: usize) -> usize:
    """Unpack one stream behind what is `written`; return how much is written then."""
    start = bits.position - (bits.held >> 3)
    if take(bits, 24) != 0x425A68:
        raise BootError(f"bzip2: no stream begins at byte {start}")
    level = take(bits, 8) - ord("0")
    if level < 1 or level > 9:
        raise BootError(f"bzip2: the stream at byte {start} has an impossible block size")
    combined: u32 = 0
    while True:
        first = take(bits, 24)
        second = take(bits, 24)
        checksum = take(bits, 16) << 16 | take(bits, 16)
        if first == END_MARK[0] and second == END_MARK[1]:
            break
        if first != BLOCK_MARK[0] or second != BLOCK_MARK[1]:
            raise BootError(f"bzip2: neither a block nor the end before byte {bits.position}")
        end = decode_block(bits, area, level * BLOCK_UNIT, out, written)
        if crc_of(area, out[written:end]) != checksum:
            raise BootError(f"bzip2: the bytes from {written} to {end} are wrong (block checksum)")
        combined = rotate_left(combined, 1) ^ checksum
        written = end
    if combined != checksum:
        raise BootError("bzip2: a block is missing or changed (stream checksum)")
    return written


@fn
def decode_block(bits: Bits, area: Work, limit: u32, out: span[u8], written: usize) -> usize:
    """Unpack one block of at most `limit` transformed bytes; return how much is written then."""
    if take(bits, 1) != 0:
        raise BootError("bzip2: randomised blocks are not supported")
    origin = take(bits, 24)
    symbols = read_alphabet(bits, area)
    tables = take(bits, 3)
    if tables < 2 or tables > MAX_TABLES:
        raise BootError(f"bzip2: a block with {tables} tables")
    selectors = read_selectors(bits, area, tables)
    for index in range(tables):
        read_lengths(bits, area, symbols)
        build_table(area.tables[index], area.lengths[:symbols])
    count = read_symbols(bits, area, symbols - 1, area.selectors[:selectors], area.block[:limit])
    if origin >= count:
        raise BootError(f"bzip2: a block of {count} bytes starts at its byte {origin}")
    link_block(area, area.block[:count])
    return write_block(area.links[:count], origin, out, written)


@fn(inline=False)
def take(bits: Bits, count: u32) -> u32:
    """The next `count` bits, 24 at most."""
    while bits.held < count:
        if bits.position >= len(bits.source):
            raise BootError("bzip2: the data end too early")
        bits.window = bits.window << 8 | bits.source[bits.position]
        bits.position += 1
        bits.held += 8
    bits.held -= count
    return u32(bits.window >> bits.held) & ((u32(1) << count) - 1)


@fn
def read_alphabet(bits: Bits, area: Work) -> u32:
    """Start the move-to-front list with the bytes that occur; return how many symbols code them."""
    rows = take(bits, 16)
    used: u32 = 0
    area.recent.fill(0)
    for row in range(16):
        if rows >> (15 - row) & 1 == 0:
            continue
        columns = take(bits, 16)
        for column in range(16):
            if columns >> (15 - column) & 1 != 0:
                area.recent[used >> 3] |= u64(row * 16 + column) << ((used & 7) * 8)
                used += 1
    if used == 0:
        raise BootError("bzip2: a block without any byte")
    return used + 2


@fn
def read_selectors(bits: Bits, area: Work, tables: u32) -> u32:
    """Read which table each group of symbols is coded with; return how many groups there are."""
    count = take(bits, 15)
    if count == 0:
        raise BootError("bzip2: a block without selectors")
    order = array[u8](MAX_TABLES)
    for index in range(MAX_TABLES):
        order[index] = u8(index)
    for group in range(count):
        place: u32 = 0
        while take(bits, 1) != 0:
            place += 1
            if place >= tables:
                raise BootError(f"bzip2: a selector beyond the {tables} tables")
        chosen = order[place]
        while place > 0:
            order[place] = order[place - 1]
            place -= 1
        order[0] = chosen
        area.selectors[group] = chosen
    return count


@fn
def read_lengths(bits: Bits, area: Work, symbols: u32) -> None:
    """Read the code lengths of one table, each told by its difference from the one before."""
    bit_length = take(bits, 5)
    for symbol in range(symbols):
        while True:
            if bit_length < 1 or bit_length > MAX_CODE_BITS:
                raise BootError(f"bzip2: a code of {bit_length} bits")
            if take(bits, 1) == 0:
                break
            bit_length = bit_length - 1 if take(bits, 1) != 0 else bit_length + 1
        area.lengths[symbol] = u8(bit_length)


@fn
def build_table(table: Table, lengths: span[u8]) -> None:
    """Number the codes from the shortest on, and make the quick way in."""
    counts = array[u32](MAX_CODE_BITS + 1)
    for bit_length in lengths:
        counts[bit_length] += 1
    places = array[u32](MAX_CODE_BITS + 1)
    code: u32 = 0
    place: u32 = 0
    for bits in range(1, MAX_CODE_BITS + 1):
        table.offsets[bits] = place - code
        places[bits] = place
        place += counts[bits]
        code += counts[bits]
        if code > u32(1) << bits:
            raise BootError("bzip2: an oversubscribed code table")
        table.limits[bits] = code << (MAX_CODE_BITS - bits)
        code <<= 1
    for symbol, bit_length in enumerate(lengths):
        table.symbols[places[bit_length]] = u16(symbol)
        places[bit_length] += 1
    fill_fast(table, lengths)


@fn
def fill_fast(table: Table, lengths: span[u8]) -> None:
    """Enter each code of at most FAST_BITS bits wherever it may be followed by other bits."""
    table.fast.fill(0)
    for index in range(u32(len(lengths))):
        symbol = table.symbols[index]
        bit_length = lengths[symbol]
        if bit_length > FAST_BITS:
            break
        spread = u32(1) << (FAST_BITS - bit_length)
        first = (index - table.offsets[bit_length]) * spread
        table.fast[first : first + spread].fill(symbol << LENGTH_BITS | bit_length)


BZIP2: Final = placed(
    ".set.codecs.bzip2", Codec(id=CODEC_BZIP2, work_bytes=WORK_BYTES, name=text("bzip2"), decode=decode)
)
