"""The two passes over a Zstandard block, and the memory that they work in. Called by zstd.py, in 32 or 64 bits.

`read_literals` undoes the Huffman code; `run_sequences` undoes FSE and does what it says: so many literals, a match.
These are the loops that cost the time, compiled for speed. Both read streams of bits backwards: `top` is the number of
the next bit, counted from the lowest one of the first byte of the data.
"""

from __future__ import annotations

from typing import Final

from bootslang.boot.codecs.zstd_tables import (
    FIRST_TOP,
    HUFFMAN_BITS,
    MAX_OFFSET_STATE_BITS,
    MAX_STATE_BITS,
    STATE_BITS_SHIFT,
    STATE_SHIFT,
    VALUE_SHIFT,
    WEIGHT_STATE_BITS,
    bits_below,
    high_bits,
    stream_top,
)
from bootslang.slang import (
    BootError,
    Struct,
    array,
    compile_for,
    fn,
    length,
    ptr,
    sizeof,
    span,
    u8,
    u16,
    u32,
    u64,
    usize,
)

compile_for("protected32", "long64")

BLOCK_MAX: Final = 128 << 10
"""Unpacked bytes of a block, and its literals."""
WORD: Final = sizeof(u64)
MARGIN: Final = 2 * WORD
"""Copies go this far in a step, and therefore up to so much too far."""
STATES_MASK: Final = (1 << MAX_STATE_BITS) - 1
REPEATS: Final = 3
ROUND: Final = 5
"""Codes of at most HUFFMAN_BITS that a window of 57 bits holds."""
ROUND_BITS: Final = 64
"""More than a round takes; a power of two is divided by faster."""
ONE_READ_BITS: Final = 57 - 2 * MAX_STATE_BITS - MAX_OFFSET_STATE_BITS
"""As many extra bits as leave room for the next states in one window."""
HUFFMAN_SHIFT: Final = 64 - HUFFMAN_BITS
LENGTH_MASK: Final = 0xFF
JUMPS: Final = 6
"""Bytes of the sizes of the first three of four streams."""


class States(Struct):
    """What one alphabet of the sequences is coded with."""

    entries: array[u64] = length(1 << MAX_STATE_BITS)
    bits: u32
    """Of a state: so many of the entries are in use."""
    known: u32
    """Whether a block of this frame has filled the table."""


class Work(Struct):
    """The memory that decoding takes."""

    literal_lengths: States
    match_lengths: States
    offsets: States
    weights: array[u64] = length(1 << WEIGHT_STATE_BITS)
    """The states that a Huffman table is coded with."""
    huffman: array[u16] = length(1 << HUFFMAN_BITS)
    """By the next HUFFMAN_BITS bits: symbol << 8 | length of the code."""
    has_huffman: u32
    """Whether a block of this frame has filled the table."""
    repeats: array[u32] = length(REPEATS)
    """The latest offsets, which sequences may ask for by number."""
    literals: array[u8] = length(BLOCK_MAX + MARGIN)


class State(Struct):
    """Where unpacking is."""

    source: span[u8]
    position: usize
    out: span[u8]
    written: usize
    frame: usize
    """Where in `out` the present frame begins."""
    limit: u32
    """The most that a block of it may unpack to."""


class Places(Struct):
    """Where sequences write and read: addresses."""

    to: usize
    end: usize
    frame: usize
    literal: usize
    literals_end: usize


class Streams(Struct):
    """Four streams of literals that are read side by side."""

    tops: array[usize] = length(4)
    done: usize
    """Literals of each that have been read."""


@fn
def read_literals(area: Work, source: span[u8], start: usize, out: span[u8], four: bool) -> None:
    """Fill `out` with the literals that source[start:] codes, in one stream or in four."""
    if not four:
        read_stream(area, source, start, stream_top(source, start), out)
        return
    piece = (len(out) + 3) >> 2
    if len(source) - start < JUMPS or piece * 3 > len(out):
        raise BootError("zstd: four streams of literals without their sizes")
    ends = array[usize](4)
    begin = start + JUMPS
    for index in range(3):
        place = start + index * 2
        begin += source[place] | usize(source[place + 1]) << 8
        ends[index] = begin
    ends[3] = len(source)
    if begin > len(source):
        raise BootError("zstd: four streams of literals are longer than their block")
    streams = Streams(done=0)
    begin = start + JUMPS
    for index in range(4):
        streams.tops[index] = stream_top(source[: ends[index]], begin)
        begin = ends[index]
    read_side_by_side(area, source, streams, out, piece)
    begin = start + JUMPS
    for index in range(4):
        part = out[index * piece : min(len(out), (index + 1) * piece)]
        read_stream(area, source, begin, streams.tops[index], part[streams.done :])
        begin = ends[index]


