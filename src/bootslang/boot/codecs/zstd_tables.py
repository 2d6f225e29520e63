"""Zstandard's tables: FSE's states and the Huffman codes of literals. Called by zstd.py and zstd_passes.py.

What is read here is a few dozen bytes a block, and written so that it takes little code; the loops that use the tables
are in zstd_passes.py. Section numbers are those of RFC 8878.
"""

from __future__ import annotations

from typing import Final

from bootslang.slang import BootError, Struct, array, compile_for, fn, i16, ptr, span, u8, u16, u32, u64, usize

compile_for("protected32", "long64")

MIN_STATE_BITS: Final = 5
MAX_STATE_BITS: Final = 9
MAX_OFFSET_STATE_BITS: Final = 8
"""Of the states of a table: at least, and at most for lengths and for offsets."""
MAX_CODES: Final = 53
"""Of the largest alphabet that FSE codes: that of match lengths."""
HUFFMAN_BITS: Final = 11
"""The longest code of a literal. Tables of shorter ones are widened to this."""
MAX_WEIGHTS: Final = 255
"""Of a Huffman table; the last symbol's weight follows from the others."""
WEIGHT_STATE_BITS: Final = 6
DIRECT_WEIGHTS: Final = 127
"""From here on, a table's first byte counts weights of 4 bits each."""
LESS_THAN_ONE: Final = -1
"""The count of a symbol that has one state, reset after each use."""

STATE_BITS_SHIFT: Final = 8
STATE_SHIFT: Final = 16
VALUE_SHIFT: Final = 32
"""A state is one number. Its low byte says how many extra bits its symbol has: such a number shifts by them as it is,
since shifts take the low six bits of their count. Then how many bits of the next state are read, what they are added
to, and the value that the extra bits are added to."""


def steps(first: int, extra: list[int]) -> list[int]:
    """Codes whose values follow each other: each starts where the extra bits of the one before end."""
    codes = []
    for bits in extra:
        codes.append(first << VALUE_SHIFT | bits)
        first += 1 << bits
    return codes


LITERAL_LENGTHS: Final = array[u64](steps(0, [0] * 16 + [1] * 4 + [2] * 2 + [3] * 2 + [4, *range(6, 17)]))
MATCH_LENGTHS: Final = array[u64](steps(3, [0] * 32 + [1] * 4 + [2] * 2 + [3] * 2 + [4] * 2 + [5, *range(7, 17)]))
OFFSETS: Final = array[u64](1 << code << VALUE_SHIFT | code for code in range(32))
WEIGHTS: Final = array[u64](weight << VALUE_SHIFT for weight in range(HUFFMAN_BITS + 1))
"""What codes mean: section 3.1.1.3.2.1.1, and for weights themselves."""

PREDEFINED_LITERAL_LENGTHS: Final = array[i16](
    [4, 3, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2, 2, 2, 3, 2, 1, 1, 1, 1, 1, -1, -1, -1, -1]
)
PREDEFINED_MATCH_LENGTHS: Final = array[i16]([1, 4, 3, 2, 2, 2, 2, 2, 2] + [1] * 37 + [-1] * 7)
PREDEFINED_OFFSETS: Final = array[i16]([1] * 6 + [2, 2, 2] + [1] * 15 + [-1] * 5)
"""Section 3.1.1.3.2.2."""


FIRST_TOP: Final = 56
"""At this bit and above, a whole window can be read."""


class Word(Struct):
    value: u64


@fn(inline=False)
def bit_length(number: u32) -> u32:
    """How many bits `number` takes: 0 for 0."""
    bits: u32 = 0
    while number != 0:
        number >>= 1
        bits += 1
    return bits


@fn(inline=True)
def bits_below(source: span[u8], top: usize) -> u64:
    """At least 57 bits of `source`, in the highest places: bit `top` (counted from the first byte's lowest) and below.

    What is read backwards has more than 8 bytes of headers before it: there is nothing to read below byte 0.
    """
    if top - FIRST_TOP >= max(len(source) * 8, FIRST_TOP) - FIRST_TOP:
        raise BootError("zstd: a stream of bits is too short")
    return ptr[u64](source.address + (top >> 3) - 7)[0] << (~top & 7)


