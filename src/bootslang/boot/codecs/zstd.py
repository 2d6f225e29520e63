"""Zstandard: a chunk packed as one frame. Called by stage 4 for each such chunk, in 32 or 64 bits.

By RFC 8878. A frame is a header, blocks, and perhaps a checksum; here are these. zstd_tables.py reads the codes that
stand before a block's contents, zstd_passes.py unpacks the contents.

As `zstd` does, frames that follow each other are unpacked one after the other, and skippable frames are passed over;
anything else behind the last frame is an error. Dictionaries are refused. The output is the window: matches reach back
to the frame's beginning, whatever window the header asks for, as in `ZSTD_decompress`.
"""

from __future__ import annotations

from typing import Final

from bootslang.boot.codecs.registry import Codec
from bootslang.boot.codecs.zstd_passes import (
    BLOCK_MAX,
    MARGIN,
    State,
    States,
    Work,
    place_rest,
    read_literals,
    run_sequences,
)
from bootslang.boot.codecs.zstd_tables import (
    LITERAL_LENGTHS,
    MATCH_LENGTHS,
    MAX_CODES,
    MAX_OFFSET_STATE_BITS,
    MAX_STATE_BITS,
    OFFSETS,
    PREDEFINED_LITERAL_LENGTHS,
    PREDEFINED_MATCH_LENGTHS,
    PREDEFINED_OFFSETS,
    build_states,
    read_counts,
    read_huffman,
)
from bootslang.boot.disk import CODEC_ZSTD
from bootslang.boot.lib.xxh64 import xxh64
from bootslang.slang import (
    BootError,
    array,
    compile_for,
    fn,
    i16,
    placed,
    sizeof,
    span,
    text,
    u8,
    u32,
    u64,
    usize,
)

compile_for("protected32", "long64")

MAGIC: Final = 0xFD2F_B528
SKIPPABLE_MAGIC: Final = 0x184D_2A50
"""With any lowest digit: data for somebody else."""
SKIPPABLE_MASK: Final = 0xFFFF_FFF0
MAX_WINDOW_BITS: Final = 27
"""Of the window that a header asks for; beyond this, `zstd` too wants to be told (`--long`)."""
MIN_WINDOW_BITS: Final = 10
WORK_BYTES: Final = sizeof(Work)

HEADER_DICTIONARY: Final = 0x03
HEADER_RESERVED: Final = 0x08
HEADER_CHECKSUM: Final = 0x04
HEADER_SINGLE_SEGMENT: Final = 0x20
HEADER_CONTENT_SHIFT: Final = 6
"""A frame header's first byte (section 3.1.1.1.1)."""
RAW, RLE, COMPRESSED = 0, 1, 2
"""Kinds of blocks, and of literals; TREELESS literals use the Huffman table of the block before."""
TREELESS: Final = 3
PREDEFINED_MODE, RLE_MODE, FSE_MODE = 0, 1, 2
"""Where a table of states comes from; else it is the one of the block before."""
PREDEFINED_BITS: Final = 6
PREDEFINED_OFFSET_BITS: Final = 5
"""Of the states of the predefined tables."""
LONG_COUNT: Final = 0x7F00
"""What the three-byte form of the number of sequences starts from."""


@fn
def decode(packed: span[u8], out: span[u8], work: span[u8]) -> None:
    """Unpack all of `packed` into exactly all of `out`; `work` is at least WORK_BYTES."""
    area = Work.of(work)
    state = State(source=packed, position=0, out=out, written=0, frame=0, limit=0)
    more = True
    while more:
        decode_frame(state, area)
        more = state.position < len(packed)
    if state.written != len(out):
        raise BootError(f"zstd: the data unpack to {state.written} bytes instead of {len(out)}")


@fn
def decode_frame(state: State, area: Work) -> None:
    """Unpack the frame at `position`, or pass over it."""
    start = state.position
    if len(state.source) - start < 4:
        raise BootError(f"zstd: no frame begins at byte {start}")
    magic = take(state, 4)
    if magic & SKIPPABLE_MASK == SKIPPABLE_MAGIC:
        size = take(state, 4)
        skip(state, size)
        return
    if magic != MAGIC:
        raise BootError(f"zstd: no frame begins at byte {start}")
    flags = take(state, 1)
    content = read_header(state, flags)
    start_frame(state, area)
    last: u32 = 0
    while last == 0:
        header = take(state, 3)
        decode_block(state, area, header >> 1 & 3, header >> 3)
        last = header & 1
    unpacked = state.written - state.frame
    told = flags & HEADER_SINGLE_SEGMENT != 0 or flags >> HEADER_CONTENT_SHIFT != 0
    if told and unpacked != content:
        raise BootError(f"zstd: a frame unpacks to {unpacked} bytes instead of {content}")
    if flags & HEADER_CHECKSUM != 0:
        checksum = take(state, 4)
        if u32(xxh64(state.out[state.frame : state.written])) != checksum:
            raise BootError(f"zstd: the bytes from {state.frame} to {state.written} are wrong (checksum)")