@fn(optimize="speed", inline=False)
def read_side_by_side(area: Work, source: span[u8], streams: Streams, out: span[u8], piece: usize) -> None:
    """Read most of four streams, the first three of which have `piece` literals, and the last one no more.

    One check is made for many rounds: none of the streams may leave `source` in so many, nor the literals `out`.
    """
    top_1, top_2, top_3, top_4 = streams.tops[0], streams.tops[1], streams.tops[2], streams.tops[3]
    data = source.address
    done: usize = 0
    last = out[piece * 3 :]
    while max(top_1, top_2, top_3, top_4) >> 3 < len(source):
        lowest = min(top_1, top_2, top_3, top_4)
        if lowest < FIRST_TOP:
            break
        rounds = min((lowest - FIRST_TOP) // ROUND_BITS, (len(last) - done) // ROUND)
        if rounds == 0:
            break
        to = ptr[u8](out.address + done)
        for _ in range(rounds):
            top_1 -= read_round(area, data, top_1, to)
            top_2 -= read_round(area, data, top_2, to + piece)
            top_3 -= read_round(area, data, top_3, to + piece * 2)
            top_4 -= read_round(area, data, top_4, to + piece * 3)
            to = to + ROUND
        done += rounds * ROUND
    streams.tops[0] = top_1
    streams.tops[1] = top_2
    streams.tops[2] = top_3
    streams.tops[3] = top_4
    streams.done = done


@fn(inline=True)
def read_round(area: Work, data: usize, top: usize, to: ptr[u8]) -> usize:
    """Read ROUND literals; return how many bits they took. The caller has checked `top` and `to`."""
    window = ptr[u64](data + (top >> 3) - 7)[0] << (~top & 7)
    first = area.huffman[window >> HUFFMAN_SHIFT]
    window <<= first & LENGTH_MASK
    to[0] = u8(first >> 8)
    second = area.huffman[window >> HUFFMAN_SHIFT]
    window <<= second & LENGTH_MASK
    to[1] = u8(second >> 8)
    third = area.huffman[window >> HUFFMAN_SHIFT]
    window <<= third & LENGTH_MASK
    to[2] = u8(third >> 8)
    fourth = area.huffman[window >> HUFFMAN_SHIFT]
    window <<= fourth & LENGTH_MASK
    to[3] = u8(fourth >> 8)
    fifth = area.huffman[window >> HUFFMAN_SHIFT]
    to[4] = u8(fifth >> 8)
    return usize(u32(first) + second + third + fourth + fifth) & 0xFF


@fn(optimize="speed", inline=False)
def read_stream(area: Work, source: span[u8], start: usize, top: usize, out: span[u8]) -> None:
    """Fill `out` from one stream, which has to end with it."""
    for index in range(len(out)):
        code = area.huffman[bits_below(source, top) >> HUFFMAN_SHIFT]
        out[index] = u8(code >> 8)
        top -= code & LENGTH_MASK
    if top + 1 != start * 8:
        raise BootError("zstd: a stream of literals is not used up by them")


@fn(optimize="speed", inline=False)
def run_sequences(state: State, area: Work, literals: span[u8], count: u32) -> None:
    """Do what the sequences at `position` say, then place the literals that are left.

    `literals` are followed by MARGIN bytes that may be read. The three states say by how many bits each the next ones
    are read; the extra bits of the offset, the match length and the literal length come before them.
    """
    source, out = state.source, state.out
    start = state.position
    top = stream_top(source, start)
    lengths = usize(high_bits(bits_below(source, top), area.literal_lengths.bits))
    top -= area.literal_lengths.bits
    offsets = usize(high_bits(bits_below(source, top), area.offsets.bits))
    top -= area.offsets.bits
    matches = usize(high_bits(bits_below(source, top), area.match_lengths.bits))
    top -= area.match_lengths.bits
    places = Places(
        to=out.address + state.written,
        end=out.address + len(out),
        frame=out.address + state.frame,
        literal=literals.address,
        literals_end=literals.address + len(literals) - MARGIN,
    )
    while True:
        length_code = area.literal_lengths.entries[lengths & STATES_MASK]
        match_code = area.match_lengths.entries[matches & STATES_MASK]
        offset_code = area.offsets.entries[offsets & STATES_MASK]
        window = bits_below(source, top)
        bits = u32(length_code + match_code + offset_code) & 0xFFFF
        extra = bits & 0xFF
        behind = window << extra
        number = u32(offset_code >> VALUE_SHIFT) + u32(high_bits(window, offset_code))
        window <<= offset_code
        if extra > ONE_READ_BITS:
            window = bits_below(source, top - usize(offset_code & 0xFF))
            behind = bits_below(source, top - extra)
        match_length = usize(match_code >> VALUE_SHIFT) + usize(high_bits(window, match_code))
        literal_length = usize(length_code >> VALUE_SHIFT) + usize(high_bits(window << match_code, length_code))
        run_sequence(places, area, number, literal_length, match_length)
        count -= 1
        if count == 0:
            break
        length_more = length_code >> STATE_BITS_SHIFT
        match_more = match_code >> STATE_BITS_SHIFT
        offset_more = offset_code >> STATE_BITS_SHIFT
        lengths = usize((length_code >> STATE_SHIFT & 0xFFFF) + high_bits(behind, length_more))
        matches = usize((match_code >> STATE_SHIFT & 0xFFFF) + high_bits(behind << length_more, match_more))
        behind <<= length_more + match_more
        offsets = usize((offset_code >> STATE_SHIFT & 0xFFFF) + high_bits(behind, offset_more))
        top -= extra + (bits >> STATE_BITS_SHIFT)
    if top - extra + 1 != start * 8:
        raise BootError("zstd: the bits of the sequences are not used up by them")
    state.written = places.to - out.address
    place_rest(state, span[u8](places.literal, places.literals_end - places.literal))


@fn(inline=True)
def run_sequence(places: Places, area: Work, number: u32, literal_length: usize, match_length: usize) -> None:
    """Do one sequence. Far enough from the output's end it takes steps of 16 bytes, which may write too much.

    What comes later writes there again.
    """
    offset: usize = number - REPEATS
    if number > REPEATS:
        area.repeats[2] = area.repeats[1]
        area.repeats[1] = area.repeats[0]
        area.repeats[0] = number - REPEATS
    else:
        offset = repeated(area, number, literal_length)
    to = places.to
    literal = places.literal
    if literal_length > places.literals_end - literal:
        raise BootError("zstd: the sequences take more literals than their block has")
    if literal_length + match_length > places.end - to:
        raise BootError("zstd: the sequences unpack to more bytes than there have to be")
    match = to + literal_length
    if offset - 1 >= match - places.frame:
        raise BootError(f"zstd: a match reaches back {offset} bytes, beyond the beginning of its frame")
    after = match + match_length
    if places.end - after >= MARGIN:
        copy_words(to, literal)
        if literal_length > MARGIN:
            copy_far(to, literal, literal_length)
        copy_match(match, offset, match_length)
    else:
        copy_last(to, literal, literal_length)
        copy_last(match, match - offset, match_length)
    places.to = after
    places.literal = literal + literal_length


@fn
def place_rest(state: State, literals: span[u8]) -> None:
    """Append the literals that no sequence has placed."""
    if len(literals) > len(state.out) - state.written:
        raise BootError(f"zstd: the data unpack to more than {len(state.out)} bytes")
    end = state.written + len(literals)
    state.out[state.written : end] = literals
    state.written = end


@fn(inline=True)
def repeated(area: Work, number: u32, literal_length: usize) -> u32:
    """The offset that `number`, 1 to 3, means, made the latest (section 3.1.1.5)."""
    place = number if literal_length == 0 else number - 1
    latest = area.repeats[0]
    if place == 0:
        return latest
    offset = latest - 1 if place == REPEATS else area.repeats[place]
    if place != 1:
        area.repeats[2] = area.repeats[1]
    area.repeats[1] = latest
    area.repeats[0] = offset
    return offset


@fn(inline=True)
def copy_words(to: usize, data: usize) -> None:
    """Copy MARGIN bytes that do not overlap what they are copied to."""
    words, places = ptr[u64](data), ptr[u64](to)
    first, second = words[0], words[1]
    places[0] = first
    places[1] = second


@fn
def copy_last(to: usize, data: usize, count: usize) -> None:
    """Copy bytes one by one: a match may repeat what it has written."""
    for index in range(count):
        ptr[u8](to + index)[0] = ptr[u8](data + index)[0]


@fn(inline=True)
def copy_far(to: usize, data: usize, count: usize) -> None:
    """Copy more than MARGIN bytes, the first MARGIN of which are copied."""
    end = to + count
    while True:
        to += MARGIN
        data += MARGIN
        copy_words(to, data)
        if end - to <= MARGIN:
            break


@fn(inline=True)
def copy_match(to: usize, offset: usize, count: usize) -> None:
    """Repeat `count` bytes from `offset` bytes back; up to MARGIN - 1 bytes more are written."""
    end = to + count
    data = to - offset
    if offset >= MARGIN:
        copy_words(to, data)
        if count > MARGIN:
            copy_far(to, data, count)
        return
    copy_last(to, data, WORD)
    step = offset
    while step < WORD:
        step += offset
    to += WORD
    while to < end:
        ptr[u64](to)[0] = ptr[u64](to - step)[0]
        to += WORD
