"""Unpack a stream of deflate, by RFC 1951. Called by deflate.py and gzip.py, in 32 or 64 bits.

A stream is blocks up to one that says that it is the last. Here are the blocks and what their codes are;
inflate_tables.py makes tables of these, inflate_symbols.py reads what is coded by them. What is refused is what zlib
refuses.
"""

from __future__ import annotations

from typing import Final

from bootslang.boot.codecs.inflate_symbols import State, check_not_ended, check_room, drop, fill, run_fast, run_rest
from bootslang.boot.codecs.inflate_tables import (
    DISTANCE_BITS,
    DISTANCE_MEANINGS,
    DISTANCES,
    END_SYMBOL,
    LENGTH_CODE_BITS,
    LENGTH_CODE_MEANINGS,
    LENGTH_CODES,
    SPECIAL,
    SYMBOL_BITS,
    SYMBOL_MEANINGS,
    SYMBOLS,
    VALUE_SHIFT,
    Work,
    build_table,
)
from bootslang.slang import BootError, array, compile_for, fn, u8, u32

compile_for("protected32", "long64")

STORED, FIXED, DYNAMIC = 0, 1, 2
"""Kinds of blocks."""
STORED_HEADER: Final = 4
"""Bytes: a length, and its complement."""
SYMBOLS_USED: Final = 286
DISTANCES_USED: Final = 30
"""More codes than these may not be told: the last ones mean nothing."""
LEAST_SYMBOLS: Final = 257
LENGTH_CODE_ORDER: Final = array[u8]((16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15))
COPY, ZEROS = 16, 17
"""Code lengths from COPY on are counts: of copies of the one before, of zeros, of more zeros."""
COPY_BITS, ZEROS_BITS, MANY_ZEROS_BITS = 2, 3, 7
LEAST_COPIES: Final = 3
LEAST_MANY_ZEROS: Final = 11
LENGTH_CODE_MASK: Final = (1 << LENGTH_CODE_BITS) - 1
FIXED_LENGTHS: Final = array[u8](8 if n < 144 else 9 if n < 256 else 7 if n < 280 else 8 for n in range(SYMBOLS))
"""How many bits the codes of a fixed block have."""
FIXED_DISTANCE_LENGTH: Final = 5


@fn
def inflate(state: State, area: Work) -> None:
    """Unpack the stream at `position` behind what is `written`; `position` is the byte behind it then."""
    state.window = 0
    state.held = 0
    state.origin = state.written
    last: u32 = 0
    while last == 0:
        last = take(state, 1)
        decode_block(state, area, take(state, 2))
    align(state)


@fn
def decode_block(state: State, area: Work, kind: u32) -> None:
    """Unpack one block behind its first three bits."""
    if kind == STORED:
        copy_stored(state)
        return
    if kind == DYNAMIC:
        read_tables(state, area)
    elif kind == FIXED:
        make_fixed_tables(area)
    else:
        raise BootError(f"deflate: a block of the reserved kind {kind}")
    run_fast(state, area)
    run_rest(state, area)


@fn(inline=False)
def take(state: State, count: u32) -> u32:
    """The next `count` bits."""
    fill(state)
    value = u32(state.window) & ((u32(1) << count) - 1)
    drop(state, count)
    check_not_ended(state)
    return value


@fn
def align(state: State) -> None:
    """Go to the next whole byte, and give back those that have been looked at."""
    state.position -= state.held >> 3
    state.held = 0
    state.window = 0


@fn
def copy_stored(state: State) -> None:
    """Copy what is not packed."""
    align(state)
    if len(state.source) - state.position < STORED_HEADER:
        raise BootError("deflate: the data end too early")
    size = take(state, 16)
    if take(state, 16) != size ^ 0xFFFF:
        raise BootError("deflate: a stored block whose length is damaged")
    align(state)
    if size > len(state.source) - state.position:
        raise BootError("deflate: the data end too early")
    check_room(state, size)
    end = state.written + size
    state.out[state.written : end] = state.source[state.position : state.position + size]
    state.written = end
    state.position += size


@fn
def make_fixed_tables(area: Work) -> None:
    """Section 3.2.6."""
    area.lengths[:SYMBOLS] = FIXED_LENGTHS
    area.lengths[SYMBOLS:].fill(FIXED_DISTANCE_LENGTH)
    build_tables(area, SYMBOLS, DISTANCES)


@fn
def build_tables(area: Work, symbols: u32, distances: u32) -> None:
    """Make both tables of the first lengths of their codes."""
    order = area.sorted
    build_table(area.symbols, SYMBOL_BITS, area.lengths[:symbols], SYMBOL_MEANINGS, order)
    build_table(area.distances, DISTANCE_BITS, area.lengths[symbols : symbols + distances], DISTANCE_MEANINGS, order)


@fn
def read_tables(state: State, area: Work) -> None:
    """Section 3.2.7: the lengths of the codes, themselves coded."""
    symbols = take(state, 5) + LEAST_SYMBOLS
    distances = take(state, 5) + 1
    told = take(state, 4) + 4
    if symbols > SYMBOLS_USED or distances > DISTANCES_USED:
        raise BootError(f"deflate: a block with {symbols} symbols and {distances} distances")
    lengths = area.lengths[:LENGTH_CODES]
    lengths.fill(0)
    for index in range(told):
        lengths[LENGTH_CODE_ORDER[index]] = u8(take(state, 3))
    build_table(area.length_codes, LENGTH_CODE_BITS, lengths, LENGTH_CODE_MEANINGS, area.sorted)
    read_lengths(state, area, symbols + distances)
    if area.lengths[END_SYMBOL] == 0:
        raise BootError("deflate: a block without a code for its end")
    build_tables(area, symbols, distances)


@fn
def read_lengths(state: State, area: Work, total: u32) -> None:
    """Read the lengths of `total` codes."""
    lengths = area.lengths[:total]
    done: u32 = 0
    while done < total:
        fill(state)
        entry = area.length_codes[u32(state.window) & LENGTH_CODE_MASK]
        drop(state, entry)
        check_not_ended(state)
        if entry & SPECIAL != 0:
            raise BootError("deflate: a code that its table does not have")
        code = entry >> VALUE_SHIFT
        if code < COPY:
            lengths[done] = u8(code)
            done += 1
            continue
        value: u8 = 0
        count: u32 = 0
        if code == COPY:
            if done == 0:
                raise BootError("deflate: a code length is repeated before the first")
            value = lengths[done - 1]
            count = LEAST_COPIES + take(state, COPY_BITS)
        elif code == ZEROS:
            count = LEAST_COPIES + take(state, ZEROS_BITS)
        else:
            count = LEAST_MANY_ZEROS + take(state, MANY_ZEROS_BITS)
        if count > total - done:
            raise BootError("deflate: more code lengths than there are codes")
        lengths[done : done + count].fill(value)
        done += count