@fn
def read_header(state: State, flags: u32) -> u64:
    """Read the rest of a frame's header, note how large its blocks may be; return the content size, 0 if untold."""
    if flags & HEADER_RESERVED != 0:
        raise BootError("zstd: a frame's header has its reserved bit set")
    window: u64 = 0
    single = flags & HEADER_SINGLE_SEGMENT != 0
    if not single:
        descriptor = take(state, 1)
        bits = MIN_WINDOW_BITS + (descriptor >> 3)
        if bits > MAX_WINDOW_BITS:
            raise BootError(f"zstd: a window of {bits} bits; {MAX_WINDOW_BITS} are the most")
        window = (u64(1) << bits) + (u64(descriptor & 7) << (bits - 3))
    identifier: u32 = 0
    if flags & HEADER_DICTIONARY != 0:
        identifier = take(state, u32(1) << ((flags & HEADER_DICTIONARY) - 1))
    if identifier != 0:
        raise BootError(f"zstd: dictionaries are not supported (it asks for number {identifier})")
    content: u64 = 0
    form = flags >> HEADER_CONTENT_SHIFT
    if form == 0 and single:
        content = take(state, 1)
    elif form == 1:
        content = take(state, 2) + 256
    elif form == 2:
        content = take(state, 4)
    elif form == 3:
        low = take(state, 4)
        content = u64(take(state, 4)) << 32 | low
    if content > len(state.out) - state.written:
        raise BootError(f"zstd: the data unpack to more than {len(state.out)} bytes")
    state.limit = u32(min(content if single else window, BLOCK_MAX))
    return content


@fn
def start_frame(state: State, area: Work) -> None:
    """Forget what the frame before has left."""
    state.frame = state.written
    area.repeats[0] = 1
    area.repeats[1] = 4
    area.repeats[2] = 8
    area.has_huffman = 0
    area.literal_lengths.known = 0
    area.offsets.known = 0
    area.match_lengths.known = 0


@fn
def take(state: State, count: u32) -> u32:
    """The next number of `count` bytes, 4 at most."""
    start = state.position
    skip(state, count)
    value: u32 = 0
    for index in range(count):
        value |= u32(state.source[start + index]) << (index * 8)
    return value


@fn(inline=False)
def skip(state: State, count: u32) -> None:
    """Pass over `count` bytes."""
    if count > len(state.source) - state.position:
        raise BootError("zstd: the data end too early")
    state.position += count


@fn
def decode_block(state: State, area: Work, kind: u32, size: u32) -> None:
    """Unpack one block; `size` is that of its contents, packed if they are."""
    if kind > COMPRESSED:
        raise BootError("zstd: a block of a reserved kind")
    if size > state.limit:
        raise BootError(f"zstd: a block of {size} bytes; {state.limit} are the most")
    start = state.position
    if kind == COMPRESSED:
        skip(state, size)
        before = state.written
        end = state.position
        state.position = start
        decode_contents(state, area, end)
        if state.written - before > state.limit:
            raise BootError(f"zstd: a block unpacks to more than {state.limit} bytes")
        return
    if size > len(state.out) - state.written:
        raise BootError(f"zstd: the data unpack to more than {len(state.out)} bytes")
    end = state.written + size
    if kind == RLE:
        state.out[state.written : end].fill(u8(take(state, 1)))
    else:
        skip(state, size)
        state.out[state.written : end] = state.source[start : start + size]
    state.written = end


@fn
def decode_contents(state: State, area: Work, end: usize) -> None:
    """Unpack the compressed block that ends at `end`: first its literals, then the sequences that place them."""
    whole = state.source
    state.source = whole[:end]
    literals = decode_literals(state, area, whole)
    count = take(state, 1)
    if count == 0xFF:
        count = take(state, 2) + LONG_COUNT
    elif count >= 0x80:
        count = (count - 0x80) << 8 | take(state, 1)
    if count != 0:
        read_tables(state, area)
        run_sequences(state, area, literals, count)
    else:
        if state.position != end:
            raise BootError("zstd: bytes follow a block without sequences")
        place_rest(state, literals[: len(literals) - MARGIN])
    state.position = end
    state.source = whole


