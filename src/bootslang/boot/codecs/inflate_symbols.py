"""Read the symbols of a deflate block and do what they say. Called by inflate.py, in 32 or 64 bits.

`run_fast` does most of them, as libdeflate does: a window of 64 bits is filled by whole words, up to three literals are
read from one filling, and matches are copied in words which may go too far. One check a round keeps it away from the
ends of the data and of the output. `run_rest` takes nothing for granted; it does what is left, at least the
block's end.
"""

from __future__ import annotations

from typing import Final, NoReturn

from bootslang.boot.codecs.inflate_tables import (
    CODE_MASK,
    CODE_SHIFT,
    DISTANCE_BITS,
    END,
    LITERAL,
    LONGER,
    LONGEST,
    SPECIAL,
    SYMBOL_BITS,
    VALUE_SHIFT,
    Work,
)
from bootslang.slang import BootError, Struct, compile_for, fn, ptr, sizeof, span, u8, u32, u64, usize

compile_for("protected32", "long64")

WORD: Final = sizeof(u64)
STEP: Final = 2 * WORD
"""Bytes that are copied at once."""
FULL: Final = 56
"""So many bits at least does a filling leave in the window."""
LITERALS: Final = 3
"""Read from one filling: two, and then one or the longest match, without its distance, or the other way round."""
LONGEST_DISTANCE: Final = 15 + 13
"""Bits of a distance's code and its extra bits."""
SOURCE_MARGIN: Final = 4 * WORD
"""More than the fillings of a round take."""
OUT_MARGIN: Final = LITERALS + LONGEST + STEP
"""What a round may write, with what is copied too far."""
BYTE_MASK: Final = 0xFF
SYMBOL_MASK: Final = (1 << SYMBOL_BITS) - 1
DISTANCE_MASK: Final = (1 << DISTANCE_BITS) - 1
EVERY_BYTE: Final = 0x0101_0101_0101_0101


class State(Struct):
    """Where unpacking is."""

    source: span[u8]
    position: usize
    """The next byte to go into the window. It may go beyond the end, where zeros are."""
    window: u64
    """The next bits, the lowest first. Above those held there are zeros."""
    held: u32
    out: span[u8]
    written: usize
    origin: usize
    """Matches reach back to here."""


class Reader(Struct):
    """The same in the fast loop, where it lives in registers."""

    window: u64
    """What is above the bits held is what follows them, or zeros."""
    held: u32
    """Counts in its lowest byte only: entries are subtracted as they are."""
    read: usize
    """An address."""


@fn(optimize="speed", inline=False)
def run_fast(state: State, area: Work) -> None:
    """Do symbols as long as both ends are far enough, and up to the block's end, which is left to be read."""
    if not is_far_from_ends(state):
        return
    begin, out_begin = state.source.address, state.out.address
    last_read = begin + len(state.source) - SOURCE_MARGIN
    last_to = out_begin + len(state.out) - OUT_MARGIN
    to = out_begin + state.written
    origin = out_begin + state.origin
    reader = Reader(window=state.window, held=state.held, read=begin + state.position)
    refill(reader)
    entry = next_symbol(reader, area)
    while reader.read <= last_read and to <= last_to:
        before = take_code(reader, entry)
        if entry & LITERAL != 0:
            to = put(to, entry)
            entry = next_symbol(reader, area)
            before = take_code(reader, entry)
            if entry & LITERAL != 0:
                to = put(to, entry)
                entry = next_symbol(reader, area)
                before = take_code(reader, entry)
                if entry & LITERAL != 0:
                    to = put(to, entry)
                    refill(reader)
                    entry = next_symbol(reader, area)
                    continue
        if entry & SPECIAL != 0:
            first = entry
            entry = second_entry(reader, area.symbols, entry)
            if entry & SPECIAL != 0:
                reader.window = before
                reader.held += first
                break
            before = take_code(reader, entry)
            if entry & LITERAL != 0:
                to = put(to, entry)
                refill(reader)
                entry = next_symbol(reader, area)
                continue
        count = usize((entry >> VALUE_SHIFT) + extra_bits(before, entry))
        distance = read_distance(reader, area)
        if distance > to - origin:
            fail_too_far(distance, to - origin)
        refill(reader)
        entry = next_symbol(reader, area)
        copy_match(to, distance, count)
        to += count
    state.held = reader.held & BYTE_MASK
    state.window = reader.window & ((u64(1) << state.held) - 1)
    state.position = reader.read - begin
    state.written = to - out_begin


@fn
def is_far_from_ends(state: State) -> bool:
    """Tell whether there are both margins."""
    if len(state.source) < SOURCE_MARGIN or len(state.out) < OUT_MARGIN:
        return False
    return state.position <= len(state.source) - SOURCE_MARGIN and state.written <= len(state.out) - OUT_MARGIN


@fn(inline=True)
def refill(reader: Reader) -> None:
    """Hold at least FULL bits; the caller has checked that a word can be read."""
    reader.window |= ptr[u64](reader.read)[0] << reader.held
    reader.read += (WORD - 1) - (reader.held >> 3 & (WORD - 1))
    reader.held |= FULL


@fn(inline=True)
def next_symbol(reader: Reader, area: Work) -> u32:
    """The entry that the next bits lead to; they are not taken."""
    return area.symbols[u32(reader.window) & SYMBOL_MASK]


