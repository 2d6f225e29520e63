"""LZMA's symbols: literals and matches, range coded. Called by lzma.py, and by lzma2.py for each chunk; 32 or 64 bits.

By the LZMA specification of the LZMA SDK (2015). Every bit is coded with a probability of its own, which learns from
it. A decoder is as fast as it guesses bits, and most of them cannot be guessed: the trees are therefore walked without
branches, and only what decides which tree comes next is a branch.

What is unpacked is the window too: a match is copied from `out` itself. Only the range coder's input is read without a
check for each byte: a symbol takes at most MARGIN bytes, and so many are there before each symbol.
"""

from __future__ import annotations

from typing import Final

from bootslang.slang import (
    BootError,
    Struct,
    array,
    compile_for,
    fn,
    i32,
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

compile_for("protected32", "long64", optimize="speed")

MARGIN: Final = 21
"""The bytes that a symbol takes at most: 22 bits that cost 6.05 bits each, if all are the least probable, and 26 plain
ones, from the smallest range that the symbol before can leave; and one to make the range large again."""
INIT_BYTES: Final = 5
"""What the range coder reads before its first bit; the first of them is 0."""
PROBABILITY_BITS: Final = 11
ONE: Final = 1 << PROBABILITY_BITS
LEARNING_BITS: Final = 5
"""How fast a probability moves: by 1/32 of what is missing."""
LEAST: Final = (1 << LEARNING_BITS) - 1
"""A probability does not go below it."""
TOP: Final = 1 << 24
"""A range below this takes another byte in."""

STATES: Final = 12
"""What the last symbols were, as the probabilities distinguish it."""
LITERAL_STATES: Final = 7
"""States below this follow a literal."""
MAX_POSITION_BITS: Final = 4
MAX_POSITIONS: Final = 1 << MAX_POSITION_BITS
MAX_LITERAL_BITS: Final = 4
"""lc + lp: what LZMA2 allows, and what liblzma writes and reads in .lzma files as well."""
LITERAL_CODER: Final = 0x300
"""Probabilities of a literal: a tree, and two trees for bits that follow those of the byte at the last distance."""

LEAST_MATCH: Final = 2
LENGTH_STATES: Final = 4
"""Distances after matches of 2, 3, 4 bytes and of more have trees of their own."""
SLOT_BITS: Final = 6
FIRST_MODEL_SLOT: Final = 4
"""Distance slots from here on have further bits: coded ones,"""
END_MODEL_SLOT: Final = 14
"""and from here on plain ones with ALIGN_BITS coded ones below them."""
ALIGN_BITS: Final = 4
END_DISTANCE: Final = 0xFFFF_FFFF
"""The distance, less one, that marks the end."""
SPECIAL_BYTES: Final = 128
"""More than the indices that the coded bits of distances have."""
WORD: Final = 8
REPEATS: Final = array[u8]((0, 8, 4, 3, 2, 2, 2, 2))
"""By distance: how often a pattern has to be repeated until it is a word long."""


class Word(Struct):
    value: u64


class Lengths(Struct):
    """The probabilities of a match's length."""

    choice: array[u16] = length(2)
    low: array[u16] = length(MAX_POSITIONS << 3)
    middle: array[u16] = length(MAX_POSITIONS << 3)
    high: array[u16] = length(1 << 8)


class Probabilities(Struct):
    """Of each bit, in its context, that it is 0: in 2048ths."""

    is_match: array[u16] = length(STATES * MAX_POSITIONS)
    is_rep: array[u16] = length(STATES)
    is_rep0: array[u16] = length(STATES)
    is_rep1: array[u16] = length(STATES)
    is_rep2: array[u16] = length(STATES)
    is_rep0_long: array[u16] = length(STATES * MAX_POSITIONS)
    slots: array[u16] = length(LENGTH_STATES << SLOT_BITS)
    special: array[u16] = length(SPECIAL_BYTES)
    align: array[u16] = length(1 << ALIGN_BITS)
    match_lengths: Lengths
    rep_lengths: Lengths
    literals: array[u16] = length(LITERAL_CODER << MAX_LITERAL_BITS)


class Coder(Struct):
    """The range coder and the latest symbols: live in registers meanwhile."""

    source: ptr[u8]
    position: usize
    """The next byte of the packed ones."""
    range: u32
    code: u32
    state: u32
    rep0: u32
    rep1: u32
    rep2: u32
    rep3: u32


class Decoder(Struct):
    """What is kept from one chunk to the next."""

    range: u32
    code: u32
    position: usize
    """The next byte of the packed ones."""
    written: usize
    origin: usize
    """Where the window begins: nothing before it can be referred to."""
    state: u32
    rep0: u32
    rep1: u32
    rep2: u32
    rep3: u32
    """The latest distances, less one."""
    literal_bits: u32
    """lc: so many bits of the byte before choose a literal's probabilities,"""
    literal_positions: u32
    """and so do the bits of the position in this mask, (1 << lp) - 1."""
    positions: u32
    """(1 << pb) - 1"""
    ended: bool
    """The end mark has been read."""
    probabilities: Probabilities


@fn(optimize="size")
def set_properties(decoder: Decoder, properties: u8) -> None:
    """Take lc, lp and pb from the byte that holds all three."""
    if properties >= 9 * 5 * 5:
        raise BootError(f"lzma: impossible properties {properties:#x}")
    rest = u32(properties)
    lc = rest % 9
    rest //= 9
    lp = rest % 5
    if lc + lp > MAX_LITERAL_BITS:
        raise BootError(f"lzma: lc={lc} and lp={lp}, more than {MAX_LITERAL_BITS} together, are not supported")
    decoder.literal_bits = lc
    decoder.literal_positions = (u32(1) << lp) - 1
    decoder.positions = (u32(1) << rest // 5) - 1


@fn(optimize="size")
def reset_state(decoder: Decoder) -> None:
    """Forget what was learned."""
    decoder.state = 0
    decoder.rep0 = 0
    decoder.rep1 = 0
    decoder.rep2 = 0
    decoder.rep3 = 0
    probabilities = span[u16](decoder.probabilities.is_match.address, sizeof(Probabilities) // 2)
    probabilities.fill(ONE // 2)


@fn(optimize="size")
def start_range(decoder: Decoder, source: span[u8], position: usize) -> None:
    """Begin to read at `position`, where INIT_BYTES are."""
    head = source[position : position + INIT_BYTES]
    if head[0] != 0:
        raise BootError(f"lzma: no range coder begins at byte {position}")
    decoder.code = u32(head[1]) << 24 | u32(head[2]) << 16 | u32(head[3]) << 8 | head[4]
    decoder.range = 0xFFFF_FFFF
    decoder.position = position + INIT_BYTES


@fn(inline=False)
def decode_symbols(decoder: Decoder, source: span[u8], stop: usize, out: span[u8], end: usize) -> None:
    """Unpack symbols until there are `end` bytes, or the end mark, or more than `stop` bytes of `source` are taken.

    `out` begins where the whole output does, and ends where this chunk's does; an `end` behind it asks for the mark.
    MARGIN bytes of `source` have to follow `stop`.
    """
    if len(source) < MARGIN or stop > len(source) - MARGIN or decoder.position > len(source):
        raise BootError("lzma: the data end too early")
    known = decoder.probabilities
    coder = Coder(source=ptr[u8](source.address), position=0, range=0, code=0, state=0, rep0=0, rep1=0, rep2=0, rep3=0)
    take_up(coder, decoder)
    written = decoder.written
    while written < end and coder.position <= stop:
        place = u32(written - decoder.origin) & decoder.positions
        if choose(coder, known.is_match, coder.state * MAX_POSITIONS + place) == 0:
            write_literal(decoder, coder, out, written)
            written += 1
            continue
        count = read_match(known, coder, place)
        if coder.rep0 == END_DISTANCE:
            decoder.ended = True
            break
        check_distance(coder, written - decoder.origin)
        if count > len(out) - written:
            raise BootError(f"lzma: the data unpack to more than {len(out)} bytes")
        copy_match(out, written, usize(coder.rep0) + 1, count)
        written += count
    normalise(coder)
    decoder.written = written
    lay_down(coder, decoder)


@fn(inline=True)
def take_up(coder: Coder, decoder: Decoder) -> None:
    """Bring into registers what is kept between chunks."""
    coder.position = decoder.position
    coder.range, coder.code, coder.state = decoder.range, decoder.code, decoder.state
    coder.rep0, coder.rep1, coder.rep2, coder.rep3 = decoder.rep0, decoder.rep1, decoder.rep2, decoder.rep3


@fn(inline=True)
def lay_down(coder: Coder, decoder: Decoder) -> None:
    """Keep it for the next chunk."""
    decoder.position = coder.position
    decoder.range, decoder.code, decoder.state = coder.range, coder.code, coder.state
    decoder.rep0, decoder.rep1, decoder.rep2, decoder.rep3 = coder.rep0, coder.rep1, coder.rep2, coder.rep3


@fn(inline=True)
def check_distance(coder: Coder, window: usize) -> None:
    """Refuse to refer to more than there is."""
    if coder.rep0 >= window:
        raise BootError("lzma: a match refers to bytes before the first")


@fn(inline=True)
def write_literal(decoder: Decoder, coder: Coder, out: span[u8], written: usize) -> None:
    """Read a byte that stands for itself."""
    if written >= len(out):
        raise BootError(f"lzma: the data unpack to more than {len(out)} bytes")
    tree = literal_tree(decoder, out, written)
    if coder.state < LITERAL_STATES:
        out[written] = u8(tree_of(coder, tree, 0x100))
        coder.state = max(coder.state, 3) - 3
        return
    check_distance(coder, written - decoder.origin)
    out[written] = u8(matched_literal(coder, tree, out[written - coder.rep0 - 1]))
    coder.state = coder.state - 3 if coder.state < 10 else coder.state - 6


@fn(inline=True)
def read_match(known: Probabilities, coder: Coder, place: u32) -> u32:
    """The length of a match; its distance becomes the latest one."""
    lengths = known.match_lengths
    fresh = choose(coder, known.is_rep, coder.state) == 0
    if not fresh:
        lengths = known.rep_lengths
        if is_one_byte(known, coder, place):
            coder.state = 9 if coder.state < LITERAL_STATES else 11
            return 1
    count = read_length(coder, lengths, place)
    if fresh:
        coder.rep3 = coder.rep2
        coder.rep2 = coder.rep1
        coder.rep1 = coder.rep0
        coder.rep0 = read_distance(coder, known, count)
        coder.state = 7 if coder.state < LITERAL_STATES else 10
    else:
        coder.state = 8 if coder.state < LITERAL_STATES else 11
    return count


@fn(inline=True)
def is_one_byte(known: Probabilities, coder: Coder, place: u32) -> bool:
    """Choose one of the latest distances; tell whether one byte alone is repeated."""
    if choose(coder, known.is_rep0, coder.state) == 0:
        return choose(coder, known.is_rep0_long, coder.state * MAX_POSITIONS + place) == 0
    distance = coder.rep1
    if choose(coder, known.is_rep1, coder.state) != 0:
        distance = coder.rep2
        if choose(coder, known.is_rep2, coder.state) != 0:
            distance = coder.rep3
            coder.rep3 = coder.rep2
        coder.rep2 = coder.rep1
    coder.rep1 = coder.rep0
    coder.rep0 = distance
    return False


@fn(inline=True)
def normalise(coder: Coder) -> None:
    """Take another byte in if the range has become small."""
    if coder.range < TOP:
        coder.range <<= 8
        coder.code = coder.code << 8 | coder.source[coder.position]
        coder.position += 1


@fn(inline=True)
def choose(coder: Coder, probabilities: span[u16], index: u32) -> u32:
    """A bit that decides what comes next: with a branch, as it is often guessed right."""
    probability = probabilities[index]
    normalise(coder)
    bound = (coder.range >> PROBABILITY_BITS) * probability
    if coder.code < bound:
        coder.range = bound
        probabilities[index] = probability + ((ONE - probability) >> LEARNING_BITS)
        return 0
    coder.range -= bound
    coder.code -= bound
    probabilities[index] = probability - (probability >> LEARNING_BITS)
    return 1


@fn(inline=True)
def bit_of(coder: Coder, probabilities: span[u16], index: u32) -> u32:
    """A bit of a number, without a branch on it: nobody guesses these."""
    probability = u32(probabilities[index])
    normalise(coder)
    bound = (coder.range >> PROBABILITY_BITS) * probability
    zero = u32((u64(coder.code) - bound) >> 32)
    rest = coder.range - bound
    coder.range = rest + (zero & (bound - rest))
    coder.code -= bound & ~zero
    aim = (zero & (ONE - LEAST)) + LEAST
    probabilities[index] = u16(probability + u32(i32(aim - probability) >> LEARNING_BITS))
    return zero + 1


@fn(inline=True)
def plain_bit(coder: Coder) -> u32:
    """A bit without a probability."""
    normalise(coder)
    coder.range >>= 1
    zero = u32((u64(coder.code) - coder.range) >> 32)
    coder.code -= coder.range & ~zero
    return zero + 1


@fn(inline=True)
def tree_of(coder: Coder, tree: span[u16], end: u32) -> u32:
    """A number below `end`, a power of two, from its highest bit on."""
    number: u32 = 1
    while number < end:
        number = number << 1 | bit_of(coder, tree, number)
    return number - end


@fn(inline=True)
def reverse_of(coder: Coder, tree: span[u16], bits: u32) -> u32:
    """A number of so many bits, from its lowest bit on."""
    node: u32 = 1
    number: u32 = 0
    for index in range(bits):
        bit = bit_of(coder, tree, node)
        node = node << 1 | bit
        number |= bit << index
    return number


@fn(inline=True)
def literal_tree(decoder: Decoder, out: span[u8], written: usize) -> span[u16]:
    """The probabilities of the literal at `written`: by the byte before it, and by where it stands."""
    before: u32 = 0
    if written > decoder.origin:
        before = out[written - 1]
    bits = decoder.literal_bits
    place = u32(written - decoder.origin) & decoder.literal_positions
    start = ((place << bits) + (before << bits >> 8)) * LITERAL_CODER
    return decoder.probabilities.literals[start : start + LITERAL_CODER]


@fn(inline=True)
def matched_literal(coder: Coder, tree: span[u16], match: u8) -> u32:
    """A literal behind a match: the byte that would have gone on with it chooses the tree as long as the bits agree."""
    number: u32 = 1
    rest = u32(match)
    same: u32 = 0x100
    while number < 0x100:
        rest <<= 1
        expected = rest & same & 0x100
        bit = bit_of(coder, tree, (same & 0x100) + expected + number)
        number = number << 1 | bit
        same &= ~(expected ^ bit << 8)
    return number & 0xFF


@fn(inline=True)
def read_length(coder: Coder, lengths: Lengths, place: u32) -> u32:
    """The length of a match."""
    if choose(coder, lengths.choice, 0) == 0:
        return LEAST_MATCH + tree_of(coder, lengths.low[place << 3 : (place << 3) + 8], 8)
    if choose(coder, lengths.choice, 1) == 0:
        return LEAST_MATCH + 8 + tree_of(coder, lengths.middle[place << 3 : (place << 3) + 8], 8)
    return LEAST_MATCH + 16 + tree_of(coder, lengths.high, 0x100)


@fn(inline=True)
def read_distance(coder: Coder, known: Probabilities, count: u32) -> u32:
    """The distance of a match of `count` bytes, less one."""
    kind = min(count - LEAST_MATCH, LENGTH_STATES - 1) << SLOT_BITS
    slot = tree_of(coder, known.slots[kind : kind + (1 << SLOT_BITS)], 1 << SLOT_BITS)
    if slot < FIRST_MODEL_SLOT:
        return slot
    bits = (slot >> 1) - 1
    distance = (2 | slot & 1) << bits
    if slot < END_MODEL_SLOT:
        start = distance - slot
        return distance + reverse_of(coder, known.special[start:], bits)
    plain: u32 = 0
    for _ in range(bits - ALIGN_BITS):
        plain = plain << 1 | plain_bit(coder)
    return distance + (plain << ALIGN_BITS) + reverse_of(coder, known.align, ALIGN_BITS)


@fn(inline=True)
def copy_match(out: span[u8], written: usize, distance: usize, count: u32) -> None:
    """Write again what was written `distance` bytes ago, which is not before the first, by words if there is room."""
    if len(out) - written < usize(count) + WORD:
        for place in range(written, written + count):
            out[place] = out[place - distance]
        return
    into = out.address + written
    end = into + count
    if distance < WORD:
        for place in range(written, written + WORD):
            out[place] = out[place - distance]
        into += WORD
        distance *= REPEATS[distance]
    while into < end:
        Word.at(into).value = Word.at(into - distance).value
        into += WORD
