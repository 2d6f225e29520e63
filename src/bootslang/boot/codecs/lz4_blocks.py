"""Unpack one block of LZ4, fast. Called by lz4.py, in 32 or 64 bits.

By the LZ4 block format description, of 2022: sequences of a token, literals, and a match that copies what was written
before; the last sequence is literals alone. `run_fast` does most of them, in steps of 16 bytes which may read and write
too much, as long as what is left of the block and of its room is more than that. It stops at the first sequence that it
cannot do so, or that is wrong; `run_rest` does that and what follows, and says what is wrong.

boot/lib/lz4.py unpacks the same format for stage 2, in as little code as can be.
"""

from __future__ import annotations

from typing import Final

from bootslang.boot.lib.lz4 import CONTINUED, LEAST_MATCH, LONG
from bootslang.slang import BootError, Struct, compile_for, fn, ptr, sizeof, span, u8, u16, u64, usize

compile_for("protected32", "long64")

WORD: Final = sizeof(u64)
STEP: Final = 2 * WORD
"""Bytes that one step copies."""
DISTANCE_BYTES: Final = 2
SOURCE_MARGIN: Final = 1 + STEP + DISTANCE_BYTES + 1
"""What a sequence with short lengths may touch of the block: token, a step of literals, distance, a byte of length."""
OUT_MARGIN: Final = 3 * STEP
"""What such a sequence may touch of the room: a step of literals, a step and a word of the match."""
ENDLESS: Final = 1 << 31
"""More than any block has: what `long_length` returns where the rest of the block is no length."""


class Place(Struct):
    """Where unpacking is: offsets into a block and the output."""

    read: usize
    written: usize


@fn
def unpack_block(block: span[u8], out: span[u8], start: usize, origin: usize) -> usize:
    """Write the unpacked bytes from `start` on; matches reach back to `origin`. Return where they end."""
    place = Place(read=0, written=start)
    run_fast(place, block, out, origin)
    run_rest(place, block, out, origin)
    return place.written


@fn(optimize="speed", inline=False)
def run_fast(place: Place, block: span[u8], out: span[u8], origin: usize) -> None:
    """Do the sequences that are far enough from both ends."""
    end, out_end = block.address + len(block), out.address + len(out)
    first = out.address + origin
    read, to = block.address, out.address + place.written
    while end - read >= SOURCE_MARGIN and out_end - to >= OUT_MARGIN:
        token = ptr[u8](read)[0]
        source = read + 1
        match = to
        count = usize(token >> 4)
        copy_step(to, source)
        if count == LONG:
            count, source = long_length(source, end)
            if count > ENDLESS or end - source < SOURCE_MARGIN or count > end - source - SOURCE_MARGIN:
                break
            if out_end - to < OUT_MARGIN + count:
                break
            copy_on(to, source, count)
        source += count
        match += count
        distance = usize(ptr[u16](source)[0])
        source += DISTANCE_BYTES
        if distance - 1 >= match - first:
            break
        count = usize(token & LONG)
        if count != LONG and distance >= WORD:
            copy_short(match, match - distance)
        else:
            if count == LONG:
                count, source = long_length(source, end)
                if count > ENDLESS or out_end - match < OUT_MARGIN or count > out_end - match - OUT_MARGIN:
                    break
            copy_match(match, distance, count + LEAST_MATCH)
        to = match + count + LEAST_MATCH
        read = source
    place.read = read - block.address
    place.written = to - out.address


@fn(inline=True)
def long_length(source: usize, end: usize) -> tuple[usize, usize]:
    """A length that goes on at `source`, and where it ends; ENDLESS or more if it does not before `end`."""
    total: usize = LONG
    while source < end and total < ENDLESS:
        more = ptr[u8](source)[0]
        source += 1
        total += more
        if more != CONTINUED:
            return total, source
    return ENDLESS + 1, source


@fn(inline=True)
def copy_step(to: usize, data: usize) -> None:
    """Copy STEP bytes that do not overlap what they are copied to."""
    words, places = ptr[u64](data), ptr[u64](to)
    first, second = words[0], words[1]
    places[0] = first
    places[1] = second


@fn(inline=True)
def copy_on(to: usize, data: usize, count: usize) -> None:
    """Copy `count` bytes in steps."""
    end = to + count
    while True:
        copy_step(to, data)
        to += STEP
        data += STEP
        if to >= end:
            break


@fn(inline=True)
def copy_short(to: usize, data: usize) -> None:
    """Copy three words from at least a word back: all of a match whose length is in its token."""
    ptr[u64](to)[0] = ptr[u64](data)[0]
    ptr[u64](to + WORD)[0] = ptr[u64](data + WORD)[0]
    ptr[u16](to + STEP)[0] = ptr[u16](data + STEP)[0]


@fn(inline=True)
def copy_match(to: usize, distance: usize, count: usize) -> None:
    """Repeat `count` bytes from `distance` back; up to a step more are written."""
    if distance >= STEP:
        copy_on(to, to - distance, count)
        return
    end = to + count
    step = distance
    if distance < WORD:
        data = to - distance
        for index in range(WORD):
            ptr[u8](to + index)[0] = ptr[u8](data + index)[0]
        while step < WORD:
            step += distance
        to += WORD
    while to < end:
        ptr[u64](to)[0] = ptr[u64](to - step)[0]
        to += WORD


@fn(inline=False)
def run_rest(place: Place, block: span[u8], out: span[u8], origin: usize) -> None:
    """Do the sequences from `place` to the block's end, with nothing taken for granted."""
    while True:
        token = next_byte(place, block)
        count = length(place, block, token >> 4)
        if count > len(block) - place.read:
            raise BootError("lz4: the data end too early")
        check_room(place, out, count)
        end = place.written + count
        out[place.written : end] = block[place.read : place.read + count]
        place.written = end
        place.read += count
        if place.read == len(block):
            return
        distance = usize(next_byte(place, block))
        distance |= usize(next_byte(place, block)) << 8
        count = length(place, block, token & LONG) + LEAST_MATCH
        if distance == 0 or distance > place.written - origin:
            raise BootError(f"lz4: a match reaches back {distance} bytes, where {place.written - origin} are")
        check_room(place, out, count)
        repeat(out, place.written, distance, count)
        place.written += count


@fn
def check_room(place: Place, out: span[u8], count: usize) -> None:
    if count > len(out) - place.written:
        raise BootError(f"lz4: a block unpacks to more than it may, up to byte {len(out)} of the output")


@fn
def repeat(out: span[u8], start: usize, distance: usize, count: usize) -> None:
    """Repeat `count` bytes from `distance` back: what has been repeated doubles what can be copied at once."""
    source = start - distance
    while count != 0:
        part = min(start - source, count)
        out[start : start + part] = out[source : source + part]
        start += part
        count -= part


@fn
def length(place: Place, block: span[u8], start: u8) -> usize:
    """A length that begins in a token."""
    total = usize(start)
    if start == LONG:
        while True:
            more = next_byte(place, block)
            total += more
            if total > ENDLESS:
                raise BootError("lz4: an endless length")
            if more != CONTINUED:
                break
    return total


@fn
def next_byte(place: Place, block: span[u8]) -> u8:
    if place.read >= len(block):
        raise BootError("lz4: the data end too early")
    byte = block[place.read]
    place.read += 1
    return byte