@fn(inline=True)
def take_code(reader: Reader, entry: u32) -> u64:
    """Take the bits of an entry; return the window as it was, with what the extra bits are."""
    before = reader.window
    reader.window >>= entry
    reader.held -= entry
    return before


@fn(inline=True)
def second_entry(reader: Reader, table: span[u32], entry: u32) -> u32:
    """What the next bits lead to behind a code that goes on; another one stays what it is."""
    if entry & LONGER == 0:
        return entry
    return table[(entry >> VALUE_SHIFT) + low_bits(reader.window, entry >> CODE_SHIFT & CODE_MASK)]


@fn(inline=True)
def read_distance(reader: Reader, area: Work) -> usize:
    """The distance that follows a length."""
    if reader.held & BYTE_MASK < LONGEST_DISTANCE:
        refill(reader)
    entry = area.distances[u32(reader.window) & DISTANCE_MASK]
    if entry & SPECIAL != 0:
        take_code(reader, entry)
        entry = second_entry(reader, area.distances, entry)
        if entry & SPECIAL != 0:
            fail_without_code()
    return usize((entry >> VALUE_SHIFT) + extra_bits(take_code(reader, entry), entry))


@fn(inline=True)
def put(to: usize, entry: u32) -> usize:
    """Write a literal; return where the next byte goes."""
    ptr[u8](to)[0] = u8(entry >> VALUE_SHIFT)
    return to + 1


@fn(inline=True)
def low_bits(window: u64, count: u32) -> u32:
    """The lowest `count` bits."""
    return u32(window) & ((u32(1) << count) - 1)


@fn(inline=True)
def extra_bits(window: u64, entry: u32) -> u32:
    """What stands behind the code of `entry` at the window's beginning."""
    return u32(window & ((u64(1) << entry) - 1)) >> (entry >> CODE_SHIFT & CODE_MASK)


@fn(inline=True)
def copy_match(to: usize, distance: usize, count: usize) -> None:
    """Repeat `count` bytes from `distance` back; up to STEP more are written."""
    end = to + count
    data = to - distance
    if distance >= STEP:
        while True:
            copy_word(to, data)
            copy_word(to + WORD, data + WORD)
            to += STEP
            data += STEP
            if to >= end:
                return
    if distance == 1:
        word = u64(ptr[u8](data)[0]) * EVERY_BYTE
        while to < end:
            ptr[u64](to)[0] = word
            to += WORD
        return
    step = min(distance, WORD)
    while to < end:
        copy_word(to, data)
        to += step
        data += step


@fn(inline=True)
def copy_word(to: usize, data: usize) -> None:
    ptr[u64](to)[0] = ptr[u64](data)[0]


@fn(inline=False)
def run_rest(state: State, area: Work) -> None:
    """Do symbols up to the block's end."""
    while True:
        fill(state)
        entry = area.symbols[u32(state.window) & SYMBOL_MASK]
        if entry & LONGER != 0:
            drop(state, entry)
            entry = area.symbols[(entry >> VALUE_SHIFT) + low_bits(state.window, entry >> CODE_SHIFT & CODE_MASK)]
        before = state.window
        drop(state, entry)
        check_not_ended(state)
        if entry & END != 0:
            return
        if entry & SPECIAL != 0:
            fail_without_code()
        if entry & LITERAL != 0:
            check_room(state, 1)
            state.out[state.written] = u8(entry >> VALUE_SHIFT)
            state.written += 1
            continue
        count = usize((entry >> VALUE_SHIFT) + extra_bits(before, entry))
        entry = area.distances[u32(state.window) & DISTANCE_MASK]
        if entry & LONGER != 0:
            drop(state, entry)
            entry = area.distances[(entry >> VALUE_SHIFT) + low_bits(state.window, entry >> CODE_SHIFT & CODE_MASK)]
        if entry & SPECIAL != 0:
            fail_without_code()
        distance = usize((entry >> VALUE_SHIFT) + extra_bits(state.window, entry))
        drop(state, entry)
        check_not_ended(state)
        if distance > state.written - state.origin:
            fail_too_far(distance, state.written - state.origin)
        check_room(state, count)
        for _ in range(count):
            state.out[state.written] = state.out[state.written - distance]
            state.written += 1


@fn
def fill(state: State) -> None:
    """Hold at least FULL bits, zeros behind the end of the data: `check_not_ended` finds out who took them."""
    while state.held < FULL:
        if state.position < len(state.source):
            state.window |= u64(state.source[state.position]) << state.held
        state.position += 1
        state.held += 8


@fn
def drop(state: State, entry: u32) -> None:
    """Take the bits of an entry."""
    state.window >>= entry & BYTE_MASK
    state.held -= entry & BYTE_MASK


@fn
def check_not_ended(state: State) -> None:
    """Refuse to have taken bits that are not there."""
    if state.position > len(state.source) and (state.position - len(state.source)) * 8 > state.held:
        raise BootError("deflate: the data end too early")


@fn
def check_room(state: State, count: usize) -> None:
    """Refuse more bytes than there have to be."""
    if count > len(state.out) - state.written:
        raise BootError(f"deflate: the data unpack to more than {len(state.out)} bytes")


@fn(inline=False)
def fail_without_code() -> NoReturn:
    raise BootError("deflate: a code that its table does not have")


@fn(inline=False)
def fail_too_far(distance: usize, there: usize) -> NoReturn:
    raise BootError(f"deflate: a match reaches back {distance} bytes, where {there} are")