@fn(inline=True)
def high_bits(window: u64, count: u64) -> u64:
    """The highest bits; how many is said by the low six bits of `count`."""
    return window >> 1 >> (63 - count)


@fn
def stream_top(source: span[u8], start: usize) -> usize:
    """Where the bits begin that source[start:] holds backwards: below its highest bit that is set."""
    if start >= len(source):
        raise BootError("zstd: a stream of bits without a byte")
    last = source[len(source) - 1]
    if last == 0:
        raise BootError("zstd: a stream of bits without its end mark")
    return len(source) * 8 - 10 + bit_length(last)


@fn(inline=False)
def next_bits(source: span[u8], place: usize, count: u32) -> u32:
    """The `count` bits, 16 at most, from bit `place` upwards; zeros behind the end."""
    value: u32 = 0
    start = place >> 3
    for index in range(3):
        if start + index < len(source):
            value |= u32(source[start + index]) << (index * 8)
    return value >> (place & 7) & ((u32(1) << count) - 1)


@fn
def read_counts(source: span[u8], start: usize, max_bits: u32, counts: span[i16]) -> tuple[usize, u32]:
    """Read how many states each symbol has (section 4.1.1); return the byte behind that, and the bits of a state."""
    place = start * 8 + 4
    state_bits = next_bits(source, start * 8, 4) + MIN_STATE_BITS
    if state_bits > max_bits:
        raise BootError(f"zstd: a table with states of {state_bits} bits; {max_bits} are the most")
    counts.fill(0)
    left = u32(1) << state_bits
    symbol: u32 = 0
    while left > 0:
        width = bit_length(left + 1)
        short = (u32(1) << width) - 2 - left
        value = next_bits(source, place, width)
        low = value & ((u32(1) << (width - 1)) - 1)
        place += width
        if low < short:
            value = low
            place -= 1
        elif value != low:
            value -= short
        if symbol >= len(counts):
            raise BootError("zstd: a table has more symbols than there are")
        count = i16(value) - 1
        counts[symbol] = count
        symbol += 1
        left -= 1 if count < 0 else value - 1
        repeat: u32 = 3 if count == 0 else 0
        while repeat == 3:
            repeat = next_bits(source, place, 2)
            place += 2
            symbol += repeat
    end = (place + 7) >> 3
    if end > len(source) or symbol > len(counts):
        raise BootError("zstd: a table of states is cut off")
    return end, state_bits


@fn
def build_states(table: span[u64], state_bits: u32, counts: span[i16], codes: span[u64]) -> None:
    """Fill a table of states whose `counts` are known (section 4.1.1); `codes` says what symbols mean."""
    size = u32(1) << state_bits
    states = table[:size]
    numbers = array[u16](MAX_CODES)
    widths = array[u8](MAX_CODES)
    end = size
    for symbol, count in enumerate(counts):
        if count == LESS_THAN_ONE:
            end -= 1
            states[end] = symbol
        numbers[symbol] = u16(abs(count))
        widths[symbol] = u8(state_bits + 1 - bit_length(numbers[symbol]))
    step = (size >> 1) + (size >> 3) + 3
    place: u32 = 0
    for symbol, count in enumerate(counts):
        for _ in range(max(count, 0)):
            states[place] = symbol
            place = place + step & size - 1
            while place >= end:
                place = place + step & size - 1
    for index in range(size):
        symbol = usize(states[index])
        number = u32(numbers[symbol])
        width = widths[symbol]
        numbers[symbol] = u16(number + 1)
        widths[symbol] = width - 1 if number & number + 1 == 0 else width
        states[index] = codes[symbol] | u64((number << width) - size) << STATE_SHIFT | u64(width) << STATE_BITS_SHIFT