@fn
def decode_literals(state: State, area: Work, whole: span[u8]) -> span[u8]:
    """Read a block's literals; return them with MARGIN further bytes that may be read, too."""
    first = take(state, 1)
    if first & 3 < COMPRESSED:
        return plain_literals(state, area, whole, first)
    form = first >> 2 & 3
    width: u32 = 10
    sizes = u64(take(state, 2)) << 4 | first >> 4
    if form == 2:
        width = 14
        sizes |= u64(take(state, 1)) << 20
    elif form == 3:
        width = 18
        sizes |= u64(take(state, 2)) << 20
    size = check_literals(state, u32(sizes) & ((u32(1) << width) - 1))
    start = state.position
    skip(state, u32(sizes >> width))
    packed = state.source[: state.position]
    if first & 3 != TREELESS:
        start = read_huffman(area.huffman, area.weights, packed, start)
        area.has_huffman = 1
    elif area.has_huffman == 0:
        raise BootError("zstd: literals without a table, and none before them")
    read_literals(area, packed, start, area.literals[:size], form != 0)
    return area.literals[: size + MARGIN]


@fn
def plain_literals(state: State, area: Work, whole: span[u8], first: u32) -> span[u8]:
    """Read literals that are not packed, or are all the same; those stay where they are, if enough follows them."""
    form = first >> 2 & 3
    size = first >> 3
    if form == 1:
        size = first >> 4 | take(state, 1) << 4
    elif form == 3:
        size = first >> 4 | take(state, 2) << 4
    check_literals(state, size)
    start = state.position
    if first & 3 == RLE:
        area.literals[:size].fill(u8(take(state, 1)))
    else:
        skip(state, size)
        if len(whole) - state.position >= MARGIN:
            return whole[start : state.position + MARGIN]
        area.literals[:size] = whole[start : state.position]
    return area.literals[: size + MARGIN]


@fn
def check_literals(state: State, size: u32) -> u32:
    """Refuse more literals than a block has room for."""
    if size > state.limit:
        raise BootError(f"zstd: a block with {size} literals; {state.limit} bytes are the most")
    return size


@fn
def read_tables(state: State, area: Work) -> None:
    """Read what the codes of a block's sequences are, in the order: literal lengths, offsets, match lengths."""
    modes = take(state, 1)
    if modes & 3 != 0:
        raise BootError("zstd: sequences with a reserved bit set")
    read_states(state, area.literal_lengths, modes >> 6, LITERAL_LENGTHS, PREDEFINED_LITERAL_LENGTHS)
    read_states(state, area.offsets, modes >> 4 & 3, OFFSETS, PREDEFINED_OFFSETS)
    read_states(state, area.match_lengths, modes >> 2 & 3, MATCH_LENGTHS, PREDEFINED_MATCH_LENGTHS)


@fn
def read_states(state: State, table: States, mode: u32, codes: span[u64], predefined: span[i16]) -> None:
    """Fill one table of states as its `mode` says."""
    if mode == PREDEFINED_MODE:
        table.bits = PREDEFINED_BITS if len(codes) != len(OFFSETS) else PREDEFINED_OFFSET_BITS
        build_states(table.entries, table.bits, predefined, codes)
    elif mode == RLE_MODE:
        symbol = take(state, 1)
        if symbol >= len(codes):
            raise BootError("zstd: a table has more symbols than there are")
        table.entries[0] = codes[symbol]
        table.bits = 0
    elif mode == FSE_MODE:
        counts = array[i16](MAX_CODES)
        used = counts[: len(codes)]
        max_bits: u32 = MAX_STATE_BITS if len(codes) != len(OFFSETS) else MAX_OFFSET_STATE_BITS
        state.position, table.bits = read_counts(state.source, state.position, max_bits, used)
        build_states(table.entries, table.bits, used, codes)
    elif table.known == 0:
        raise BootError("zstd: sequences without a table, and none before them")
    table.known = 1


ZSTD: Final = placed(".set.codecs.zstd", Codec(id=CODEC_ZSTD, work_bytes=WORK_BYTES, name=text("zstd"), decode=decode))