@fn
def read_huffman(table: span[u16], states: span[u64], source: span[u8], start: usize) -> usize:
    """Read the weights of the literals' codes and fill their table (section 4.2.1); return the byte behind them."""
    if start >= len(source):
        raise BootError("zstd: literals without their table")
    head = usize(source[start])
    weights = array[u8](MAX_WEIGHTS + 1)
    start += 1
    count = head
    end = start + head
    if head > DIRECT_WEIGHTS:
        count = head - DIRECT_WEIGHTS
        end = start + (count + 1 >> 1)
    if end > len(source):
        raise BootError("zstd: literals without their table")
    if head > DIRECT_WEIGHTS:
        for index in range(count):
            weights[index] = source[start + (index >> 1)] >> (0 if index & 1 != 0 else 4) & 0xF
    else:
        count = read_weights(weights, states, source[:end], start)
    build_huffman(table, weights, count)
    return end


@fn
def read_weights(weights: span[u8], states: span[u64], source: span[u8], start: usize) -> usize:
    """Read weights that are coded by FSE with two states in turn; return how many (section 4.2.1.2)."""
    counts = array[i16](HUFFMAN_BITS + 1)
    start, state_bits = read_counts(source, start, WEIGHT_STATE_BITS, counts)
    build_states(states, state_bits, counts, WEIGHTS)
    top = stream_top(source, start)
    left = top + 1 - start * 8
    if left < state_bits * 2:
        raise BootError("zstd: a table of literals is cut off")
    first = high_bits(bits_below(source, top), state_bits)
    second = high_bits(bits_below(source, top - state_bits), state_bits)
    top -= state_bits * 2
    left -= state_bits * 2
    count: usize = 0
    while count < MAX_WEIGHTS - 1:
        state = states[usize(first)]
        weights[count] = u8(state >> VALUE_SHIFT)
        bits = u32(state >> STATE_BITS_SHIFT) & 0xFF
        count += 1
        if left < bits:
            weights[count] = u8(states[usize(second)] >> VALUE_SHIFT)
            return count + 1
        first, second = second, (state >> STATE_SHIFT & 0xFFFF) + high_bits(bits_below(source, top), bits)
        top -= bits
        left -= bits
    raise BootError("zstd: a table of literals has more symbols than there are bytes")


@fn
def build_huffman(table: span[u16], weights: span[u8], count: usize) -> None:
    """Fill the table by the next HUFFMAN_BITS bits: symbol << 8 | length of the code that they begin with."""
    total: u32 = 0
    symbols = array[u32](HUFFMAN_BITS + 2)
    for weight in weights[:count]:
        if weight > HUFFMAN_BITS:
            raise BootError(f"zstd: a literal's weight is {weight}; {HUFFMAN_BITS} is the most")
        symbols[weight] += 1
        total += u32(1) << weight >> 1
    code_bits = bit_length(total)
    rest = (u32(1) << code_bits) - total
    last = bit_length(rest)
    symbols[last] += 1
    if total == 0 or code_bits > HUFFMAN_BITS or rest & rest - 1 != 0 or symbols[1] < 2:
        raise BootError("zstd: the weights of the literals' codes do not add up")
    weights[count] = u8(last)
    places = array[u32](HUFFMAN_BITS + 2)
    room = u32(1) << (HUFFMAN_BITS - code_bits)
    for shorter in range(1, code_bits + 1):
        places[shorter + 1] = places[shorter] + symbols[shorter] * (room << (shorter - 1))
    for symbol, weight in enumerate(weights[: count + 1]):
        if weight != 0:
            entries = room << (weight - 1)
            place = places[weight]
            fill(table[place : place + entries], u16(symbol << 8 | code_bits + 1 - weight))
            places[weight] = place + entries


@fn
def fill(entries: span[u16], entry: u16) -> None:
    """Set a power of two of entries."""
    if len(entries) < 4:
        for index in range(len(entries)):
            entries[index] = entry
        return
    four = entry * u64(0x0001_0001_0001_0001)
    for word in entries.cast(Word):
        word.value = four
